"""The graph's objective against all paths, enumerated."""

import itertools
import math

import pytest
import torch
from tests.losses.objectives import canvas

from natlab import families
from natlab.models.graph import framed

SAID = {0: [0, 5, 5, 7, 2], 1: [0, 4, 2]}


def paths(length, tokens):
    """All paths of so many tokens through a graph, from its first vertex to its last."""
    return [(0, *inner, length - 1) for inner in itertools.combinations(range(1, length - 1), tokens - 2)]


def enumerated(log_probs, links, length, said, forced=None):
    """{path: its probability} under log-probabilities [L, V] and links [L, L]; ``forced``: {vertex: token's number}."""
    made = {}
    for path in paths(length, len(said)):
        total = sum(float(links[a, b]) for a, b in itertools.pairwise(path))
        for number, (vertex, token) in enumerate(zip(path, said, strict=True)):
            if forced and vertex in forced:
                total += 0.0 if forced[vertex] == number else -math.inf
            else:
                total += float(log_probs[vertex, token])
        made[path] = math.exp(total)
    return made


def parts(net, batch):
    log_probs = net.logits(batch.states).double().log_softmax(2).detach()
    return log_probs, net.links(batch.states, batch.canvas).detach()


def test_a_target_is_framed():
    said, lengths = framed(torch.tensor([[5, 6, 7], [4, 1, 1]]))
    assert said.tolist() == [[0, 5, 6, 7, 2], [0, 4, 2, 1, 1]] and lengths.tolist() == [5, 3]


def test_it_sums_over_all_paths_and_weighs_sentences_alike():
    net, objective = canvas.model("dag", factor=2), families.load("objective", "dag")
    batch = canvas.decoded(net, "dag")
    log_probs, links = parts(net, batch)
    cost = objective(batch, 0.1)
    for b, length in enumerate([8, 4]):
        total = sum(enumerated(log_probs[b], links[b], length, SAID[b]).values())
        assert float(cost.nll[b]) == pytest.approx(-math.log(total), rel=1e-5)
    assert cost.predicted.tolist() == [3, 1]
    each = cost.nll / torch.tensor([5.0, 3.0])  # bos and eos are said, too
    assert float(cost.loss / cost.predicted.sum()) == pytest.approx(float(each.mean()), rel=1e-6)
    prediction, target = canvas.prediction(net, "dag")
    torch.testing.assert_close(objective.nll(prediction.of(target), target), cost.nll, rtol=1e-5, atol=1e-5)


def test_all_targets_of_a_graph_have_probability_1_in_all():
    """Whatever it may say: of any length, of all words."""
    net, objective = canvas.model("dag", factor=1), families.load("objective", "dag")
    source = torch.tensor([[4, 5, 6, 2]])
    targets = [list(t) + [2] for length in range(1, 3) for t in itertools.product(range(3, 8), repeat=length)]
    total, others = 0.0, 0.0
    for target in targets:
        prediction, made = canvas.prediction(net, "dag", source, torch.tensor([target]))
        total += float((-objective.nll(prediction.of(made), made)).exp())
    batch = canvas.decoded(net, "dag", source=source, target=torch.tensor([[5, 2]]))
    log_probs, links = (part[0] for part in parts(net, batch))
    for tokens in range(2, 5):  # what is not such a target: a special symbol anywhere, or no token at all
        for said in itertools.product(range(8), repeat=tokens):
            plain = said[0] == 0 and said[-1] == 2 and len(said) > 2 and all(token >= 3 for token in said[1:-1])
            others += 0.0 if plain else sum(enumerated(log_probs, links, 4, said).values())
    assert total + others == pytest.approx(1, abs=1e-5) and total > 1e-6


def test_the_best_path_shows_what_may_be_shown_and_what_is_shown_is_certain():
    net, objective = canvas.model("dag", factor=2), families.load("objective", "dag")
    prediction, target = canvas.prediction(net, "dag")
    aligned = objective.align(target, prediction)
    at = prediction.of(target)
    log_probs, links = net.logits(at.states).double().log_softmax(2), at.links
    for b, length in enumerate([8, 4]):
        found = enumerated(log_probs[b], links[b], length, SAID[b])
        best = max(found, key=found.get)
        shown = {l: int(aligned.index[b, l]) for l in range(8) if aligned.index[b, l] >= 0}
        assert shown == {vertex: number for number, vertex in enumerate(best)}
        assert [int(aligned.tokens[b, l]) for l in best] == SAID[b] and int(aligned.tokens[b].ne(1).sum()) == len(best)
    revealed = aligned.index.ge(0) & (torch.arange(8) % 2 == 1)  # some of them
    assert revealed.any()
    batch = canvas.decoded(net, "dag", revealed)
    cost, (log_probs, links) = objective(batch, 0.0), parts(net, batch)
    for b, length in enumerate([8, 4]):
        forced = {l: int(aligned.index[b, l]) for l in range(8) if revealed[b, l]}
        total = sum(enumerated(log_probs[b], links[b], length, SAID[b], forced).values())
        assert float(cost.nll[b]) == pytest.approx(-math.log(total), rel=1e-5)


def test_a_target_longer_than_its_graph_is_counted_and_left_out():
    net, objective = canvas.model("dag", factor=1), families.load("objective", "dag")
    source, target = torch.tensor([[4, 2, 1], [4, 5, 2]]), torch.tensor([[5, 2], [4, 2]])
    cost = objective(canvas.decoded(net, "dag", source=source, target=target), 0.0)
    assert cost.possible.tolist() == [False, True] and cost.predicted.tolist() == [0, 1]
    assert cost.values["impossible"].counts.tolist() == [1, 1]
    assert cost.values["impossible"].sums.tolist() == [1, 0] and cost.nll[0] == 0 < cost.nll[1]
    cost.loss.backward()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)
    prediction, made = canvas.prediction(net, "dag", source, target)
    assert objective.nll(prediction.of(made), made).isinf().tolist() == [True, False]
    assert objective.align(made, prediction).index[0].tolist() == [-1, -1, -1]
    none = objective(canvas.decoded(net, "dag", source=source[:1], target=target[:1]), 0.0)
    assert float(none.loss) == 0 and none.predicted.tolist() == [0]


def test_its_gradient():
    net, objective = canvas.model("dag", factor=1.5), families.load("objective", "dag")
    batch = canvas.decoded(net, "dag")
    weights = net.links.query.weight

    def loss(states, query):
        batch.states, net.links.query.weight.data = states, query.data
        return objective(batch, 0.0).loss

    states = batch.states.detach().requires_grad_()
    torch.autograd.gradcheck(lambda s: loss(s, weights), states)


def test_a_graph_with_a_single_path_is_that_path():
    """Two vertices, bos and eos: no target fits; three: one token."""
    net, objective = canvas.model("dag", factor=1.5), families.load("objective", "dag")
    batch = canvas.decoded(net, "dag", source=torch.tensor([[4, 2]]), target=torch.tensor([[6, 2]]))
    log_probs, _ = parts(net, batch)
    expected = -(log_probs[0, 0, 0] + log_probs[0, 1, 6] + log_probs[0, 2, 2])
    # from the first vertex a path may also jump to the last: the transition to the second is what it costs besides
    links = net.links(batch.states, batch.canvas)[0]
    torch.testing.assert_close(objective(batch, 0.0).nll[0].double(), expected - links[0, 1] - links[1, 2])
