"""What a model of each family says, against the sum over all its raw outputs."""

import pytest
import torch
from tests.measuring.families import NATS, SOURCES, STRINGS, VOCABULARY, WORDS, made, said

from natlab.kernels import use
from natlab.measuring.exactly import log_likelihood, placements


@pytest.fixture(autouse=True)
def _kernels():
    with use("reference"):
        yield


def padded(targets):
    return torch.nn.utils.rnn.pad_sequence(list(map(torch.tensor, targets)), batch_first=True, padding_value=1)


@pytest.mark.parametrize("family", ["autoregressive", *NATS])
def test_it_is_the_sum_over_all_that_means_the_target(family):
    model, objective = made(family)
    asked = [(row, target) for target in STRINGS for row in (0, 1)]  # of both sources, mixed
    rows, targets = zip(*asked, strict=True)
    found = log_likelihood(model, objective, SOURCES, padded(targets), torch.tensor(rows)).exp()
    expected = [said(family, model, source[source.ne(1)]) for source in SOURCES]
    # in float32; the second source's canvas is too short for some
    for (row, target), q in zip(asked, found.tolist(), strict=True):
        assert q == pytest.approx(expected[row].get(target, 0.0), rel=2e-4, abs=1e-12)
    if family != "autoregressive":
        for row, of_row in enumerate(expected):
            others = sum(q for target, q in of_row.items() if not (target and set(target) <= set(WORDS)))
            longer = sum(q for target, q in of_row.items() if target not in STRINGS) - others
            own = sum(q for (of, _), q in zip(asked, found.tolist(), strict=True) if of == row)
            assert own + others + longer == pytest.approx(1, rel=1e-4)


def test_of_an_autoregressive_model_all_strings_but_longer_ones_have_probability_1():
    """Those of up to three symbols: what is left is what it says after three that do not end."""
    model, _ = made("autoregressive")
    every = [()]
    for _ in range(3):
        every += [(*target, token) for target in every for token in range(VOCABULARY) if token not in (1, 2)]
    strings = sorted(set(every) - {()})
    source = SOURCES[:1]
    found = log_likelihood(model, None, source, padded(strings), torch.zeros(len(strings), dtype=torch.long)).exp()
    with torch.no_grad():
        ended = float(model.logits(model(source, torch.tensor([[2]])))[0, 0].softmax(0)[[1, 2]].sum())
    assert 0 < float(found.sum()) < 1 - ended + 1e-6


@pytest.mark.parametrize("family", ["vanilla", "axe", "ctc"])
def test_what_has_no_canvas_is_impossible(family):
    """Four tokens, of three at most; and four equal ones, which need three blanks between them, of five positions."""
    model, objective = made(family)
    found = log_likelihood(model, objective, SOURCES[:1], torch.tensor([[3, 3, 3, 3]]), torch.tensor([0]))
    assert found.item() == -torch.inf


def test_tokens_are_placed_in_all_ways():
    """Two tokens in three positions: in any two of them, ε in the third."""
    log_probs = torch.tensor([[[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]]).log()
    blank = torch.tensor([[0.7, 0.8, 0.9]]).log()
    expected = 0.1 * 0.5 * 0.9 + 0.1 * 0.8 * 0.6 + 0.7 * 0.2 * 0.6
    three, two = torch.tensor([3]), torch.tensor([2])
    assert placements(log_probs, blank, three, two).exp().item() == pytest.approx(expected)
    assert placements(log_probs, blank, two, two).exp().item() == pytest.approx(0.1 * 0.5)
    assert placements(log_probs, blank, torch.tensor([1]), two).item() == -torch.inf
