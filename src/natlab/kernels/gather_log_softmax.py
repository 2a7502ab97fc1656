"""Log-probabilities of given tokens at every vertex, from logits, without the normalised [B, L, V].

    match[b, t, l] = logits[b, l, tokens[b, t]] - log sum_v exp logits[b, l, v]

The library keeps the normaliser of each vertex for the gradient, which is written in one pass:

    d logits[b, l, v] = sum_{t: tokens[b, t] = v} G[b, t, l] - softmax(logits[b, l])[v] sum_t G[b, t, l]
"""

import torch
from torch import Tensor

from natlab.kernels.dag import accumulator
from natlab.kernels.library import call, implementation


def gather_log_softmax(logits: Tensor, tokens: Tensor, lengths: Tensor, target_lengths: Tensor) -> Tensor:
    """Log-probabilities [B, T, L], in nats, of token t at vertex (or position) l: DA-Transformer's match scores.

    logits: [B, L, V], float64, float32, bfloat16 or float16. tokens: [B, T], int64; what lies beyond a target's length
    may be anything. lengths, target_lengths: [B], int64, vertices and tokens. The result is float32 (float64 for
    float64); -inf beyond the lengths, for a token whose logit is -inf, and where a vertex has no possible token.
    Differentiable once with respect to the logits; the gradient is 0 beyond the lengths.

    Raises ValueError for shapes and dtypes that do not fit; on the CPU, RuntimeError for lengths out of range (on CUDA
    they are clamped) and IndexError for a token outside the vocabulary (on CUDA it is a device-side assertion).
    """
    batch, length, _ = logits.shape
    if len(tokens) != batch or lengths.shape != (batch,) or target_lengths.shape != (batch,):
        shapes = [tuple(tensor.shape) for tensor in (logits, tokens, lengths, target_lengths)]
        raise ValueError(f"gather_log_softmax: logits, tokens, lengths and target_lengths {shapes} do not fit")
    if not tokens.dtype == lengths.dtype == target_lengths.dtype == torch.int64:
        raise ValueError("gather_log_softmax: tokens, lengths and target_lengths must be int64")
    if implementation() == "reference":
        return gather_log_softmax_reference(logits, tokens, lengths, target_lengths)
    return _gather_log_softmax(logits, tokens, lengths, target_lengths)[0]


def gather_log_softmax_reference(logits: Tensor, tokens: Tensor, lengths: Tensor, target_lengths: Tensor) -> Tensor:
    """`gather_log_softmax` in plain torch."""
    batch, length, _ = logits.shape
    vertex = torch.arange(length, device=logits.device) < lengths[:, None]
    target = torch.arange(tokens.shape[1], device=logits.device) < target_lengths[:, None]
    possible = vertex & (logits != -torch.inf).any(2)  # else log_softmax is nan
    log_probs = logits.to(accumulator(logits)).masked_fill(~possible[:, :, None], 0).log_softmax(2)
    index = tokens.masked_fill(~target, 0)[:, None, :].expand(-1, length, -1)
    match = log_probs.gather(2, index).transpose(1, 2)
    return match.masked_fill(~(target[:, :, None] & possible[:, None, :]), -torch.inf)


@torch.library.custom_op("natlab::gather_log_softmax", mutates_args=())
def _gather_log_softmax(
    logits: Tensor, tokens: Tensor, lengths: Tensor, target_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """The log-probabilities [B, T, L] and the normalisers [B, L, 2], the sum of which is log sum_v exp logits."""
    match, normalisers = _outputs(logits, tokens)
    gather_from(logits.contiguous(), tokens, lengths, target_lengths, match, normalisers)
    return match, normalisers


def gather_from(
    logits: Tensor, tokens: Tensor, lengths: Tensor, target_lengths: Tensor, match: Tensor, normalisers: Tensor
) -> None:
    """Write the log-probabilities to ``match`` [B, T, L] and the normalisers [B, L, 2] of contiguous logits."""
    (batch, length, vocabulary), targets = logits.shape, tokens.shape[1]
    if logits.device.type == "cpu":
        beyond = torch.arange(targets) >= target_lengths[:, None]
        if not (beyond | ((tokens >= 0) & (tokens < vocabulary))).all():
            raise IndexError(f"gather_log_softmax: a token lies outside the vocabulary of {vocabulary}")
    inputs = (tensor.contiguous() for tensor in (tokens, lengths, target_lengths))
    call("gather_log_softmax", logits, *inputs, match, normalisers, logits.dtype, batch, length, vocabulary, targets)


@_gather_log_softmax.register_fake
def _outputs(logits: Tensor, tokens: Tensor, *_) -> tuple[Tensor, Tensor]:
    batch, length, _ = logits.shape
    dtype = accumulator(logits)
    return (
        logits.new_empty(batch, tokens.shape[1], length, dtype=dtype),
        logits.new_empty(batch, length, 2, dtype=dtype),
    )


@torch.library.custom_op("natlab::gather_log_softmax_backward", mutates_args=())
def _gather_log_softmax_backward(
    logits: Tensor, tokens: Tensor, target_lengths: Tensor, normalisers: Tensor, grad_match: Tensor
) -> Tensor:
    """The gradient of the logits, [B, L, V]."""
    logits = logits.contiguous()
    grad_logits = torch.empty_like(logits)
    gradient_of_logits(logits, tokens, ordered(tokens), target_lengths, normalisers, grad_match, grad_logits)
    return grad_logits


def ordered(tokens: Tensor) -> Tensor | None:
    """An order [B, T] of tokens [B, T] by which equal ones are next to each other: on CUDA one thread adds up their
    gradients. On the CPU none is needed."""
    return tokens.argsort(dim=1, stable=True) if tokens.is_cuda else None


def gradient_of_logits(
    logits: Tensor,
    tokens: Tensor,
    order: Tensor | None,
    target_lengths: Tensor,
    normalisers: Tensor,
    grad_match: Tensor,
    grad_logits: Tensor,
) -> None:
    """Write the gradient of contiguous logits [B, L, V] to ``grad_logits``; on the CPU these may be the logits."""
    (batch, length, vocabulary), targets = logits.shape, tokens.shape[1]
    inputs = (tensor.contiguous() for tensor in (target_lengths, normalisers, grad_match))
    sizes = logits.dtype, batch, length, vocabulary, targets
    call("gather_log_softmax_backward", logits, tokens.contiguous(), order, *inputs, grad_logits, *sizes)


@_gather_log_softmax_backward.register_fake
def _(logits, tokens, target_lengths, normalisers, grad_match):
    return torch.empty_like(logits, memory_format=torch.contiguous_format)


def _setup(ctx, inputs, output) -> None:
    logits, tokens, _, target_lengths = inputs
    _, normalisers = output
    ctx.save_for_backward(logits, tokens, target_lengths, normalisers)


def _backward(ctx, grad_match: Tensor, _):
    logits, tokens, target_lengths, normalisers = ctx.saved_tensors
    return _gather_log_softmax_backward(logits, tokens, target_lengths, normalisers, grad_match), None, None, None


_gather_log_softmax.register_autograd(_backward, setup_context=_setup)
