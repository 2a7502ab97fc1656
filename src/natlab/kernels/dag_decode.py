"""Decoding of a directed acyclic graph: from transitions to one path.

With e[i, j] the log-probability of the transition from i to j and s[j] the log-probability of vertex j's best token:

    greedy          from i, go to the j with the greatest e[i, j] (Huang et al. 2022)
    lookahead       from i, go to the j with the greatest e[i, j] + s[j] (Huang et al. 2022; CoDAT, Algorithm 1)
    viterbi         the path with the greatest sum of e (Shao et al. 2022)
    joint_viterbi   the path with the greatest sum of e and s (Shao et al. 2022)

Viterbi decoding finds the best path of each number of vertices M, by the recurrence of `natlab.kernels.dag_best_path`
with s in place of m, and of these the one with the greatest log-probability / (M - frame)^penalty.
"""

import torch
from torch import Tensor

from natlab.kernels.dag import check_graphs, computable, dense
from natlab.kernels.dag_best_path import workspace
from natlab.kernels.library import call, implementation, use

STRATEGIES = ("greedy", "lookahead", "viterbi", "joint_viterbi")


def dag_decode(
    transitions: Tensor,
    scores: Tensor | None,
    graph_lengths: Tensor,
    strategy: str = "lookahead",
    band: int | None = None,
    length_penalty: float = 1.0,
    max_length: int | None = None,
    frame: int = 0,
) -> tuple[Tensor, Tensor]:
    """One path through each graph: its log-probability [B], in nats, and its vertices.

    transitions: [B, L, L], or with ``band`` [B, L, band], log-probabilities (see `natlab.kernels.dag`). scores: [B, L],
    the log-probability of each vertex's best token, of the same dtype; only lookahead and joint_viterbi use it, and
    their log-probabilities include it. graph_lengths: [B], int64. ``length_penalty``, ``max_length`` (of the path, in
    vertices; default L) and ``frame`` (how many of its vertices are no tokens) are for the Viterbi strategies: M
    vertices of log-probability p rank by p / max(1, M - frame)^length_penalty.

    Vertices are [B, L] ([B, max_length] for Viterbi), int64, -1 beyond the path. A greedy or lookahead path that meets
    a vertex without possible transitions ends there, with log-probability -inf; a graph without a possible path (no
    longer than max_length) has log-probability -inf and, by Viterbi, no vertices. Of equally good vertices the
    first, of equally good lengths the shortest is taken. Not differentiable.

    Raises ValueError for an unknown strategy, for shapes and dtypes that do not fit, and for a max_length below 1.
    """
    check_graphs("dag_decode", transitions, graph_lengths, band)
    if strategy not in STRATEGIES:
        raise ValueError(f"dag_decode: no strategy is called {strategy!r}: {', '.join(STRATEGIES)}")
    batch, length = transitions.shape[:2]
    if strategy in ("greedy", "viterbi"):
        scores = transitions.new_zeros(batch, length)
    elif scores is None or scores.shape != (batch, length) or scores.dtype != transitions.dtype:
        form = "missing" if scores is None else f"{tuple(scores.shape)}, {scores.dtype}"
        raise ValueError(f"dag_decode: {strategy} needs scores [B, L] of the transitions' dtype; they are {form}")
    if max_length is not None and max_length < 1:
        raise ValueError(f"dag_decode: a path has at least 1 vertex, not max_length {max_length}")
    arguments = computable(transitions.detach()), computable(scores.detach()), graph_lengths
    if strategy in ("greedy", "lookahead"):
        follow = _follow_reference if implementation() == "reference" else _follow
        return follow(*arguments, band or 0)
    viterbi = _viterbi_reference if implementation() == "reference" else _viterbi
    return viterbi(*arguments, band or 0, float(length_penalty), min(max_length or length, length), frame)


def dag_decode_reference(transitions: Tensor, scores: Tensor | None, graph_lengths: Tensor, *args, **options):
    """`dag_decode` in plain torch."""
    with use("reference"):
        return dag_decode(transitions, scores, graph_lengths, *args, **options)


def _follow_reference(transitions: Tensor, scores: Tensor, graph_lengths: Tensor, band: int) -> tuple[Tensor, Tensor]:
    links = dense(transitions, graph_lengths, band or None)
    best, following = (links + scores[:, None]).max(2)
    batch, length = scores.shape
    sentences = torch.arange(batch, device=scores.device)
    at, on = torch.zeros_like(graph_lengths), graph_lengths > 0
    log_probs, path = scores[:, 0], graph_lengths.new_full((batch, length), -1)
    for step in range(length):
        path[:, step] = torch.where(on, at, -1)
        going = on & (best[sentences, at] > -torch.inf)
        log_probs = torch.where(going, log_probs + best[sentences, at], log_probs)
        at, on = torch.where(going, following[sentences, at], at), going
    return log_probs.masked_fill(at != graph_lengths - 1, -torch.inf), path


def _viterbi_reference(
    transitions: Tensor,
    scores: Tensor,
    graph_lengths: Tensor,
    band: int,
    length_penalty: float,
    max_length: int,
    frame: int,
) -> tuple[Tensor, Tensor]:
    links = dense(transitions, graph_lengths, band or None)
    batch, length = scores.shape
    at = torch.arange(length, device=scores.device)
    scores = scores.masked_fill(at >= graph_lengths[:, None], -torch.inf)
    rows, before = [scores.masked_fill(at > 0, -torch.inf)], []
    for _ in range(1, max_length):
        best, predecessor = (rows[-1][:, :, None] + links).max(1)
        rows.append(scores + best)
        before.append(predecessor)
    sentences, last = torch.arange(batch, device=scores.device), (graph_lengths - 1).clamp(min=0)
    by_length = torch.stack(rows, 1)[sentences, :, last]  # [B, max_length]
    lengths = torch.arange(1, max_length + 1, device=scores.device, dtype=torch.float64)
    longest = (by_length / (lengths - frame).clamp(min=1) ** length_penalty).argmax(1)
    log_probs = by_length[sentences, longest]
    path, at = graph_lengths.new_full((batch, max_length), -1), last
    for step in reversed(range(max_length)):
        path[:, step] = torch.where((step <= longest) & (log_probs > -torch.inf), at, -1)
        if step:
            at = torch.where(step <= longest, before[step - 1][sentences, at], at)
    return log_probs, path


@torch.library.custom_op("natlab::dag_follow", mutates_args=())
def _follow(transitions: Tensor, scores: Tensor, graph_lengths: Tensor, band: int) -> tuple[Tensor, Tensor]:
    """Greedy decoding by the transition and the score of the vertex it leads to."""
    outputs = _paths(transitions, scores, graph_lengths, band)
    inputs = (tensor.contiguous() for tensor in (transitions, scores, graph_lengths))
    call("dag_follow", *inputs, *outputs, transitions.dtype, *scores.shape, band)
    return outputs


@_follow.register_fake
def _paths(transitions: Tensor, scores: Tensor, graph_lengths: Tensor, band: int) -> tuple[Tensor, Tensor]:
    return scores.new_empty(len(scores)), graph_lengths.new_empty(scores.shape)


@torch.library.custom_op("natlab::dag_viterbi", mutates_args=())
def _viterbi(
    transitions: Tensor,
    scores: Tensor,
    graph_lengths: Tensor,
    band: int,
    length_penalty: float,
    max_length: int,
    frame: int,
) -> tuple[Tensor, Tensor]:
    """The best path by transitions and scores, and by log-probability / tokens^length_penalty."""
    outputs = _best_paths(transitions, scores, graph_lengths, band, length_penalty, max_length, frame)
    inputs = (tensor.contiguous() for tensor in (transitions, scores, graph_lengths))
    rooms = workspace(scores, max_length)
    sizes = transitions.dtype, *scores.shape, band, max_length
    call("dag_viterbi", *inputs, *rooms, *outputs, *sizes, frame, length_penalty)
    return outputs


@_viterbi.register_fake
def _best_paths(
    transitions: Tensor,
    scores: Tensor,
    graph_lengths: Tensor,
    band: int,
    length_penalty: float,
    max_length: int,
    frame: int,
) -> tuple[Tensor, Tensor]:
    batch = len(scores)
    return scores.new_empty(batch), graph_lengths.new_empty(batch, max_length)
