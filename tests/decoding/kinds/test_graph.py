"""Paths through a model's graph against all paths, enumerated."""

import itertools

import pytest
import torch
from tests.losses.objectives import canvas

from natlab.decoding import decode, decode_corpus
from natlab.decoding.kinds.graph import OnePath
from natlab.kernels import dag_decode
from natlab.models.graph import Graph

STRATEGIES = ["greedy", "lookahead", "viterbi", "joint_viterbi"]


def paths(length):
    """All paths through a graph of so many vertices."""
    for inner in range(length - 1):
        for chosen in itertools.combinations(range(1, length - 1), inner):
            yield (0, *chosen, length - 1)


def graph_of(net, source):
    return Graph.of(net, net.encoder(source))


def best(graph, b, length, strategy, penalty):
    """What the path says that a strategy is to find in the graph of a sentence, of all paths where it weighs them."""
    links, scores = graph.links[b].tolist(), graph.scores[b].tolist()
    seen = [s * (strategy in ("lookahead", "joint_viterbi")) for s in scores]
    if "viterbi" in strategy:

        def rank(path):
            total = seen[0] + sum(links[i][j] + seen[j] for i, j in itertools.pairwise(path))
            return total / max(1, len(path) - 2) ** penalty

        path = max(paths(length), key=rank)
    else:
        path = [0]
        while path[-1] < length - 1:
            path.append(max(range(path[-1] + 1, length), key=lambda j: links[path[-1]][j] + seen[j]))
    said = [int(graph.tokens[b, vertex]) for vertex in path[1:-1]]
    return [token for token, _ in itertools.groupby(said)]


def test_vertices_say_their_likeliest_tokens_but_bos_and_eos():
    net = canvas.model("dag", factor=2)
    graph = graph_of(net, canvas.SOURCE)
    states = net.decode(net.encoder(canvas.SOURCE), torch.tensor([8, 4]))
    log_probs = net.logits(states).detach().double().log_softmax(2)
    for b, length in enumerate([8, 4]):
        assert graph.tokens[b, 0] == 0 and graph.tokens[b, length - 1] == 2
        inner = log_probs[b, 1 : length - 1, 3:].argmax(1) + 3
        assert graph.tokens[b, 1 : length - 1].tolist() == inner.tolist()
        own = log_probs[b].gather(1, graph.tokens[b, :, None])[:length, 0]
        torch.testing.assert_close(graph.scores[b, :length].double(), own, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("penalty", [0, 1, 2.5])
def test_each_strategy_finds_its_path(strategy, penalty):
    for seed in range(4):
        net = canvas.model("dag", factor=2, seed=seed)
        graph = graph_of(net, canvas.SOURCE)
        options = {"kind": "graph", "strategy": strategy, "length_penalty": penalty}
        for b, (length, found) in enumerate(zip([8, 4], decode(net, canvas.SOURCE, options), strict=True)):
            assert found.tolist() == best(graph, b, length, strategy, penalty)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_on_a_canvas_of_codes_the_path_is_of_the_graph_with_the_share_shown(strategy):
    said = {share: [] for share in (None, 0.0, 0.3, 0.5, 1.0)}
    for seed in range(4):
        net = canvas.coded(0.3, seed=seed)
        for share, of_share in said.items():
            found = decode(net, canvas.SOURCE, {"kind": "graph", "strategy": strategy, "shown": share})
            graph = canvas.coded_graph(0.3 if share is None else share, seed=seed)
            assert [row.tolist() for row in found] == [best(graph, b, n, strategy, 1) for b, n in enumerate([8, 4])]
            of_share += [row.tolist() for row in found]
    assert said.pop(None) == said[0.3]
    assert len(set(map(str, said.values()))) == 4  # what is shown makes a difference


@pytest.mark.parametrize("shown", [None, 0.0, 0.5])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_translations_do_not_depend_on_their_batch(strategy, shown):
    net = canvas.model("dag", factor=3) if shown is None else canvas.coded(0.4, factor=3)
    options = {"kind": "graph", "strategy": strategy, "shown": shown}
    sources = [torch.tensor([*range(3, 3 + n % 5), *[4] * (n - n % 5), 2]) for n in (1, 2, 7, 40)]
    together = decode_corpus(net, sources, options, max_tokens=100_000)
    for source, found in zip(sources, together, strict=True):
        (alone,) = decode(net, source[None], options)
        assert torch.equal(alone, found)


def test_a_source_of_one_token_may_have_a_single_path_and_one_of_a_thousand_a_large_graph():
    net = canvas.model("dag", factor=1)
    (nothing,) = decode(net, torch.tensor([[4, 2]]), {"kind": "graph"})
    assert len(nothing) == 0  # two vertices, bos and eos
    (something,) = decode(net, torch.tensor([[*[4] * 1000, 2]]), {"kind": "graph"})
    assert 0 < len(something) <= 999


def test_tokens_that_are_known_are_certain_at_their_vertices():
    net = canvas.model("dag", factor=2, seed=1)
    graph, lengths = graph_of(net, canvas.SOURCE), torch.tensor([8, 4])
    states = net.decode(net.encoder(canvas.SOURCE), lengths)
    known = torch.full((2, 8), net.config.pad)
    known[0, 3], known[1, 1] = 6, 5
    for strategy in STRATEGIES:
        kind = OnePath(strategy)
        for read, given in ((kind.read(net, states, lengths), None), (kind.read(net, states, lengths, known), known)):
            tokens, scores = graph.tokens.clone(), graph.scores.clone()
            if given is not None:
                tokens[0, 3], tokens[1, 1], scores[0, 3], scores[1, 1] = 6, 5, 0, 0
            changed = Graph(graph.links, tokens, scores, lengths)
            _, vertices = dag_decode(changed.links, scores, lengths, strategy, length_penalty=1.0, frame=2)
            assert [row.tolist() for row in read] == [row.tolist() for row in changed.said(vertices)]
