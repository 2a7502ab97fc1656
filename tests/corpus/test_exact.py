"""Exact information quantities, against distributions worked by hand and a naive independent computation."""

import math
import random
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.corpus import exact

# Two ways of the same length, which differ in every word, and one shorter way:
# M = 2 with probability 3/4 (ab, cd: given M, 2/3 and 1/3), M = 1 with 1/4.
BY_HAND = [(("a", "b"), 0.5), (("c", "d"), 0.25), (("e",), 0.25)]


@st.composite
def distributions(draw):
    targets = draw(
        st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(tuple), min_size=1, unique=True)
    )
    weights = draw(st.lists(st.integers(1, 9), min_size=len(targets), max_size=len(targets)))
    return [(target, weight / sum(weights)) for target, weight in zip(targets, weights, strict=True)]


def naive_conditional_tc(distribution):
    """KL(P || P(M) prod_i P(y_i|M)), from its definition, every marginal summed anew."""

    def probability(event):
        return sum(p for tokens, p in distribution if event(tokens))

    total = 0.0
    for target, p in distribution:
        m = len(target)
        factorised = probability(lambda y, m=m: len(y) == m)
        for i, token in enumerate(target):
            same = probability(lambda y, m=m, i=i, token=token: len(y) == m and y[i] == token)
            factorised *= same / probability(lambda y, m=m: len(y) == m)
        total += p * math.log2(p / factorised)
    return total


def test_quantities_worked_by_hand():
    third = -(2 / 3) * math.log2(2 / 3) - (1 / 3) * math.log2(1 / 3)
    found = exact.Information.of(BY_HAND)
    assert found.entropy == pytest.approx(1.5)
    assert found.length_entropy == pytest.approx(-0.75 * math.log2(0.75) + 0.25 * 2)
    assert found.marginal_entropy == pytest.approx(0.75 * 2 * third)
    assert found.length == pytest.approx(1.75)
    # Given M = 2 the second word follows from the first: one of the two entropies is lost.
    per_token = exact.information([BY_HAND])
    assert per_token["conditional_tc"] == pytest.approx(0.75 * third / 1.75)


@pytest.mark.parametrize(
    ("distribution", "bits"),
    [
        ([(("a", "b"), 0.5), (("c", "d"), 0.5)], 1.0),  # two words chosen together
        ([(("a", "b", "c"), 0.5), (("d", "e", "f"), 0.5)], 2.0),  # three
        ([(("a",), 0.5), (("b", "c"), 0.5)], 0.0),  # the length says it all
        ([(("a", "b"), 0.25), (("a", "c"), 0.25), (("d", "b"), 0.25), (("d", "c"), 0.25)], 0.0),  # independent
        ([(("a", "b"), 1.0)], 0.0),  # one target
    ],
)
def test_conditional_tc_of_simple_distributions(distribution, bits):
    values = exact.information([distribution])
    assert values["conditional_tc"] * values["mean_length"] == pytest.approx(bits, abs=1e-9)


@given(distributions())
def test_conditional_tc_is_the_divergence_from_the_factorised_model(distribution):
    values = exact.information([distribution])
    total = naive_conditional_tc(distribution)
    assert values["conditional_tc"] * values["mean_length"] == pytest.approx(total, abs=1e-9)
    assert total > -1e-9


@given(distributions())
def test_marginals_sum_to_one_and_cover_the_targets(distribution):
    marginals = exact.Marginals.of(distribution)
    assert sum(marginals.lengths.values()) == pytest.approx(1)
    assert set(marginals.lengths) == {len(tokens) for tokens, _ in distribution}
    for length, positions in marginals.tokens.items():
        assert len(positions) == length
        for i, position in enumerate(positions):
            assert sum(position.values()) == pytest.approx(1)
            assert set(position) == {tokens[i] for tokens, _ in distribution if len(tokens) == length}


def test_sources_weigh_equally_and_bits_are_divided_by_all_tokens():
    certain = [(("a",) * 10, 1.0)]
    values = exact.information([BY_HAND, certain])
    assert values["mean_length"] == pytest.approx((1.75 + 10) / 2)
    assert values["entropy"] == pytest.approx(1.5 / 11.75)


def test_ideal_losses_expect_the_exact_quantities():
    rng = random.Random(3)
    copies = [BY_HAND] * 4000
    losses = exact.ideal_losses(copies, [exact.draw(BY_HAND, rng) for _ in copies])
    values = exact.information(copies)
    assert losses["at"] == pytest.approx(values["entropy"], rel=0.03)
    assert losses["nat"] == pytest.approx(values["marginal_entropy"], rel=0.03)
    assert losses["length"] == pytest.approx(values["length_entropy"], rel=0.03)


def test_draws_follow_the_distribution():
    rng = random.Random(5)
    draws = sorted(exact.draw(BY_HAND, rng) for _ in range(20_000))
    shares = {target: len(list(group)) / 20_000 for target, group in groupby(draws)}
    assert sum(abs(shares[target] - p) for target, p in BY_HAND) / 2 < 0.01


def test_most_probable_takes_the_first_of_a_tie():
    assert exact.most_probable(BY_HAND) == ("a", "b")
    assert exact.most_probable([(("x",), 0.5), (("y",), 0.5)]) == ("x",)


def test_ceiling_is_100_for_single_targets_and_lower_for_several():
    single = [(tuple("abcdef"), 1.0)]
    double = [(tuple("abcdef"), 0.6), (tuple("uvwxyz"), 0.4)]
    certain = exact.ceiling([single] * 50, references=1, rng=random.Random(1))
    assert certain["ceiling_bleu"] == pytest.approx(100) and certain["ceiling_bleu_std"] == pytest.approx(0, abs=1e-9)
    # Six tokens of every hypothesis agree with its reference or none does: BLEU is the share that does.
    half = exact.ceiling([double] * 400, references=3, rng=random.Random(1))
    assert half["ceiling_bleu"] == pytest.approx(60, abs=3)
    assert half["ceiling_bleu_multi"] == pytest.approx(100 * (1 - 0.4**4), abs=1)
    assert "ceiling_bleu_multi" not in exact.ceiling([double], references=0, rng=random.Random(1))
