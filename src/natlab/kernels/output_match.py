"""Log-probabilities of given tokens at every vertex, from hidden states: output layer, normaliser and gathering in one.

    match[b, t, l] = log softmax(W hidden[b, l])[tokens[b, t]]

It is `gather_log_softmax` of ``hidden @ weight.T``, a chunk of vertices at a time, forward and, with the chunk's logits
made anew, backward: the [B, L, V] logits, the largest tensor of a model with graphs, are never held.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from natlab.kernels.dag import accumulator
from natlab.kernels.gather_log_softmax import gather_from, gather_log_softmax_reference, gradient_of_logits, ordered
from natlab.kernels.library import ERRORS, implementation

# logits held at once: enough of them for the matrix product, on a CPU few enough for the cache; on CUDA a chunk is ten
# launches, whose time a small one does not fill
LOGITS = {"cpu": 1 << 21, "cuda": 1 << 26}
PARTS = 8  # at least so many chunks on CUDA, or those of a small batch would be all of it


def output_match(hidden: Tensor, weight: Tensor, tokens: Tensor, lengths: Tensor, target_lengths: Tensor) -> Tensor:
    """Log-probabilities [B, T, L], in nats, of token t at vertex (or position) l under ``softmax(hidden @ weight.T)``.

    hidden: [B, L, d], float32, bfloat16 or float16; weight: [V, d], float32; or float64 both. Logits are of hidden's
    dtype. tokens: [B, T], int64; what lies beyond a target's length may be anything. lengths, target_lengths: [B],
    int64, vertices and tokens. The result is float32 (float64 of float64), -inf beyond the lengths. Differentiable once
    with respect to hidden and weight; gradients are 0 beyond the lengths, whatever lies there.

    Raises ValueError for shapes and dtypes that do not fit; on the CPU, RuntimeError for lengths out of range (on CUDA
    they are clamped) and IndexError for a token outside the vocabulary (on CUDA it is a device-side assertion).
    """
    batch = len(hidden)
    if (
        hidden.dim() != 3
        or weight.shape[1:] != hidden.shape[2:]
        or len(tokens) != batch
        or not lengths.shape == target_lengths.shape == (batch,)
    ):
        shapes = [tuple(tensor.shape) for tensor in (hidden, weight, tokens, lengths, target_lengths)]
        raise ValueError(f"output_match: hidden, weight, tokens, lengths and target_lengths {shapes} do not fit")
    if not tokens.dtype == lengths.dtype == target_lengths.dtype == torch.int64:
        raise ValueError("output_match: tokens, lengths and target_lengths must be int64")
    if weight.dtype != accumulator(hidden):
        raise ValueError(f"output_match: the weight is {weight.dtype}, hidden {hidden.dtype}")
    if implementation() == "reference":
        return output_match_reference(hidden, weight, tokens, lengths, target_lengths)
    return _output_match(hidden, weight, tokens, lengths, target_lengths)[0]


def output_match_reference(
    hidden: Tensor, weight: Tensor, tokens: Tensor, lengths: Tensor, target_lengths: Tensor
) -> Tensor:
    """`output_match` in plain torch, of all logits at once."""
    beyond = torch.arange(hidden.shape[1], device=hidden.device) >= lengths[:, None]
    logits = hidden.masked_fill(beyond[:, :, None], 0) @ weight.to(hidden.dtype).t()
    return gather_log_softmax_reference(logits, tokens, lengths, target_lengths)


class _Chunks:
    """The logits of a batch, chunk by chunk: of several sentences or, of a long one, of some vertices; never beyond the
    longest of these sentences on the CPU (on CUDA, which does not wait for the lengths, of all vertices)."""

    def __init__(self, hidden: Tensor, weight: Tensor, lengths: Tensor):
        self.hidden, self.projection = hidden, weight.to(hidden.dtype)
        batch, length, _ = hidden.shape
        rows = max(1, LOGITS[hidden.device.type] // max(1, len(weight)))
        if hidden.is_cuda:
            rows = min(rows, max(1, batch * length // PARTS))
        together = max(1, rows // max(1, length))
        self.slices = []
        for start in range(0, batch, together):
            stop = min(start + together, batch)
            longest = length if hidden.is_cuda else int(lengths[start:stop].max())
            step = -(-longest // -(-longest // rows)) if longest else 1  # even parts
            self.slices += [
                (slice(start, stop), slice(first, min(first + step, longest))) for first in range(0, longest, step)
            ]
        sizes = [(s.stop - s.start) * (v.stop - v.start) for s, v in self.slices]
        # one room for all of them: the chunk before is not kept while the next one is made
        self.room = hidden.new_empty(max(sizes, default=0), len(weight))

    def __iter__(self) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
        """Sentences and vertices of a chunk, their states [N, d], and the logits [b, l, V] of these."""
        for sentences, vertices in self.slices:
            part = self.hidden[sentences, vertices]
            rows = part.flatten(0, 1)
            logits = torch.mm(rows, self.projection.t(), out=self.room[: len(rows)])
            yield sentences, vertices, rows, logits.view(*part.shape[:2], -1)


@torch.library.custom_op("natlab::output_match", mutates_args=())
def _output_match(
    hidden: Tensor, weight: Tensor, tokens: Tensor, lengths: Tensor, target_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """The log-probabilities [B, T, L] and the normalisers [B, L, 2] of `gather_log_softmax`."""
    if not hidden.is_cuda and not ((lengths >= 0) & (lengths <= hidden.shape[1])).all():
        raise RuntimeError(f"output_match: {ERRORS[-3]}")
    match, normalisers = (output.fill_(-torch.inf) for output in _outputs(hidden, weight, tokens))
    for sentences, vertices, _, logits in _Chunks(hidden, weight, lengths):
        parts = match[sentences, :, vertices], normalisers[sentences, vertices]
        found = [part.contiguous() for part in parts]  # themselves, of all vertices
        inside = (lengths[sentences] - vertices.start).clamp(0, logits.shape[1])
        gather_from(logits, tokens[sentences], inside, target_lengths[sentences], *found)
        for part, of_part in zip(parts, found, strict=True):
            if of_part is not part:
                part.copy_(of_part)
    return match, normalisers


@_output_match.register_fake
def _outputs(hidden: Tensor, weight: Tensor, tokens: Tensor, *_) -> tuple[Tensor, Tensor]:
    batch, length, _ = hidden.shape
    dtype = accumulator(hidden)
    return (
        hidden.new_empty(batch, tokens.shape[1], length, dtype=dtype),
        hidden.new_empty(batch, length, 2, dtype=dtype),
    )


@torch.library.custom_op("natlab::output_match_backward", mutates_args=())
def _output_match_backward(
    hidden: Tensor,
    weight: Tensor,
    tokens: Tensor,
    lengths: Tensor,
    target_lengths: Tensor,
    normalisers: Tensor,
    grad_match: Tensor,
) -> tuple[Tensor, Tensor]:
    """The gradients of hidden, [B, L, d], and of weight, [V, d]."""
    grad_hidden, grad_weight = torch.zeros_like(hidden), torch.zeros_like(weight)
    chunks, order = _Chunks(hidden, weight, lengths), ordered(tokens)
    room = chunks.room if hidden.device.type == "cpu" else torch.empty_like(chunks.room)
    for sentences, vertices, rows, logits in chunks:
        of_chunk = target_lengths[sentences], normalisers[sentences, vertices], grad_match[sentences, :, vertices]
        delta = room[: len(rows)]
        gradient_of_logits(logits, tokens[sentences], None if order is None else order[sentences], *of_chunk, delta)
        grad_hidden[sentences, vertices] = (delta @ chunks.projection).view(*logits.shape[:2], -1)
        if hidden.dtype == weight.dtype:
            grad_weight.addmm_(delta.t(), rows)
        else:
            grad_weight += delta.t() @ rows
    return grad_hidden, grad_weight


@_output_match_backward.register_fake
def _(hidden, weight, *_):
    return torch.empty_like(hidden), torch.empty_like(weight)


def _setup(ctx, inputs, output) -> None:
    _, normalisers = output
    ctx.save_for_backward(*inputs, normalisers)


def _backward(ctx, grad_match: Tensor, _):
    return *_output_match_backward(*ctx.saved_tensors, grad_match), None, None, None


_output_match.register_autograd(_backward, setup_context=_setup)
