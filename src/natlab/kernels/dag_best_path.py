"""The best path of a target through a directed acyclic graph (DA-Transformer's glancing, Huang et al. 2022, section 3).

The recurrence of `natlab.kernels.dag_loss` with the maximum in place of the sum:

    a[0, 0] = m[0, 0]        a[t, j] = m[t, j] + max_{i < j} (a[t - 1, i] + e[i, j])

Walking back from a[M - 1, n - 1] takes the first of equally good predecessors, on every device and in the reference.
"""

import torch
from torch import Tensor

from natlab.kernels.dag import check_graphs, check_targets, computable, dense, emissions
from natlab.kernels.library import call, implementation


def dag_best_path(
    match: Tensor, transitions: Tensor, graph_lengths: Tensor, target_lengths: Tensor, band: int | None = None
) -> tuple[Tensor, Tensor]:
    """The likeliest path of each target: its log-probability [B], in nats, and its vertices [B, T], int64.

    Arguments as for `natlab.kernels.dag_loss`. Vertices are -1 beyond a target's length, and throughout where it has no
    possible path (its log-probability is then -inf). Of predecessors that are equally good, going back from the last
    token, the first is taken. The log-probability is float32 (float64 for float64). Not differentiable. Raises
    ValueError for shapes and dtypes that do not fit.
    """
    check_graphs("dag_best_path", transitions, graph_lengths, band)
    check_targets("dag_best_path", match, transitions, target_lengths)
    if implementation() == "reference":
        return dag_best_path_reference(match, transitions, graph_lengths, target_lengths, band)
    match, transitions = computable(match.detach()), computable(transitions.detach())
    return _dag_best_path(match, transitions, graph_lengths, target_lengths, band or 0)


@torch.no_grad()
def dag_best_path_reference(
    match: Tensor, transitions: Tensor, graph_lengths: Tensor, target_lengths: Tensor, band: int | None = None
) -> tuple[Tensor, Tensor]:
    """`dag_best_path` in plain torch, a step over all transitions at a time."""
    links = dense(transitions, graph_lengths, band)
    match = emissions(match, graph_lengths, target_lengths)
    batch, targets, length = match.shape
    path = target_lengths.new_full((batch, targets), -1)
    if not targets:
        return match.new_full((batch,), -torch.inf), path
    start = torch.arange(length, device=match.device) == 0
    rows, before = [match[:, 0].masked_fill(~start, -torch.inf)], []
    for t in range(1, targets):
        best, predecessor = (rows[-1][:, :, None] + links).max(1)
        rows.append(match[:, t] + best)
        before.append(predecessor)
    sentences = torch.arange(batch, device=match.device)
    ends = (target_lengths - 1).clamp(min=0), (graph_lengths - 1).clamp(min=0)
    log_probs = torch.stack(rows, 1)[sentences, *ends]
    at, possible = ends[1], log_probs > -torch.inf
    for t in reversed(range(targets)):
        path[:, t] = torch.where((t < target_lengths) & possible, at, -1)
        if t:
            at = torch.where(t < target_lengths, before[t - 1][sentences, at], at)
    return log_probs, path


@torch.library.custom_op("natlab::dag_best_path", mutates_args=())
def _dag_best_path(
    match: Tensor, transitions: Tensor, graph_lengths: Tensor, target_lengths: Tensor, band: int
) -> tuple[Tensor, Tensor]:
    """The log-probabilities [B] and vertices [B, T]."""
    batch, targets, length = match.shape
    outputs = _outputs(match, transitions, graph_lengths, target_lengths, band)
    inputs = (tensor.contiguous() for tensor in (match, transitions, graph_lengths, target_lengths))
    call("dag_best_path", *inputs, *workspace(match, targets), *outputs, match.dtype, *match.shape, band)
    return outputs


@_dag_best_path.register_fake
def _outputs(
    match: Tensor, transitions: Tensor, graph_lengths: Tensor, target_lengths: Tensor, band: int
) -> tuple[Tensor, Tensor]:
    batch, targets, _ = match.shape
    return match.new_empty(batch), target_lengths.new_empty(batch, targets)


def workspace(scores: Tensor, targets: int) -> tuple[Tensor | None, Tensor | None]:
    """On CUDA, room for the scores [B, L, T] of the best paths to each vertex and for their predecessors."""
    if scores.device.type == "cpu":
        return None, None
    shape = len(scores), scores.shape[-1], targets
    return scores.new_empty(shape), scores.new_empty(shape, dtype=torch.int32)
