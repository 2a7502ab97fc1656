"""`natlab graphs`: the graphs that a model makes of the first sentences of test, to look at (DA-Transformer).

Of each vertex its likeliest words, how many of the paths come by it, and where it leads; and the paths that decoding
takes.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from natlab.errors import UserError
from natlab.files import write_json

STRATEGIES = ("lookahead", "joint_viterbi")  # step by step, and the best path (`natlab.kernels.dag_decode`)
WORDS, LINKS = 3, 3  # that are kept of a vertex
SELDOM = 0.01  # vertices that so few paths come by are left out, but for those of the paths kept
DIGITS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, help="fairseq data folder of the corpus")
    parser.add_argument("--sentences", type=int, default=50, help="the first so many of test")
    parser.add_argument("--out", required=True, help="the JSON file to write")


def run(args: argparse.Namespace) -> None:
    """Write the graphs. UserError for a model that makes none."""
    from natlab.measuring.data import Data, device
    from natlab.models.load import load

    model, _ = load(args.model, device())
    if getattr(model, "links", None) is None:
        raise UserError(f"{args.model}: has no links, so that it makes no graphs; name a model that has")
    data = Data(args.data)
    sources = data.sources("test")
    first = [sources[number].long() for number in range(min(args.sentences, len(sources)))]
    write_json(args.out, {"sentences": [graph(model, source, data.target.__getitem__) for source in first]})


def graph(model: Any, source: Any, symbol: Callable[[int], str]) -> dict[str, Any]:
    """The graph of a source [S]. "vertices": {number: {"words": [[word, probability]], the likeliest first, "visited":
    the probability that a path by its transitions comes by, "next": [[vertex, probability]], the likeliest first}};
    "paths": {strategy: numbers of vertices}. The first vertex says bos, the last eos, which no other says."""
    import torch

    from natlab.decoding.kinds.graph import FRAME
    from natlab.kernels import dag_decode, use
    from natlab.models.graph import Graph

    with torch.inference_mode(), use("reference"):  # they are few, so no kernels need be built
        encoded = model.encoder(source[None].to(model.device))
        lengths = model.lengths.likely(encoded, 1)[:, 0]
        states = model.decode(encoded, lengths)  # [1, L, d]
        made = Graph.of_states(model, states, lengths, model.links(states, lengths))
        log_probs = model.logits(states).float().log_softmax(2)[0]  # [L, V]
        log_probs[:, [model.config.pad, model.config.bos, model.config.eos]] = -torch.inf
        likeliest = log_probs.exp().topk(WORDS)
        transitions = made.links[0].exp().cpu()  # [L, L]
        paths = {}
        for strategy in STRATEGIES:
            _, found = dag_decode(made.links, made.scores, made.lengths, strategy, frame=FRAME)
            paths[strategy] = [vertex for vertex in found[0].tolist() if vertex >= 0]
    length = len(transitions)
    visited = transitions.new_zeros(length)
    visited[0] = 1
    for vertex in range(1, length):  # all before it are known
        visited[vertex] = visited[:vertex] @ transitions[:vertex, vertex]
    ends = {0: [[symbol(model.config.bos), 1.0]], length - 1: [[symbol(model.config.eos), 1.0]]}
    on_paths = {vertex for path in paths.values() for vertex in path}
    vertices = {}
    for vertex in range(length):
        if visited[vertex] < SELDOM and vertex not in on_paths:
            continue
        inner = zip(*(part[vertex].tolist() for part in (likeliest.indices, likeliest.values)), strict=True)
        values, following = transitions[vertex].topk(min(LINKS, length))
        vertices[vertex] = {
            "words": ends.get(vertex) or [[symbol(word), _round(p)] for word, p in inner],
            "visited": _round(float(visited[vertex])),
            "next": _pairs(following.tolist(), values.tolist()),
        }
    return {"vertices": vertices, "paths": paths}


def _pairs(vertices: Sequence[int], probabilities: Sequence[float]) -> list[list]:
    pairs = [[vertex, _round(p)] for vertex, p in zip(vertices, probabilities, strict=True)]
    return [pair for pair in pairs if pair[1] > 0]


def _round(probability: float) -> float:
    return round(probability, DIGITS)
