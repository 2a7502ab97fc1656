"""Proxy inputs on hand-worked examples, and their probabilities against enumeration and counting."""

import itertools
from math import comb, log

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from natlab import families
from natlab.proxy import subsets
from natlab.proxy.inputs.glat import levenshtein

PAD = 1
INPUTS = {
    "vanilla": {},
    "cmlm": {},
    "cmlm of a fixed ratio": {"ratio": 0.4},
    "cmlm of one at least": {"least": 1},
    "glat": {},
    "glat with Bernoulli draws": {"count": "bernoulli"},
    "glat by Levenshtein distance": {"distance": "levenshtein"},
    "glat by P_ref": {"reveal": "p_ref"},
    "glat by 1 - P_ref": {"reveal": "inverse"},
    "glat of two at least": {"least": 2},
}


def load(name):
    return families.load("input", name.split()[0], **INPUTS[name])


def test_vanilla_reveals_nothing_and_that_is_certain(certain):
    target = torch.tensor([[4, 5], [6, 1]])
    assert load("vanilla")(target, certain(target)) is None
    found = load("vanilla").log_probability(None, target, certain(target))
    assert found.tolist() == [0, 0] and found.dtype == torch.double


def test_glat_reveals_half_of_the_wrong_tokens_at_first_and_three_tenths_at_last(certain):
    target = torch.tensor([[4, 5, 6, 7, 8, 9, 4, 5, 6, 7]])
    wrong_everywhere, glat = torch.full_like(target, 3), load("glat")
    assert glat(target, certain(wrong_everywhere)).sum() == 5  # floor(0.5 * 10)
    assert glat(target, certain(wrong_everywhere, progress=1.0)).sum() == 3  # floor(0.3 * 10)
    assert glat(target, certain(wrong_everywhere, progress=0.5)).sum() == 4


def test_glat_rounds_down_and_counts_errors_only(certain):
    target = torch.tensor([[4, 5, 6, 7], [4, 5, 1, 1]])
    revealed = load("glat")(target, certain([[4, 9, 9, 9], [4, 5, 9, 9]]))
    assert revealed.sum(1).tolist() == [1, 0]  # floor(0.5 * 3), floor(0.5 * 0)


def test_glat_by_levenshtein_distance_forgives_a_shift(certain):
    target, shifted = torch.tensor([[4, 5, 6, 7, 8, 9]]), [[3, 4, 5, 6, 7, 8]]
    assert load("glat")(target, certain(shifted)).sum() == 3  # floor(0.5 * 6)
    assert load("glat by Levenshtein distance")(target, certain(shifted)).sum() == 1  # floor(0.5 * 2)


@given(st.lists(st.tuples(st.lists(st.integers(4, 6), min_size=5, max_size=5), st.integers(0, 5)), min_size=2))
def test_levenshtein_distance_is_the_least_number_of_edits(sentences):
    tokens, lengths = (torch.tensor(part) for part in zip(*sentences, strict=True))
    found = levenshtein(tokens, tokens.flip(0), torch.minimum(lengths, lengths.flip(0)))
    for first, second, length, distance in zip(
        tokens.tolist(), tokens.flip(0).tolist(), torch.minimum(lengths, lengths.flip(0)).tolist(), found.tolist(),
        strict=True,
    ):  # fmt: skip
        edits = [[max(i, j) * (i * j == 0) for j in range(length + 1)] for i in range(length + 1)]
        for i, j in itertools.product(range(1, length + 1), repeat=2):
            substituted = edits[i - 1][j - 1] + (first[i - 1] != second[j - 1])
            edits[i][j] = min(edits[i - 1][j] + 1, edits[i][j - 1] + 1, substituted)
        assert distance == edits[length][length]


def test_cmlm_reveals_any_number_but_all_and_each_as_often(certain):
    target = torch.full((30_000, 5), 4)
    number = load("cmlm")(target, certain(torch.zeros_like(target))).sum(1)
    assert number.unique().tolist() == [0, 1, 2, 3, 4]
    torch.testing.assert_close(number.bincount() / len(target), torch.full((5,), 0.2), atol=0.02, rtol=0)


def test_cmlm_of_a_fixed_ratio_reveals_that_part_rounded_down(certain):
    target = torch.tensor([[4, 5, 6, 7, 8], [4, 5, 6, 7, 1], [4, 5, 1, 1, 1]])
    assert load("cmlm of a fixed ratio")(target, certain(target)).sum(1).tolist() == [2, 1, 0]


@pytest.mark.parametrize("count", ["floor", "bernoulli"])
def test_as_many_as_asked_are_revealed_at_least_but_never_all(certain, count):
    torch.manual_seed(0)
    target = torch.tensor([[4, 5, 6, 7], [4, 5, 1, 1], [4, 1, 1, 1]]).repeat(2000, 1)
    glat = families.load("input", "glat", least=2, count=count)
    often = glat(target, certain(target)).sum(1).view(-1, 3).double().mean(0)
    torch.testing.assert_close(often, torch.tensor([2.0, 1.0, 0.0], dtype=torch.double), atol=0.1, rtol=0)
    number = families.load("input", "cmlm", least=3)(target, certain(target)).sum(1).view(-1, 3)
    assert number.unique(dim=0).tolist() == [[3, 1, 0]]
    assert families.load("input", "cmlm", ratio=0.25, least=2)(target, certain(target)).sum(1)[:3].tolist() == [
        2,
        1,
        0,
    ]


@pytest.mark.parametrize("name", [name for name in INPUTS if name != "vanilla"])
@given(seed=st.integers(0, 10**6), progress=st.floats(0, 1))
def test_padding_is_never_revealed_and_what_is_drawn_is_possible(foreseen, name, seed, progress):
    torch.manual_seed(seed)
    lengths = torch.randint(1, 9, (5,))
    target = torch.randint(4, 9, (5, int(lengths.max())))
    target = target.masked_fill(torch.arange(target.shape[1]) >= lengths[:, None], PAD)
    prediction, proxy = foreseen(3 * torch.randn(5, 8, 9), progress), load(name)
    revealed = proxy(target, prediction)
    assert not (revealed & target.eq(PAD)).any()
    assert proxy.log_probability(revealed, target, prediction).isfinite().all()


@pytest.mark.parametrize("name", [name for name in INPUTS if name.startswith("glat") and "least" not in INPUTS[name]])
def test_glat_reveals_nothing_when_all_is_right(certain, name):
    target = torch.tensor([[4, 5, 6], [7, 8, 1]])
    revealed = load(name)(target, certain(target))
    assert not revealed.any()
    assert load(name).log_probability(revealed, target, certain(target)).tolist() == pytest.approx([0, 0])


@pytest.mark.parametrize("count", ["floor", "bernoulli"])
def test_glat_chooses_positions_evenly(certain, count):
    torch.manual_seed(0)
    target = torch.full((20_000, 5), 4)
    revealed = families.load("input", "glat", start=0.4, count=count)(target, certain(torch.zeros_like(target)))
    torch.testing.assert_close(revealed.double().mean(0), torch.full((5,), 0.4, dtype=torch.double), atol=0.02, rtol=0)


@pytest.mark.parametrize("name", INPUTS)
def test_probabilities_of_all_subsets_are_those_they_are_drawn_with_and_add_up_to_1(foreseen, name):
    """Q(Z | T, X) by enumeration: each subset's probability is how often it is drawn."""
    torch.manual_seed(0)
    draws, target = 20_000, torch.tensor([[4, 5, 6, 7, 8]])
    logits, proxy = 2 * torch.randn(1, 5, 9), load(name)
    found = proxy(target.expand(draws, -1), foreseen(logits.expand(draws, -1, -1)))
    if found is None:
        assert proxy.log_probability(None, target, foreseen(logits)).tolist() == [0]
        return
    every = torch.tensor(list(itertools.product([False, True], repeat=5)))
    probability = proxy.log_probability(every, target.expand(32, -1), foreseen(logits.expand(32, -1, -1))).exp()
    assert probability.sum() == pytest.approx(1)
    often = (found[:, None] == every).all(2).double().mean(0)
    assert found.any() and (probability > 0).sum() > 1
    torch.testing.assert_close(probability, often, atol=0.015, rtol=0)


@given(st.lists(st.floats(1e-4, 1), min_size=2, max_size=6), st.data())
def test_successive_draws_without_replacement_have_the_probability_of_all_their_orders(weights, data):
    count = data.draw(st.integers(1, len(weights)))
    drawn = data.draw(st.permutations(range(len(weights))))[:count]
    by_order = 0.0
    for order in itertools.permutations(drawn):
        left, probability = sum(weights), 1.0
        for position in order:
            probability *= weights[position] / left
            left -= weights[position]
        by_order += probability
    revealed = torch.zeros(1, len(weights), dtype=torch.bool)
    revealed[0, drawn] = True
    found = subsets.successive_log_probability(
        revealed, torch.tensor([weights], dtype=torch.double), torch.ones_like(revealed), torch.tensor([count])
    )
    assert found.item() == pytest.approx(log(by_order), abs=1e-7)


def test_even_weights_make_successive_draws_even_for_long_sentences():
    inside = torch.ones(3, 300, dtype=torch.bool)
    revealed = torch.arange(300) < torch.tensor([[1], [150], [299]])
    count = revealed.sum(1)
    found = subsets.successive_log_probability(revealed, torch.full((3, 300), 0.01), inside, count)
    expected = [-log(comb(300, number)) for number in count.tolist()]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.double), atol=1e-6, rtol=0)


def test_what_is_never_drawn_is_impossible(certain):
    target, all_wrong = torch.tensor([[4, 5, 6, 7]]), certain([[3, 3, 3, 3]])
    everything = torch.ones(1, 4, dtype=torch.bool)
    for name in ("cmlm", "cmlm of a fixed ratio", "glat", "glat by P_ref"):
        assert load(name).log_probability(everything, target, all_wrong).item() == -torch.inf


@pytest.mark.parametrize("reveal, first", [("p_ref", 0.8), ("inverse", 0.2)])
def test_glat_reveals_in_proportion_to_p_ref_or_to_its_complement(foreseen, reveal, first):
    """P(t_i | X) is 0.8 and 0.2, so one prediction is wrong, and one token is revealed: which, the two options say in
    opposite ways."""
    target = torch.tensor([[4, 5]])
    logits = torch.full((1, 2, 9), -30.0)
    logits[0, 0, 4], logits[0, 0, 8], logits[0, 1, 5], logits[0, 1, 8] = torch.tensor([0.8, 0.2, 0.2, 0.8]).log()
    glat = families.load("input", "glat", start=1.0, reveal=reveal)
    torch.manual_seed(0)
    drawn = glat(target.expand(5000, -1), foreseen(logits.expand(5000, -1, -1)))
    assert drawn.sum(1).unique().tolist() == [1]
    assert drawn[:, 0].double().mean().item() == pytest.approx(first, abs=0.03)
    found = glat.log_probability(torch.tensor([[True, False]]), target, foreseen(logits))
    assert found.item() == pytest.approx(log(first), abs=1e-4)


def test_glats_bernoulli_draw_of_a_sentence_of_one_token_is_as_likely_as_the_share_says(certain):
    target, glat = torch.tensor([[4]]), families.load("input", "glat", start=1.0, count="bernoulli")
    wrong = certain([[3]])
    assert all(glat(target, wrong).item() for _ in range(20))
    assert glat.log_probability(torch.tensor([[True]]), target, wrong).item() == 0


def test_positions_of_no_weight_are_drawn_last_but_are_drawn():
    weights, inside = torch.tensor([[0.0, 0.5, 0.0, 0.5, 9.0]]), torch.tensor([[True] * 4 + [False]])
    for count, certainly in ((2, [[False, True, False, True, False]]), (4, [[True] * 4 + [False]])):
        assert subsets.successive(weights, inside, torch.tensor([count])).tolist() == certainly
        of_all = subsets.successive_log_probability(torch.tensor(certainly), weights, inside, torch.tensor([count]))
        assert of_all.item() == pytest.approx(0, abs=1e-4)


def test_a_subset_outside_or_of_another_size_is_impossible():
    inside, count = torch.tensor([[True, True, False]]), torch.tensor([1])
    for revealed, possible in (
        ([True, False, False], True),
        ([False, False, True], False),
        ([True, True, False], False),
    ):
        revealed = torch.tensor([revealed])
        even = subsets.even_log_probability(revealed, inside, count)
        successive = subsets.successive_log_probability(revealed, torch.ones(1, 3), inside, count)
        expected = log(1 / 2) if possible else -torch.inf
        assert even.item() == pytest.approx(expected) and successive.item() == pytest.approx(expected)


def test_cmlm_never_reveals_all_of_a_sentence_that_is_shorter_than_its_batch(certain):
    target = torch.tensor([[4, 5, 6], [4, 5, 1]])
    revealed = torch.tensor([[True, True, False], [True, True, False]])
    found = load("cmlm").log_probability(revealed, target, certain(target))
    assert found.tolist() == [pytest.approx(log(1 / 9)), -torch.inf]
