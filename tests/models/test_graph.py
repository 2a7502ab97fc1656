"""What a graph says, by hand."""

import pytest
import torch
from tests import plain

from natlab.kernels import Samples, use
from natlab.models.graph import Graph, framed
from natlab.models.transformer import Config

INF = torch.inf


def test_vertices_say_their_likeliest_tokens_between_bos_and_eos():
    """With states [B, L, d] that are the logits: the output layer is the identity."""
    torch.manual_seed(0)
    net = plain.nat(Config(6, 12, 1, 1, 2, 0.0, 6, 6, True), lengths={"name": "source", "factor": 2}, links=True)
    net.embedding.weight.data = torch.eye(6)
    states = torch.randn(2, 4, 6)
    states[:, :, :3] += 5  # bos, padding and eos would be likelier than all words
    states[1, 1, :4] -= 40  # a word whose probability is 1 to the last bit, and no more than 1
    states[1, 1, 5] += 40
    links = torch.randn(2, 4, 4, requires_grad=True)
    graph = Graph.of_states(net, states, torch.tensor([4, 3]), links)
    best = (states[:, :, 3:].argmax(2) + 3).tolist()
    assert graph.tokens.tolist() == [[0, *best[0][1:3], 2], [0, best[1][1], 2, best[1][3]]]
    expected = states.log_softmax(2).gather(2, graph.tokens[:, :, None])[:, :, 0]
    torch.testing.assert_close(graph.scores, expected)
    assert float(graph.scores.max()) <= 0 and not graph.links.requires_grad
    assert torch.equal(graph.links, links) and graph.lengths.tolist() == [4, 3]
    doubled = Graph.of_states(net, states, torch.tensor([4, 3]), links.double())
    assert doubled.scores.dtype == torch.float64


def test_a_model_makes_a_graph_of_its_own_length_and_links():
    torch.manual_seed(0)
    net = plain.nat(Config(8, 16, 1, 1, 2, 0.0, 8, 8, True), lengths={"name": "source", "factor": 2}, links=True).eval()
    with use("reference"):
        source = net.encoder(torch.tensor([[4, 5, 2], [6, 2, 1]]))
        graph, lengths = Graph.of(net, source), torch.tensor([6, 4])
        states = net.decode(source, lengths)
        expected = net.links(states, lengths)
    assert graph.lengths.tolist() == [6, 4]
    torch.testing.assert_close(graph.links, expected)
    assert torch.equal(graph.tokens, Graph.of_states(net, states, lengths, expected).tokens)


def graph():
    """Of 6 vertices that say bos, 7, 7, 8, 7, eos."""
    return Graph(torch.zeros(1, 6, 6), torch.tensor([[0, 7, 7, 8, 7, 2]]), torch.zeros(1, 6), torch.tensor([6]))


PATHS = [[0, 1, 2, 3, 5], [0, 2, 4, 5, -1], [0, 5, -1, -1, -1], [0, 1, 3, 4, 5]]
SAID = [[7, 8], [7], [], [7, 8, 7]]


def test_a_path_says_what_lies_between_bos_and_eos_repeats_being_one():
    for path, said in zip(PATHS, SAID, strict=True):
        (found,) = graph().said(torch.tensor([path]))
        assert found.tolist() == said
    tokens, said = graph().spoken(torch.tensor([PATHS]))
    assert [row[mask].tolist() for row, mask in zip(tokens[0], said[0], strict=True)] == SAID


def test_a_score_weighs_tokens_and_transitions_and_divides_by_what_is_said():
    drawn = Samples(
        paths=torch.tensor([PATHS]),
        scores=torch.tensor([[-1.0, -2, -3, -4]]),
        transitions=torch.tensor([[-5.0, -6, -7, -8]]),
    )
    found = graph().scored(drawn, 0.25)
    expected = [(0.25 * -1 + 0.75 * -5) / 2, 0.25 * -2 + 0.75 * -6, 0.25 * -3 + 0.75 * -7, (0.25 * -4 + 0.75 * -8) / 3]
    assert found[0].tolist() == pytest.approx(expected)


def test_targets_are_framed_by_bos_and_eos():
    said, lengths = framed(torch.tensor([[7, 8, 9], [7, 1, 1], [1, 1, 1]]))
    assert said.tolist() == [[0, 7, 8, 9, 2], [0, 7, 2, 1, 1], [0, 2, 1, 1, 1]] and lengths.tolist() == [5, 3, 2]
