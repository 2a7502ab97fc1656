"""Hypotheses of a model in training, against its graph enumerated."""

import dataclasses
import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests import plain
from tests.losses.objectives import canvas

from natlab.kernels import use
from natlab.losses.batch import Method, proxied, references_of
from natlab.losses.interface import Decoded
from natlab.losses.sampled import Drawing, longest_common, path_log_probs, rewards, string_log_probs
from natlab.models.graph import Graph

HOW = Drawing(400, 1.0, 1.0, 0.3, 1.0, 0.5, "path", None)  # so many that all of a small graph's paths come


@pytest.fixture(autouse=True)
def _kernels():
    with use("reference"):
        yield


def paths(length):
    for inner in itertools.chain.from_iterable(itertools.combinations(range(1, length - 1), n) for n in range(length)):
        yield (0, *inner, length - 1)


def enumerated(net, batch, beta):
    """For each sentence {what a path says: the score of its best path}, in nats over tokens."""
    links = net.links(batch.states, batch.canvas).detach()
    graph = Graph.of_states(net, batch.states, batch.canvas, links)
    log_probs = net.logits(batch.states).detach().double().log_softmax(2)
    made = []
    for b, length in enumerate(batch.canvas.tolist()):
        found, tokens = {}, graph.tokens[b].tolist()
        for path in paths(length):
            said = tuple(token for token, _ in itertools.groupby(tokens[vertex] for vertex in path[1:-1]))
            emitted = sum(float(log_probs[b, vertex, tokens[vertex]]) for vertex in path)
            along = sum(float(links[b, i, j]) for i, j in itertools.pairwise(path))
            score = (beta * emitted + (1 - beta) * along) / max(1, len(said))
            found[said] = max(score, found.get(said, score))
        made.append(found)
    return made


def listed(hypotheses, b):
    """[(what is said, its score)] of a sentence."""
    there = hypotheses.there[b]
    rows = zip(hypotheses.tokens[b][there], hypotheses.lengths[b][there].tolist(), strict=True)
    said = [tuple(tokens[:length].tolist()) for tokens, length in rows]
    return list(zip(said, hypotheses.scores[b][there].tolist(), strict=True))


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_each_thing_is_said_once_with_the_score_of_its_likeliest_path(beta):
    net = canvas.model("dag", factor=1.5)
    batch = canvas.decoded(net, "dag")
    made = dataclasses.replace(HOW, beta=beta)(batch)
    for b, expected in enumerate(enumerated(net, batch, beta)):
        found = listed(made, b)
        assert dict(found) == pytest.approx(expected, rel=1e-4) and len(found) == len(expected)
        assert made.distinct[b] == len(expected)
        assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_the_likeliest_stay_as_many_as_told():
    net = canvas.model("dag", factor=1.5)
    batch = canvas.decoded(net, "dag")
    every, some = HOW(batch), dataclasses.replace(HOW, keep=3 / 400)(batch)
    assert every.there[0].sum() > 3 and some.there[0].sum() == 3
    for b in range(2):
        assert listed(some, b) == listed(every, b)[:3]
    assert some.distinct.tolist() == every.distinct.tolist()


def test_what_is_revealed_changes_nothing():
    """Hypotheses are of the pass in which nothing is."""
    net = canvas.model("dag", factor=2)
    revealed = torch.arange(8) % 2 == 1
    plain, shown = (HOW(canvas.decoded(net, "dag", part)) for part in (None, revealed.expand(2, -1)))
    assert all(listed(plain, b) == listed(shown, b) for b in range(2))


def test_measured_a_sentence_says_the_same_in_any_batch_and_in_training_not_twice():
    net = canvas.model("dag", factor=3)
    few = dataclasses.replace(HOW, samples=8)
    together = few(canvas.decoded(net, "dag"))
    for b, length in ((0, 4), (1, 2)):
        part = canvas.SOURCE[b : b + 1, :length], canvas.TARGET[b : b + 1]
        alone = few(canvas.decoded(net, "dag", source=part[0], target=part[1]))
        for (said, score), (other, its) in zip(listed(alone, 0), listed(together, b), strict=True):
            assert said == other and score == pytest.approx(its, rel=1e-5)
    net.train()
    torch.manual_seed(0)
    batch = canvas.decoded(net, "dag")
    assert len({tuple(listed(few(batch), 0)) for _ in range(5)}) > 1


def test_sentences_above_alpha_have_none():
    net = canvas.model("dag", factor=2)
    batch = canvas.decoded(net, "dag")
    prediction, target = canvas.prediction(net, "dag")
    bits = prediction.objective.nll(prediction.of(target), target) / batch.lengths / math.log(2)
    low, high = bits.sort().values.tolist()
    for alpha, expected in (
        (low - 0.01, [True, True]),
        ((low + high) / 2, (bits == high).tolist()),
        (high + 0.01, [0, 0]),
    ):
        made = dataclasses.replace(HOW, alpha=alpha)(batch)
        assert made.left_out.tolist() == expected
        assert made.there.any(1).tolist() == [not left for left in expected]
        assert made.scores.isfinite().all()


def test_a_strings_probability_is_the_sum_over_the_paths_that_say_it():
    net = canvas.model("dag", factor=1.5)
    batch = canvas.decoded(net, "dag")
    made = dataclasses.replace(HOW, likelihood="string")(batch)
    links = net.links(batch.states, batch.canvas).detach()
    log_probs = net.logits(batch.states).detach().double().log_softmax(2)
    for b, length in enumerate(batch.canvas.tolist()):
        for said, score in listed(made, b):
            framed, total = (0, *said, 2), 0.0
            for path in paths(length):
                if len(path) == len(framed):
                    nats = sum(float(log_probs[b, vertex, token]) for vertex, token in zip(path, framed, strict=True))
                    total += math.exp(nats + sum(float(links[b, i, j]) for i, j in itertools.pairwise(path)))
            assert score == pytest.approx(math.log(total) / max(1, len(said)), rel=1e-4)


@pytest.mark.parametrize("likelihood", ["path", "string"])
def test_gradients(likelihood):
    net = canvas.model("dag", factor=1.5)
    batch = canvas.decoded(net, "dag")
    paths = torch.tensor([[[0, 2, 4, 5], [0, 5, -1, -1]], [[0, 1, 2, -1], [0, 2, -1, -1]]])
    tokens, there = torch.tensor([[[5, 4], [1, 1]], [[6, 1], [3, 1]]]), torch.tensor([[True, False], [True, True]])
    words = Graph.of_states(net, batch.states, batch.canvas, net.links(batch.states, batch.canvas)).tokens

    def scores(states, weight):
        links = net.links(states, batch.canvas)
        net.embedding.weight.data = weight.data
        if likelihood == "path":
            return path_log_probs(net, states, links, words, paths, 0.3)
        return string_log_probs(net, states, links, batch.canvas, tokens, there)

    states = batch.states.detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda s: scores(s, net.embedding.weight), states)
    net.zero_grad()
    scores(states, net.embedding.weight).sum().backward()
    found, step = net.embedding.weight.grad.clone(), 1e-6
    for row, column in ((5, 0), (2, 3), (0, 1)):
        ends = []
        for sign in (1, -1):
            weight = net.embedding.weight.detach().clone()
            with torch.no_grad():
                net.embedding.weight[row, column] += sign * step
                ends.append(float(scores(states, net.embedding.weight).sum()))
                net.embedding.weight.copy_(weight)
        assert float(found[row, column]) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-7)


def lcs(first, second):
    if not first or not second:
        return 0
    if first[-1] == second[-1]:
        return lcs(first[:-1], second[:-1]) + 1
    return max(lcs(first[:-1], second), lcs(first, second[:-1]))


@given(
    st.lists(
        st.tuples(*[st.lists(st.integers(4, 6), max_size=5)] * 2),
        min_size=1,
        max_size=4,
    )
)
def test_longest_common_subsequences(pairs):
    rows = [[[*row, *[4] * (6 - len(row))] for row in side] for side in zip(*pairs, strict=True)]
    lengths = [torch.tensor([len(row) for row in side]) for side in zip(*pairs, strict=True)]
    found = longest_common(torch.tensor(rows[0]), lengths[0], torch.tensor(rows[1]), lengths[1])
    assert found.tolist() == [lcs(first, second) for first, second in pairs]


def test_rewards():
    """Of the reference itself 1, of nothing in common 0; ROUGE-L's F1 of 2 in common of 2 and 3 tokens is 4 / 5."""
    net = canvas.model("dag", factor=2)
    batch = canvas.decoded(net, "dag")
    made = HOW(batch)
    made.tokens = torch.tensor([[[5, 5, 7], [5, 7, 1], [4, 1, 1]], [[4, 1, 1], [5, 1, 1], [1, 1, 1]]])
    made.lengths, made.there = torch.tensor([[3, 2, 1], [1, 1, 0]]), torch.ones(2, 3, dtype=torch.bool)
    assert rewards(made, batch, "rouge_l").tolist() == [[1, pytest.approx(0.8), 0], [1, 0, 0]]
    bleu = rewards(made, batch, "bleu")
    assert bleu[:, 0].tolist() == pytest.approx([1, 1]) and bleu[0, 2] == 0 and 0 < bleu[0, 1] < 1


def test_a_vanilla_model_says_its_argmax_under_noise():
    """Scored per token in the pass that it comes from; without noise all passes say the same."""
    torch.manual_seed(0)
    net = plain.nat(canvas.CONFIG).double().eval()
    spec = plain.spec(terms=(), input="vanilla")
    source, target = torch.tensor([[4, 5, 6, 2], [7, 2, 1, 1]]), torch.tensor([[5, 4, 2], [6, 2, 1]])
    made = proxied(net, source, references_of(net, target, {}), Method.of(spec), 0.0)
    states = net.decode(made.encoded, made.canvas)
    batch = Decoded(net, made.encoded, made.target, made.lengths, made.canvas, None, None, states, made.prediction)
    how = dataclasses.replace(HOW, samples=7, sigma=0.0)
    still = how(batch)
    assert still.distinct.tolist() == [1, 1] and still.there.sum(1).tolist() == [1, 1]
    log_probs = net.logits(states).detach().double().log_softmax(2)
    log_probs[:, :, :3] = -math.inf
    for b, length in enumerate([2, 1]):
        best = log_probs[b, :length].max(1)
        assert listed(still, b) == [(tuple(best.indices.tolist()), pytest.approx(float(best.values.mean()), rel=1e-5))]
    noisy = dataclasses.replace(how, sigma=3.0)(batch)
    assert noisy.distinct[0] > 1
    said = listed(noisy, 0)
    assert len(dict(said)) == len(said) and all(len(words) == 2 for words, _ in said)
    assert [score for _, score in said] == sorted((score for _, score in said), reverse=True)
    noisy.scores[noisy.there].sum().backward()
    assert net.embedding.weight.grad.any() and net.layers[0].cross.q.weight.grad.any()
