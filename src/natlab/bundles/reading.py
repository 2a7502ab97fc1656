"""From what a non-autoregressive model's graph gives (`natlab.export.onnx.nat`) to targets, in numpy: the last step of
each kind of decoding.

A function of a bundle's decoding takes a batch's outputs, whether the model may say ε, and the sources' numbers, and
returns of each sentence what was `natlab.bundles.said.Said`.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from natlab.bundles.said import Said
from natlab.corpus.vocabulary import BOS

EPSILON = BOS  # of a model that may say it
OTHERS = 3  # that are shown of a graph's paths besides the best
FRAME = 2  # a graph's vertices of bos and eos, which are no tokens
UNIT = 1 << 36  # as `natlab.kernels.dag_sample`
Outputs = Mapping[str, NDArray]


def without_repeats(tokens: Sequence[int]) -> list[int]:
    """Tokens without those equal to the one before."""
    return [token for token, _ in groupby(tokens)]


def argmax(outputs: Outputs, decoding: Mapping[str, Any], blank: bool, sources: Sequence[list[int]]) -> list[Said]:
    """`natlab.decoding.kinds.argmax`: of several lengths the one of the greatest mean log-probability."""
    lengths, tokens = outputs["lengths"], outputs["said"]  # [B, K], [B, K, P]
    inside = np.arange(tokens.shape[2]) < lengths[:, :, None]
    scores = np.where(inside, outputs["scores"], 0).sum(2) / lengths  # [B, K]
    found = []
    for row, best in enumerate(scores.argmax(1)):
        length = int(lengths[row, best])
        said = tokens[row, best, :length].tolist()
        said = [token for token in said if token != EPSILON] if blank else said
        said = without_repeats(said) if decoding.get("deduplicate") else said
        found.append(Said(said, float(scores[row, best]), length))
    return found


def collapse(outputs: Outputs, decoding: Mapping[str, Any], blank: bool, sources: Sequence[list[int]]) -> list[Said]:
    """`natlab.decoding.kinds.collapse`."""
    found = []
    for length, tokens, scores in zip(
        outputs["lengths"][:, 0], outputs["said"][:, 0], outputs["scores"][:, 0], strict=True
    ):
        said = [token for token in without_repeats(tokens[:length].tolist()) if token != EPSILON]
        found.append(Said(said, float(scores[:length].mean()), int(length)))
    return found


def graph(outputs: Outputs, decoding: Mapping[str, Any], blank: bool, sources: Sequence[list[int]]) -> list[Said]:
    """`natlab.decoding.kinds.graph`."""
    strategy = decoding["strategy"]
    found = []
    for row, length in enumerate(outputs["lengths"][:, 0].tolist()):
        scores = outputs["scores"][row, 0, :length]
        if "following" in outputs:
            paths = [followed(outputs["following"][row, :length])]
        else:
            links = outputs["links"][row, :length, :length]
            weights = scores if strategy == "joint_viterbi" else np.zeros_like(scores)
            paths = likeliest_paths(links, weights, decoding["length_penalty"])
        found.append(best_of(spoken(path, outputs["said"][row, 0], scores) for path in paths))
    return found


def best_of(said: Iterable[Said]) -> Said:
    """The first, and what the next ones say that say something else."""
    best, *rest = said
    texts = dict.fromkeys(tuple(each.tokens) for each in (best, *rest))
    return best._replace(others=tuple(map(list, list(texts)[1 : 1 + OTHERS])))


def spoken(path: Sequence[int], tokens: NDArray, scores: NDArray) -> Said:
    """What a path through a graph of ``tokens`` and their ``scores`` [L] says: those between its first vertex and its
    last, repeats being one."""
    inner = list(path[1 : max(1, len(path) - 1)])
    score = float(scores[inner].mean()) if inner else 0.0
    return Said(without_repeats(tokens[inner].tolist()), score, len(scores))


def followed(following: NDArray) -> list[int]:
    """The path from vertex 0 by the vertex [L] after each one, to the last, or to one that nothing is after."""
    path, last = [0], len(following) - 1
    while path[-1] < last and following[path[-1]] > path[-1]:
        path.append(int(following[path[-1]]))
    return path


def likeliest_paths(links: NDArray, weights: NDArray, penalty: float) -> list[list[int]]:
    """Of the best paths of each number of vertices M by links [L, L] and vertices' weights [L] some of the greatest
    log-probability / max(1, M - 2)^penalty, the best first (`natlab.kernels.dag_decode`); one of no vertex where there
    is no path."""
    length = len(weights)
    row = np.full(length, -np.inf, dtype=links.dtype)
    row[0] = weights[0]
    rows, before = [row], []
    for _ in range(1, length):
        ways = row[:, None] + links
        before.append(ways.argmax(0))
        row = weights + ways.max(0)
        rows.append(row)
    at_end = np.array([of_row[-1] for of_row in rows])
    ranks = at_end / np.maximum(np.arange(1, length + 1, dtype=np.float64) - FRAME, 1) ** penalty
    found = []
    for best in np.argsort(-ranks, kind="stable")[: 1 + OTHERS].tolist():
        if at_end[best] == -np.inf:
            break
        path = [length - 1]
        for step in reversed(range(best)):
            path.append(int(before[step][path[-1]]))
        found.append(path[::-1])
    return found or [[]]


def graph_sample(
    outputs: Outputs, decoding: Mapping[str, Any], blank: bool, sources: Sequence[list[int]]
) -> list[Said]:
    """`natlab.decoding.kinds.graph_sample`: the same draws."""
    beta = decoding["beta"]
    found = []
    for row, length in enumerate(outputs["lengths"][:, 0].tolist()):
        links = outputs["links"][row, :length, :length].astype(np.float64)
        scores, tokens = outputs["scores"][row, 0, :length], outputs["said"][row, 0]
        seed = zlib.crc32(np.array(sources[row], dtype=np.int64).tobytes(), decoding["seed"])
        weights = cumulative(links, scores.astype(np.float64), decoding["temperature"], decoding["top_p"])
        ranked = []
        for path in drawn(weights, seed, decoding["samples"]):
            steps = float(links[path[:-1], path[1:]].sum()) if path[-1] == length - 1 else -np.inf
            said = spoken(path, tokens, scores)
            total = beta * float(scores[path].sum()) + (1 - beta) * steps
            ranked.append((total / max(1, len(said.tokens)), said))
        ranked.sort(key=lambda pair: -pair[0])  # of equal ones the first drawn
        found.append(best_of(said for _, said in ranked))
    return found


def cumulative(links: NDArray, scores: NDArray, temperature: float, top_p: float) -> NDArray:
    """The cumulative weights [L, L], whole numbers, by which the vertices after each vertex are drawn, as
    `natlab.kernels.dag_sample` has them, of links [L, L] and scores [L], float64."""
    likely = whole(np.exp(scores - scores.max()))
    likely = likely / max(1, likely.sum())
    exists = links > -np.inf
    mass = np.where(exists, whole(np.exp(np.minimum(links, 0)) + likely), 0)
    if top_p < 1:
        needed = np.maximum(np.ceil(mass.sum(1, keepdims=True) * top_p).astype(np.int64), 1)
        order = np.argsort(-mass, axis=1, kind="stable")
        greatest = np.take_along_axis(mass, order, 1)
        kept = np.zeros_like(exists)
        np.put_along_axis(kept, order, greatest.cumsum(1) - greatest < needed, 1)
        exists &= kept
    above = mass - np.where(exists, mass, 0).max(1, keepdims=True)
    return np.where(exists, whole(np.exp(above / (UNIT * temperature))), 0).cumsum(1)


def whole(probabilities: NDArray) -> NDArray:
    """In multiples of 1 / UNIT, rounded."""
    return (probabilities * UNIT + 0.5).astype(np.int64)


def drawn(weights: NDArray, seed: int, samples: int) -> list[list[int]]:
    """Distinct paths, in their order, of ``samples`` that are drawn by cumulative weights [L, L]."""
    last = len(weights) - 1
    at, paths = np.zeros(samples, dtype=np.int64), np.full((samples, last + 1), -1, dtype=np.int64)
    hypotheses = np.arange(samples)
    going = hypotheses
    paths[:, 0] = 0
    for step in range(1, last + 1):
        going = going[(at[going] < last) & (weights[at[going], -1] > 0)]
        if not len(going):
            break
        totals = weights[at[going], -1]
        number = np.minimum((uniform(seed, going, at[going]) * totals).astype(np.int64), totals - 1)
        at[going] = (weights[at[going]] <= number[:, None]).sum(1)
        paths[going, step] = at[going]
    found = dict.fromkeys(tuple(path[path >= 0].tolist()) for path in paths)
    return list(map(list, found))


def uniform(seed: int, hypotheses: NDArray, vertices: NDArray) -> NDArray:
    """Numbers from [0, 1) of a seed, hypotheses and vertices [N], as of `natlab.kernels.dag_sample`."""

    def mixed(bits: NDArray) -> NDArray:
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
            bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
        return bits

    counter = (hypotheses.astype(np.uint64) << np.uint64(32)) + vertices.astype(np.uint64) + np.uint64(1)
    with np.errstate(over="ignore"):
        bits = mixed(mixed(np.array([seed], dtype=np.uint64)) + counter * np.uint64(0x9E3779B97F4A7C15))
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


READINGS: dict[str, Callable[..., list[Said]]] = {
    "argmax": argmax,
    "collapse": collapse,
    "graph": graph,
    "graph_sample": graph_sample,
}
