"""AXE: the cheapest monotonic alignment of target tokens and predictions (Ghazvininejad et al. 2020, section 2).

Algorithm 1 and table 1: with P_j(y) the probability of y at position j, ε the blank, A[0, 0] = 0 and, the first of them
where several are equally cheap,

    A[i, j] = min of  A[i-1, j-1] - log P_j(Y_i)          align: position j predicts target i
                      A[i, j-1] - log P_j(ε)              skip prediction: position j predicts ε
                      A[i-1, j] - delta log P_j(Y_i)      skip target: position j predicts target i, too

In the first row only predictions can be skipped, in the first column only targets; there, as printed, position 1 pays
for them (A[i, 0] = A[i-1, 0] - delta log P_1(Y_i)). The cost is A[n, m]. O(n m) a sentence.

For the gradient the library keeps the operations, T + L bytes a sentence: the cost is the sum of what they cost.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from natlab.kernels.dag import accumulator
from natlab.kernels.library import call, implementation

ALIGN, SKIP_PREDICTION, SKIP_TARGET, NONE = 0, 1, 2, -1


class AxeAlignment(NamedTuple):
    """cost: [B], in nats, float32 (float64 for float64). operations: int8 [B, T + L], in order, `ALIGN`,
    `SKIP_PREDICTION` or `SKIP_TARGET`. alignment: int64 [B, T], the position that predicts each target, counted from 0.
    Both are -1 after the last one, and throughout where the cost is infinite."""

    cost: Tensor
    operations: Tensor
    alignment: Tensor


def axe_align(
    logp: Tensor,
    blank: Tensor,
    target_lengths: Tensor,
    prediction_lengths: Tensor,
    delta: float,
    observed: Tensor | None = None,
) -> AxeAlignment:
    """The cheapest alignment of each target with its predictions, and its cost: the AXE loss of the sentence.

    logp: [B, T, L], log-probabilities of target t at position l, in nats; blank: [B, L], of ε; both float64, float32,
    bfloat16 or float16, -inf where impossible; T and L are at least 1. target_lengths, prediction_lengths: [B], int64.
    delta: above 0, what skipping a target costs (1 to 5 in the paper). observed: bool [B, T], the targets that the
    model was shown ("predict masks", section 3.3): position t predicts observed target t for nothing.

    The cost is differentiable once with respect to logp and blank, by the chosen operations; the gradient is 0 beyond
    the lengths, and of a sentence that has no possible alignment (cost inf: as one with targets, but no predictions).

    Raises ValueError for shapes, dtypes and a delta that do not fit; on the CPU, RuntimeError for lengths out of range
    (on CUDA they are clamped).
    """
    batch, targets, positions = logp.shape
    lengths = (target_lengths, prediction_lengths)
    fit = blank.shape == (batch, positions) and all(length.shape == (batch,) for length in lengths)
    if not fit or targets < 1 or positions < 1:
        shapes = [tuple(tensor.shape) for tensor in (logp, blank, *lengths)]
        raise ValueError(f"axe_align: logp, blank and lengths {shapes} are not [B, T, L], [B, L], [B] and [B]")
    if logp.dtype != blank.dtype or any(length.dtype != torch.int64 for length in lengths):
        raise ValueError("axe_align: logp and blank must be of one dtype, and lengths int64")
    if not delta > 0:
        raise ValueError(f"axe_align: delta must be above 0, not {delta}")
    if observed is not None:
        here = torch.arange(targets, device=logp.device)[:, None] == torch.arange(positions, device=logp.device)
        logp = logp.masked_fill(observed[:, :, None] & here, 0)
    if implementation() == "reference":
        return axe_align_reference(logp, blank, target_lengths, prediction_lengths, delta)
    return AxeAlignment(*_axe_align(logp, blank, target_lengths, prediction_lengths, delta))


def axe_align_reference(
    logp: Tensor, blank: Tensor, target_lengths: Tensor, prediction_lengths: Tensor, delta: float
) -> AxeAlignment:
    """`axe_align` in plain torch, one anti-diagonal of A after another (the paper's "efficient implementation")."""
    batch, targets, positions = logp.shape
    device, sentences = logp.device, torch.arange(batch, device=logp.device)
    inside = torch.arange(positions, device=device) < prediction_lengths[:, None]
    logp = logp.to(accumulator(logp)).masked_fill(~inside[:, None, :], -torch.inf)
    blank = blank.to(logp.dtype)

    i = torch.arange(targets + 1, device=device)
    before = last = logp.new_full((batch, targets + 1), torch.inf)  # A[i, d - i] of the last two diagonals d
    costs, choices = [], []
    for d in range(targets + positions + 1):
        j = d - i
        token = logp[:, (i - 1).clamp(min=0), (j - 1).clamp(0, positions - 1)]
        ways = [
            torch.where((i > 0) & (j > 0), before.roll(1, 1) - token, torch.inf),
            torch.where(j > 0, last - blank[:, (j - 1).clamp(0, positions - 1)], torch.inf),
            torch.where(i > 0, last.roll(1, 1) - delta * token, torch.inf),
        ]
        cell, choice = ways[0], torch.zeros_like(ways[0], dtype=torch.int8)
        for way in (1, 2):
            better = ways[way] < cell
            cell, choice = torch.where(better, ways[way], cell), choice.masked_fill(better, way)
        if d == 0:
            cell = torch.where(i == 0, 0, cell)
        costs.append(cell)
        choices.append(choice)
        before, last = last, torch.where((j >= 0) & (j <= positions), cell, torch.inf)
    cost = torch.stack(costs)[target_lengths + prediction_lengths, sentences, target_lengths]
    cost = torch.where(cost.isfinite(), cost, torch.inf)  # without a gradient
    return AxeAlignment(cost, *_traced(torch.stack(choices, 1), cost, target_lengths, prediction_lengths, positions))


def _traced(
    choices: Tensor, cost: Tensor, target_lengths: Tensor, prediction_lengths: Tensor, positions: int
) -> tuple[Tensor, Tensor]:
    """Operations [B, T + L] and alignment [B, T] from the choices [B, T + L + 1, T + 1], diagonal by diagonal."""
    batch, targets = len(choices), choices.shape[2] - 1
    operations = torch.full((batch, targets + positions), NONE, dtype=torch.int8)
    alignment = torch.full((batch, targets), NONE)
    ends = zip(target_lengths.tolist(), prediction_lengths.tolist(), cost.isfinite().tolist(), strict=True)
    for b, (i, j, possible) in enumerate(ends):
        done = []
        while possible and (i, j) != (0, 0):
            operation = int(choices[b, i + j, i])
            done.append(operation)
            if operation != SKIP_PREDICTION:
                alignment[b, i - 1] = max(j - 1, 0)
                i -= 1
            if operation != SKIP_TARGET:
                j -= 1
        operations[b, : len(done)] = torch.tensor(done[::-1], dtype=torch.int8)
    return operations.to(choices.device), alignment.to(choices.device)


@torch.library.custom_op("natlab::axe_align", mutates_args=())
def _axe_align(
    logp: Tensor, blank: Tensor, target_lengths: Tensor, prediction_lengths: Tensor, delta: float
) -> tuple[Tensor, Tensor, Tensor]:
    outputs = _outputs(logp, blank)
    batch, targets, positions = logp.shape
    # on CUDA the choice at each cell, anti-diagonal by anti-diagonal
    choices = None
    if logp.is_cuda:
        choices = logp.new_empty(batch, targets + positions + 1, targets + 1, dtype=torch.int8)
    call(
        "axe_align",
        *(logp.contiguous(), blank.contiguous(), target_lengths.contiguous(), prediction_lengths.contiguous()),
        *(delta, *outputs, choices, logp.dtype, batch, targets, positions),
    )
    return outputs


@_axe_align.register_fake
def _outputs(logp: Tensor, blank: Tensor, *_) -> tuple[Tensor, Tensor, Tensor]:
    batch, targets, positions = logp.shape
    return (
        logp.new_empty(batch, dtype=accumulator(logp)),
        logp.new_empty(batch, targets + positions, dtype=torch.int8),
        logp.new_empty(batch, targets, dtype=torch.int64),
    )


@torch.library.custom_op("natlab::axe_align_backward", mutates_args=())
def _axe_align_backward(
    grad_cost: Tensor, operations: Tensor, delta: float, targets: int, positions: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """The gradients of logp [B, T, L] and blank [B, L]."""
    grads = _gradients(grad_cost, operations, delta, targets, positions, dtype)
    for grad in grads:
        grad.zero_()
    call(
        "axe_align_backward",
        *(grad_cost.contiguous(), operations, delta, *grads, dtype, len(operations), targets, positions),
    )
    return grads


@_axe_align_backward.register_fake
def _gradients(grad_cost, operations, delta, targets, positions, dtype) -> tuple[Tensor, Tensor]:
    batch = len(operations)
    return (
        grad_cost.new_empty(batch, targets, positions, dtype=dtype),
        grad_cost.new_empty(batch, positions, dtype=dtype),
    )


def _setup(ctx, inputs, output) -> None:
    logp, _, _, _, ctx.delta = inputs
    _, operations, alignment = output
    ctx.sizes, ctx.dtype = logp.shape[1:], logp.dtype
    ctx.mark_non_differentiable(operations, alignment)
    ctx.save_for_backward(operations)


def _backward(ctx, grad_cost: Tensor, *_):
    (operations,) = ctx.saved_tensors
    grads = _axe_align_backward(grad_cost, operations, ctx.delta, *ctx.sizes, ctx.dtype)
    return *grads, None, None, None


_axe_align.register_autograd(_backward, setup_context=_setup)
