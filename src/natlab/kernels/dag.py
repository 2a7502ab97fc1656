"""What the ops on directed acyclic graphs share: the form of their arguments.

A graph has vertices 0 to n - 1. A path starts at vertex 0, goes to later vertices only and ends at vertex n - 1.
Transitions are log-probabilities, in nats: [B, L, L], entry i, j from i to j (what lies at j <= i is ignored), or with
a ``band`` [B, L, band], entry i, k from i to i + 1 + k. What lies beyond a graph's vertices is ignored.
"""

import torch
from torch import Tensor


def accumulator(tensor: Tensor) -> torch.dtype:
    """The dtype that a tensor's elements are summed and returned in."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def computable(tensor: Tensor) -> Tensor:
    """A tensor in the dtype that it is summed in, which the library reads: half precision in float32."""
    return tensor.to(accumulator(tensor))


def check_graphs(op: str, transitions: Tensor, graph_lengths: Tensor, band: int | None) -> None:
    """ValueError unless transitions are [B, L, L] or [B, L, band], and the lengths [B], int64."""
    batch, length = transitions.shape[:2]
    if transitions.shape != (batch, length, length if band is None else band):
        form = "[B, L, L]" if band is None else f"[B, L, {band}]"
        raise ValueError(f"{op}: transitions {tuple(transitions.shape)} are not {form}")
    if graph_lengths.shape != (batch,) or graph_lengths.dtype != torch.int64:
        raise ValueError(f"{op}: graph lengths {tuple(graph_lengths.shape)}, {graph_lengths.dtype}, not [B], int64")


def check_targets(op: str, match: Tensor, transitions: Tensor, target_lengths: Tensor) -> None:
    """ValueError unless match is [B, T, L] and of the transitions' dtype, and the lengths [B], int64."""
    batch, length = transitions.shape[:2]
    if match.dim() != 3 or match.shape[0] != batch or match.shape[2] != length:
        raise ValueError(f"{op}: match {tuple(match.shape)} and transitions {tuple(transitions.shape)} do not fit")
    if match.dtype != transitions.dtype:
        raise ValueError(f"{op}: match is {match.dtype}, transitions {transitions.dtype}")
    if target_lengths.shape != (batch,) or target_lengths.dtype != torch.int64:
        raise ValueError(f"{op}: target lengths {tuple(target_lengths.shape)}, {target_lengths.dtype}, not [B], int64")


def dense(transitions: Tensor, graph_lengths: Tensor, band: int | None) -> Tensor:
    """Transitions [B, L, L] of either form, -inf where there is none."""
    length = transitions.shape[1]
    at = torch.arange(length, device=transitions.device)
    step = at - at[:, None]
    if band is not None:
        transitions = transitions.gather(2, (step - 1).clamp(0, band - 1).expand(len(transitions), -1, -1))
    exists = (step > 0) & (step <= (band or length)) & (at < graph_lengths[:, None, None])
    return computable(transitions).masked_fill(~exists, -torch.inf)


def emissions(match: Tensor, graph_lengths: Tensor, target_lengths: Tensor) -> Tensor:
    """Match [B, T, L] with -inf beyond the lengths."""
    targets, length = match.shape[1:]
    vertex = torch.arange(length, device=match.device) < graph_lengths[:, None]
    token = torch.arange(targets, device=match.device) < target_lengths[:, None]
    return computable(match).masked_fill(~(token[:, :, None] & vertex[:, None]), -torch.inf)
