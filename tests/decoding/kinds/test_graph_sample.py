"""Paths drawn from a model's graph, and the best of them, against all paths."""

import itertools

import pytest
import torch
from tests.losses.objectives import canvas

from natlab.decoding import decode, decode_corpus
from natlab.decoding.kinds.graph_sample import GraphSample, step_by_step
from natlab.kernels import dag_sample
from natlab.models.graph import Graph


def all_scored(graph, b, length, beta):
    """{what a path says: the score of its best path}, of all paths through a graph."""
    found = {}
    links, scores, tokens = (part[b].tolist() for part in (graph.links, graph.scores, graph.tokens))
    for inner in itertools.chain.from_iterable(itertools.combinations(range(1, length - 1), n) for n in range(length)):
        path = (0, *inner, length - 1)
        said = tuple(token for token, _ in itertools.groupby(tokens[vertex] for vertex in inner))
        of_links = sum(links[i][j] for i, j in itertools.pairwise(path))
        score = (beta * sum(scores[j] for j in path) + (1 - beta) * of_links) / max(1, len(said))
        found[said] = max(score, found.get(said, score))
    return found


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.5, 1.0])
def test_of_enough_draws_the_best_is_the_best_of_all_paths(beta):
    """All of which come, warm and unfiltered, among so many draws from graphs so small."""
    for seed in range(3):
        net = canvas.model("dag", factor=1.5, seed=seed)  # of 6 and 3 vertices
        kind = GraphSample(samples=2000, beta=beta, temperature=1.0, top_p=1.0)
        graph = Graph.of(net, net.encoder(canvas.SOURCE))
        every = kind.hypotheses(net, canvas.SOURCE)
        for b, (length, found) in enumerate(zip([6, 3], kind(net, canvas.SOURCE), strict=True)):
            expected = all_scored(graph, b, length, beta)
            assert {tuple(tokens.tolist()) for tokens, _ in every[b]} == set(expected)
            for tokens, score in every[b]:
                assert score == pytest.approx(expected[tuple(tokens.tolist())], rel=1e-5)
            scores = [score for _, score in every[b]]
            assert scores == sorted(scores, reverse=True)
            assert expected[tuple(found.tolist())] == pytest.approx(max(expected.values()), rel=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_on_a_canvas_of_codes_paths_are_of_the_graph_with_the_share_shown(share):
    for seed in range(3):
        kind = GraphSample(samples=2000, temperature=1.0, top_p=1.0, shown=share)
        graph = canvas.coded_graph(share, factor=1.5, seed=seed)
        for b, found in enumerate(kind.hypotheses(canvas.coded(0.3, factor=1.5, seed=seed), canvas.SOURCE)):
            expected = all_scored(graph, b, [6, 3][b], 0.5)
            scores = {tuple(tokens.tolist()): score for tokens, score in found}
            assert scores == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shown", [None, 0.5])
def test_translations_do_not_depend_on_their_batch_but_on_the_seed(shown):
    net = canvas.model("dag", factor=3) if shown is None else canvas.coded(0.4, factor=3)
    warm = {"kind": "graph_sample", "temperature": 1.0, "top_p": 1.0, "shown": shown}
    sources = [torch.tensor([*range(3, 3 + n % 5), *[4] * (n - n % 5), 2]) for n in (1, 2, 7, 40)]

    def found(size, **options):
        made = decode_corpus(net, sources, warm | options, 10**6, size)
        return [target.tolist() for target in made]

    assert found(1) == found(4)
    assert found(4, samples=1) != found(4, samples=1, seed=2)


def test_a_sure_and_cold_draw_is_one_path():
    """However many there are; and it follows transitions and tokens together."""
    net = canvas.model("dag", factor=2)
    options = {"kind": "graph_sample", "temperature": 1e-4, "top_p": 0.001}
    made = [decode(net, canvas.SOURCE, options | {"samples": samples}) for samples in (1, 50)]
    assert [tokens.tolist() for tokens in made[0]] == [tokens.tolist() for tokens in made[1]]
    graph = Graph.of(net, net.encoder(canvas.SOURCE))
    for b, (length, found) in enumerate(zip([8, 4], made[0], strict=True)):
        likely = graph.scores[b, :length].exp() / graph.scores[b, :length].exp().sum()
        path = [0]
        while path[-1] < length - 1:
            after = graph.links[b, path[-1], :length].exp() + likely
            path.append(path[-1] + 1 + int(after[path[-1] + 1 :].argmax()))
        said = [int(graph.tokens[b, vertex]) for vertex in path[1:-1]]
        assert found.tolist() == [token for token, _ in itertools.groupby(said)]


def test_a_graph_of_a_single_path_and_a_large_one():
    net = canvas.model("dag", factor=1)
    assert [len(tokens) for tokens in decode(net, torch.tensor([[4, 2]]), {"kind": "graph_sample"})] == [0]
    (something,) = decode(net, torch.tensor([[*[4] * 1000, 2]]), {"kind": "graph_sample"})
    assert 0 < len(something) <= 999


def test_step_by_step_paths_come_as_often_as_all_at_once():
    """Filtered and warm, of 8 and 4 vertices: each path among many draws, and what the model thinks of it."""
    net = canvas.model("dag", factor=2)
    graph = Graph.of(net, net.encoder(canvas.SOURCE))
    options = graph.links, graph.scores, graph.lengths, torch.tensor([1, 2]), 4000, 0.3, 0.7
    counts = []
    for sample in (dag_sample, step_by_step):
        drawn, found = sample(*options), [{}, {}]
        for b, k in itertools.product(range(2), range(4000)):
            path = tuple(vertex for vertex in drawn.paths[b, k].tolist() if vertex >= 0)
            times, *_ = found[b].get(path, (0,))
            found[b][path] = times + 1, float(drawn.transitions[b, k]), float(drawn.scores[b, k])
        counts.append(found)
    for once, stepwise in zip(*counts, strict=True):
        for path in once.keys() | stepwise.keys():
            (n, *values), (m, *others) = once.get(path, (0,)), stepwise.get(path, (0,))
            assert abs(n - m) < 5 * (n + m) ** 0.5  # two binomial counts of the same probability
            if values and others:
                assert values == pytest.approx(others, rel=1e-4)


def test_a_sure_step_is_the_same_one():
    net = canvas.model("dag", factor=2)
    options = {"kind": "graph_sample", "temperature": 1e-3, "top_p": 0.001, "samples": 3}
    both = [decode(net, canvas.SOURCE, options | {"stepwise": stepwise}) for stepwise in (True, False)]
    assert [target.tolist() for target in both[0]] == [target.tolist() for target in both[1]]
    sources = [row[row.ne(1)] for row in canvas.SOURCE]
    warm = {"kind": "graph_sample", "temperature": 1.0, "top_p": 1.0, "samples": 5, "stepwise": True}
    one, two = (
        [target.tolist() for target in decode_corpus(net, sources, warm, max_sentences=size)] for size in (1, 2)
    )
    assert one == two
