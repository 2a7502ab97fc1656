"""CTC against all alignments, enumerated, and worked out by hand."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.losses.objectives import canvas

from natlab import families
from natlab.losses.objectives.ctc import alignments

BLANK = 0


def collapsed(tokens):
    return [token for token, _ in itertools.groupby(tokens) if token != BLANK]


def enumerated(probabilities, target):
    """-log P of a target (list) under probabilities [L, V] of tokens and blank."""
    paths = itertools.product(range(probabilities.shape[1]), repeat=len(probabilities))
    total = sum(
        math.prod(float(probabilities[l, token]) for l, token in enumerate(path))
        for path in paths
        if collapsed(path) == target
    )
    return -math.log(total) if total else math.inf


def match_of(log_probs, targets):
    """[B, 1 + T, L] of log-probabilities [B, L, V] and targets [B, T]."""
    tokens = torch.cat([torch.full_like(targets[:, :1], BLANK), targets], 1)
    return log_probs.gather(2, tokens[:, None].expand(-1, log_probs.shape[1], -1)).transpose(1, 2)


@settings(max_examples=30, deadline=None)
@given(
    targets=st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=4), min_size=1, max_size=3),
    lengths=st.lists(st.integers(1, 5), min_size=3, max_size=3),
    seed=st.integers(0, 1000),
)
def test_it_sums_over_all_alignments_and_knows_the_impossible(targets, lengths, seed):
    lengths = torch.tensor(lengths[: len(targets)])
    generator = torch.Generator().manual_seed(seed)
    log_probs = torch.randn(len(targets), 5, 4, generator=generator, dtype=torch.double).mul(2).log_softmax(2)
    padded = torch.full((len(targets), 4), 1)  # what lies beyond a target may be anything
    for row, target in zip(padded, targets, strict=True):
        row[: len(target)] = torch.tensor(target)
    match = match_of(log_probs, padded).requires_grad_()
    nll = alignments(match, padded, lengths, torch.tensor(list(map(len, targets))))
    for b, target in enumerate(targets):
        expected = enumerated(log_probs[b, : lengths[b]].exp(), target)
        assert float(nll[b]) == pytest.approx(expected, rel=1e-9)
    (gradient,) = torch.autograd.grad(nll.masked_fill(nll.isinf(), 0).sum(), match)
    assert gradient.isfinite().all() and not gradient[nll.isinf()].any()


def test_its_gradient_is_that_of_the_log_probabilities_themselves():
    generator = torch.Generator().manual_seed(1)
    match = torch.randn(3, 4, 6, generator=generator, dtype=torch.double).sub(2).requires_grad_()
    targets, sizes = torch.tensor([[4, 4, 5], [6, 5, 1], [4, 5, 4]]), torch.tensor([3, 2, 3])
    lengths = torch.tensor([6, 3, 4])
    # equal tokens are one: the first of them is read, so the rows of the others must not matter to the sum
    torch.autograd.gradcheck(lambda m: alignments(m, targets, lengths, sizes), match)


def test_a_hand_worked_sum():
    """Two positions, "a": a a, a blank, blank a."""
    log_probs = torch.tensor([[[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]]], dtype=torch.double).log()
    nll = alignments(
        match_of(log_probs, torch.tensor([[1]])), torch.tensor([[1]]), torch.tensor([2]), torch.tensor([1])
    )
    assert float(nll) == pytest.approx(-math.log(0.3 * 0.6 + 0.3 * 0.1 + 0.5 * 0.6))


def test_a_target_that_does_not_fit_is_counted_and_left_out():
    """Three tokens, two of them equal, need four positions; the second sentence has one token and two positions."""
    net, objective = canvas.model("ctc", factor=0.75), families.load("objective", "ctc")
    batch = canvas.decoded(net, "ctc")
    cost = objective(batch, 0.0)
    assert batch.canvas.tolist() == [3, 2] and cost.possible.tolist() == [False, True]
    assert cost.predicted.tolist() == [0, 1] and cost.nll[0] == 0 < cost.nll[1]
    assert cost.values["impossible"].sums.tolist() == [1, 0] and cost.values["impossible"].counts.tolist() == [1, 1]
    cost.loss.backward()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)


def test_what_it_costs_without_an_input_is_what_it_is_given_by_the_first_pass():
    """And what all alignments of the model's own probabilities add up to."""
    net, objective = canvas.model("ctc"), families.load("objective", "ctc")
    prediction, target = canvas.prediction(net, "ctc")
    batch = canvas.decoded(net, "ctc")
    probabilities = net.logits(batch.states).double().softmax(2)
    cost = objective(batch, 0.1)
    torch.testing.assert_close(cost.nll, objective.nll(prediction.of(target), target), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(cost.loss, cost.nll.sum())
    for b, (length, tokens) in enumerate(zip([4, 2], [[5, 5, 7], [4]], strict=True)):
        assert float(cost.nll[b]) == pytest.approx(enumerated(probabilities[b, :length].detach(), tokens), rel=1e-5)


@pytest.mark.parametrize(
    ("shows", "row"),
    [("blank", [0, 5, 0, 5, 0, 7, 0]), ("nothing", [1, 5, 1, 5, 1, 7, 1]), ("token", [5, 5, 5, 5, 5, 7, 7])],
)
def test_what_a_revealed_blank_shows_is_an_option(shows, row, monkeypatch):
    net = canvas.model("ctc", factor=1.75)
    prediction, target = canvas.prediction(net, "ctc")
    best = torch.tensor([[-1, 0, -1, 1, -1, 2, -1], [0, -1, -1, -1, -1, -1, -1]])
    module = families.module("objective", "ctc")
    monkeypatch.setattr(f"{module}.ctc_best_alignment", lambda *_: (torch.zeros(2), best))
    aligned = families.load("objective", "ctc", shows=shows).align(target, prediction)
    assert aligned.shown[0].tolist() == row and aligned.tokens[0].tolist() == [0, 5, 0, 5, 0, 7, 0]
    assert aligned.tokens[1].tolist() == [4, 0, 0, 0, 1, 1, 1]  # 2 × 1.75 positions, rounded half up
    assert torch.equal(aligned.index, best)


def test_its_alignment_is_the_best_one():
    net = canvas.model("ctc")
    prediction, target = canvas.prediction(net, "ctc")
    aligned = families.load("objective", "ctc").align(target, prediction)
    probabilities = net.logits(prediction.of(target).states).softmax(2)[0]
    paths = [path for path in itertools.product([0, 5, 7], repeat=4) if collapsed(path) == [5, 5, 7]]
    best = max(paths, key=lambda path: math.prod(float(probabilities[l, token]) for l, token in enumerate(path)))
    assert tuple(aligned.tokens[0].tolist()) == best
    impossible = families.load("objective", "ctc").align(*reversed(canvas.prediction(canvas.model("ctc", 0.75), "ctc")))
    assert impossible.tokens[0].tolist() == [1, 1, 1] and impossible.tokens[1, 0] == 4


def test_a_batch_without_a_token_is_blanks_only():
    net, objective = canvas.model("ctc"), families.load("objective", "ctc")
    empty = torch.tensor([[2], [2]])
    cost = objective(canvas.decoded(net, "ctc", target=empty), 0.0)
    probabilities = net.logits(canvas.decoded(net, "ctc", target=empty).states).softmax(2)[:, :, BLANK]
    expected = -torch.stack([probabilities[0].prod(), probabilities[1, :2].prod()]).log()
    torch.testing.assert_close(cost.nll, expected, check_dtype=False, rtol=1e-5, atol=1e-5)
    prediction, target = canvas.prediction(net, "ctc", target=empty)
    for shows in ("blank", "token", "nothing"):
        aligned = families.load("objective", "ctc", shows=shows).align(target, prediction)
        assert aligned.index.eq(-1).all() and aligned.tokens[0].tolist() == [0, 0, 0, 0]
