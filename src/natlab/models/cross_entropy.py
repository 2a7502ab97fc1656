"""The output layer with its loss, or what it finds likeliest, without ever holding the [tokens, vocabulary] logits."""

from collections.abc import Sequence

import torch
from torch import Tensor

from natlab import kernels
from natlab.kernels.likeliest import likeliest_reference, log_normaliser

# tokens whose logits are held at once: large enough for the matrix product, on a CPU small enough for the cache
ROWS = {"cpu": 512, "cuda": 8192}
LOGITS_LIKELIEST = 1 << 20  # logits at once on a CPU without a gradient, which makes larger products worth it


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, target: Tensor, smoothing: float):
        tokens, vocabulary = len(hidden), len(weight)
        projection = weight.to(hidden.dtype)
        spread = smoothing / (vocabulary - 1)
        accumulator = torch.promote_types(hidden.dtype, torch.float32)
        nll = hidden.new_empty(tokens, dtype=accumulator)
        loss = torch.empty_like(nll)
        needs_grad = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        grad_hidden = torch.empty_like(hidden) if needs_grad else None
        grad_weight = torch.zeros_like(weight) if needs_grad else None
        step = ROWS[hidden.device.type]
        for start in range(0, tokens, step):
            rows = slice(start, start + step)
            h, t = hidden[rows], target[rows, None]
            logits = h @ projection.t()
            probabilities = torch.softmax(logits, dim=1, dtype=accumulator)
            normaliser = log_normaliser(logits.amax(1), probabilities.amax(1))
            nll[rows] = normaliser - logits.gather(1, t)[:, 0].to(accumulator)
            loss[rows] = nll[rows]
            if smoothing:
                from_all = vocabulary * normaliser - logits.sum(1, dtype=accumulator)
                loss[rows] = (1 - smoothing - spread) * nll[rows] + spread * from_all
            if needs_grad:
                if smoothing:
                    probabilities -= spread
                probabilities.scatter_add_(1, t, probabilities.new_full(t.shape, smoothing + spread - 1))
                delta = probabilities.to(hidden.dtype)
                torch.mm(delta, projection, out=grad_hidden[rows])
                grad_weight += delta.t() @ h
        ctx.save_for_backward(grad_hidden, grad_weight)
        ctx.mark_non_differentiable(nll)
        return loss.sum(), nll

    @staticmethod
    def backward(ctx, grad_loss: Tensor, _):
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grad_loss.to(grad_hidden.dtype), grad_weight * grad_loss, None, None


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, target: Tensor, smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Label-smoothed cross-entropy of ``softmax(hidden @ weight.T)``, in nats.

    hidden: [N, d], float32 or bfloat16; weight: [V, d], float32; or float64 both; target: [N], int64. The target's
    share is 1 - smoothing, the rest is spread evenly over the other V - 1 words (as fairseq's
    label_smoothed_cross_entropy). Returns the loss summed over the N tokens (differentiable once) and the unsmoothed
    negative log-likelihoods [N], float32 (float64 of float64).
    """
    return _LinearCrossEntropy.apply(hidden, weight, target, smoothing)


@torch.no_grad()
def likeliest(
    hidden: Tensor, weight: Tensor, never: Sequence[int] = (), by_kernels: bool = False
) -> tuple[Tensor, Tensor]:
    """The likeliest word of ``softmax(hidden @ weight.T)`` [N], and its normaliser log sum exp [N], in nats, float32.

    hidden: [N, d], float32 or bfloat16; weight: [V, d], float32; or float64 all. never: words that are not taken, but
    weighed in the normaliser. by_kernels: by the library of `natlab.kernels`, where what is trained or decoded needs
    one anyway; without it by plain torch.
    """
    words = torch.empty(len(hidden), dtype=torch.int64, device=hidden.device)
    accumulator = torch.promote_types(hidden.dtype, torch.float32)
    normaliser = torch.empty(len(hidden), dtype=accumulator, device=hidden.device)
    projection = weight.to(hidden.dtype).t()
    step = ROWS["cuda"] if hidden.is_cuda else max(1, LOGITS_LIKELIEST // len(weight))
    best = kernels.likeliest if by_kernels else likeliest_reference
    for start in range(0, len(hidden), step):
        rows = slice(start, start + step)
        words[rows], normaliser[rows] = best(hidden[rows] @ projection, never)
    return words, normaliser
