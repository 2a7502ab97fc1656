"""Sampling of paths through a directed acyclic graph (CoDAT, An et al. 2023, Algorithm 3).

With e[i, j] the log-probability of the transition from i to j and s[j] that of vertex j's best token, the next vertex
after i is drawn from

    P[i, j] = exp e[i, j] + exp s[j] / sum_k exp s[k]     of later vertices j to which there is a transition,
    the greatest of which, until they are top_p of the row's sum, are kept,
    softmax_j (P[i, j] / temperature)                     of those kept.

(The paper's pseudocode adds t = t / sum t to E before it filters, which makes sense for probabilities only; that paths
go to later vertices and that the row is divided by its sum before the filter is our reading.) Algorithm 3 draws at
every vertex for every hypothesis beforehand; since no path comes to a vertex twice, this is the same as drawing step by
step, and drawing only at the vertices that a path visits is the same again.

A draw is a function of the sentence's seed, the hypothesis and the vertex (`csrc/random.h`), and all sums are of whole
multiples of 1 / UNIT, so that they do not depend on their order: the same paths come out on every device, in any batch.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from natlab.kernels.dag import check_graphs, computable, dense
from natlab.kernels.library import call, implementation, use

UNIT = 1 << 36  # of probabilities as integers; as csrc/dag_sample.h


class Samples(NamedTuple):
    """K paths through each of B graphs, and what the model thinks of them, in nats.

    paths: [B, K, L], int64, their vertices, -1 beyond; transitions: [B, K], the sum of the log-probabilities of their
    transitions, -inf where a path ends before the last vertex, as it has no transition to go on by; scores: [B, K],
    that of their vertices' ``scores``.
    """

    paths: Tensor
    transitions: Tensor
    scores: Tensor


def dag_sample(
    transitions: Tensor,
    scores: Tensor,
    graph_lengths: Tensor,
    seeds: Tensor,
    samples: int,
    temperature: float = 0.05,
    top_p: float = 0.5,
) -> Samples:
    """``samples`` paths through each graph, drawn independently; doubles are not removed.

    transitions: [B, L, L], log-probabilities (see `natlab.kernels.dag`). scores: [B, L], the log-probability of each
    vertex's best token, of the same dtype. graph_lengths: [B], int64. seeds: [B], int64, one a sentence; hypothesis k
    of a sentence depends on its graph, its seed and k, and on nothing else. With a ``top_p`` of 1 all are kept.
    The log-probabilities are float32 (float64 of float64). Not differentiable.

    Raises ValueError for shapes and dtypes that do not fit, no samples, a temperature of 0 or less, and a top_p that is
    not in (0, 1].
    """
    check_graphs("dag_sample", transitions, graph_lengths, None)
    batch, length = transitions.shape[:2]
    if scores.shape != (batch, length) or scores.dtype != transitions.dtype:
        form = f"{tuple(scores.shape)}, {scores.dtype}"
        raise ValueError(f"dag_sample: scores must be [B, L], of the transitions' dtype; they are {form}")
    if seeds.shape != (batch,) or seeds.dtype != torch.int64:
        raise ValueError(f"dag_sample: seeds {tuple(seeds.shape)}, {seeds.dtype}, not [B], int64")
    if samples < 1 or not temperature > 0 or not 0 < top_p <= 1:
        given = f"{samples} samples, temperature {temperature}, top_p {top_p}"
        raise ValueError(f"dag_sample: {given}; at least 1, above 0, and in (0, 1] are possible")
    arguments = computable(transitions.detach()), computable(scores.detach()), graph_lengths, seeds
    sample = _sample_reference if implementation() == "reference" else _sample
    return Samples(*sample(*arguments, samples, temperature, top_p))


def dag_sample_reference(transitions: Tensor, scores: Tensor, graph_lengths: Tensor, *args, **options) -> Samples:
    """`dag_sample` in plain torch, which draws at every vertex."""
    with use("reference"):
        return dag_sample(transitions, scores, graph_lengths, *args, **options)


def _sample_reference(
    transitions: Tensor,
    scores: Tensor,
    graph_lengths: Tensor,
    seeds: Tensor,
    samples: int,
    temperature: float,
    top_p: float,
) -> tuple[Tensor, Tensor, Tensor]:
    batch, length = scores.shape
    links, scores = dense(transitions, graph_lengths, None).double(), scores.double()
    at = torch.arange(length, device=scores.device)
    weights = _cumulative(links, scores.masked_fill(at >= graph_lengths[:, None], -torch.inf), temperature, top_p)
    hypotheses = torch.arange(samples, device=scores.device)
    uniform = _random(seeds[:, None, None], hypotheses, at[:, None])  # [B, L, K]
    totals = weights[:, :, -1:]
    drawn = torch.minimum((uniform * totals).long(), totals - 1)
    following = torch.searchsorted(weights, drawn, right=True)  # [B, L, K]

    sentences = torch.arange(batch, device=scores.device)[:, None]
    at = graph_lengths.new_zeros(batch, samples)
    on = (graph_lengths > 0)[:, None].expand_as(at)
    paths = graph_lengths.new_full((batch, samples, length), -1)
    of_links, of_scores = scores.new_zeros(2, batch, samples)
    last = (graph_lengths - 1)[:, None]
    for step in range(length):
        paths[:, :, step] = torch.where(on, at, -1)
        of_scores = torch.where(on, of_scores + scores[sentences, at], of_scores)
        going = on & (at < last) & (totals[sentences, at, 0] > 0)
        then = torch.where(going, following[sentences, at, hypotheses], at)
        of_links = torch.where(going, of_links + links[sentences, at, then], of_links)
        at, on = then, going
    return paths, of_links.masked_fill(at != last, -torch.inf).to(transitions), of_scores.to(transitions)


def _whole(probabilities: Tensor) -> Tensor:
    """In multiples of 1 / UNIT, rounded."""
    return (probabilities * UNIT + 0.5).long()


def _cumulative(links: Tensor, scores: Tensor, temperature: float, top_p: float) -> Tensor:
    """The cumulative weights [B, L, L] by which vertices after each vertex are drawn, in multiples of 1 / UNIT."""
    best = scores.amax(1, keepdim=True).nan_to_num(neginf=0)
    likely = _whole((scores - best).exp())  # [B, L]
    likely = likely.double() / likely.sum(1, keepdim=True).clamp(min=1)
    exists = links > -torch.inf
    mass = _whole(links.clamp(max=0).exp() + likely[:, None]).masked_fill(~exists, 0)
    if top_p < 1:
        needed = (mass.sum(2, keepdim=True).double() * top_p).ceil().long().clamp(min=1)
        greatest, order = mass.sort(dim=2, descending=True, stable=True)
        before = greatest.cumsum(2) - greatest
        exists &= torch.empty_like(exists).scatter_(2, order, before < needed)
    above = mass - mass.masked_fill(~exists, 0).amax(2, keepdim=True)
    return _whole((above.double() / (UNIT * temperature)).exp()).masked_fill(~exists, 0).cumsum(2)


def _random(seed: Tensor, hypothesis: Tensor, vertex: Tensor) -> Tensor:
    """Numbers from [0, 1), float64, as of csrc/random.h."""

    def mixed(bits: Tensor) -> Tensor:
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
            bits = (bits ^ _shifted(bits, shift)) * _signed(factor)
        return bits

    counter = (hypothesis << 32) + vertex + 1
    return _shifted(mixed(mixed(seed) + counter * _signed(0x9E3779B97F4A7C15)), 11).double() * 2.0**-53


def _shifted(bits: Tensor, by: int) -> Tensor:
    """To the right, without the sign."""
    return (bits >> by) & ((1 << 64 - by) - 1)


def _signed(factor: int) -> int:
    """Of 64 bits, as int64 holds them."""
    return factor - (factor >> 63 << 64)


@torch.library.custom_op("natlab::dag_sample", mutates_args=())
def _sample(
    transitions: Tensor,
    scores: Tensor,
    graph_lengths: Tensor,
    seeds: Tensor,
    samples: int,
    temperature: float,
    top_p: float,
) -> tuple[Tensor, Tensor, Tensor]:
    batch, length = scores.shape
    outputs = _outputs(transitions, scores, graph_lengths, seeds, samples, temperature, top_p)
    inputs = (tensor.contiguous() for tensor in (transitions, scores, graph_lengths, seeds))
    cuda = scores.is_cuda
    # each vertex' part of exp s, and the vertex drawn after each vertex for each hypothesis
    likely = scores.new_empty(batch, length, dtype=torch.float64) if cuda else None
    following = scores.new_empty(batch, length, samples, dtype=torch.int32) if cuda else None
    sizes = transitions.dtype, batch, length, samples
    call("dag_sample", *inputs, likely, following, *outputs, *sizes, float(temperature), float(top_p))
    return outputs


@_sample.register_fake
def _outputs(
    transitions: Tensor,
    scores: Tensor,
    graph_lengths: Tensor,
    seeds: Tensor,
    samples: int,
    temperature: float,
    top_p: float,
) -> tuple[Tensor, Tensor, Tensor]:
    batch, length = scores.shape
    return (
        graph_lengths.new_empty(batch, samples, length),
        scores.new_empty(batch, samples),
        scores.new_empty(batch, samples),
    )
