"""Exact information quantities, against distributions worked by hand and a naive independent computation."""

import math
import random
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.corpus import exact
from natlab.corpus.exact import Distribution

# Two ways of the same length, which differ in every word, and one shorter way:
# M = 2 with probability 3/4 (ab, cd: given M, 2/3 and 1/3), M = 1 with 1/4.
BY_HAND = Distribution(([(("a", "b"), 0.5), (("c", "d"), 0.25), (("e",), 0.25)],))


@st.composite
def enumerations(draw, most=None):
    targets = draw(
        st.lists(
            st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(tuple),
            min_size=1,
            max_size=most,
            unique=True,
        )
    )
    weights = draw(st.lists(st.integers(1, 9), min_size=len(targets), max_size=len(targets)))
    return [(target, weight / sum(weights)) for target, weight in zip(targets, weights, strict=True)]


distributions = enumerations().map(lambda targets: Distribution((targets,)))


@st.composite
def products(draw):
    """Distributions of up to three factors. A full stop ends each alternative: so no target is made in two ways."""
    factors = draw(st.lists(enumerations(most=3), min_size=1, max_size=3))
    return Distribution(tuple([((*tokens, "."), p) for tokens, p in factor] for factor in factors))


def naive_conditional_tc(distribution):
    """KL(P || P(M) prod_i P(y_i|M)), from its definition, every marginal summed anew."""

    def probability(event):
        return sum(p for tokens, p in distribution.enumerated() if event(tokens))

    total = 0.0
    for target, p in distribution.enumerated():
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
    ("targets", "bits"),
    [
        ([(("a", "b"), 0.5), (("c", "d"), 0.5)], 1.0),  # two words chosen together
        ([(("a", "b", "c"), 0.5), (("d", "e", "f"), 0.5)], 2.0),  # three
        ([(("a",), 0.5), (("b", "c"), 0.5)], 0.0),  # the length says it all
        ([(("a", "b"), 0.25), (("a", "c"), 0.25), (("d", "b"), 0.25), (("d", "c"), 0.25)], 0.0),  # independent
        ([(("a", "b"), 1.0)], 0.0),  # one target
    ],
)
def test_conditional_tc_of_simple_distributions(targets, bits):
    values = exact.information([Distribution((targets,))])
    assert values["conditional_tc"] * values["mean_length"] == pytest.approx(bits, abs=1e-9)


@given(distributions)
def test_conditional_tc_is_the_divergence_from_the_factorised_model(distribution):
    values = exact.information([distribution])
    total = naive_conditional_tc(distribution)
    assert values["conditional_tc"] * values["mean_length"] == pytest.approx(total, abs=1e-9)
    assert total > -1e-9


@given(distributions)
def test_marginals_sum_to_one_and_cover_the_targets(distribution):
    marginals = exact.Marginals.of(distribution)
    assert sum(marginals.lengths.values()) == pytest.approx(1)
    (targets,) = distribution.factors
    assert set(marginals.lengths) == {len(tokens) for tokens, _ in targets}
    for length, positions in marginals.tokens.items():
        assert len(positions) == length
        for i, position in enumerate(positions):
            assert sum(position.values()) == pytest.approx(1)
            assert set(position) == {tokens[i] for tokens, _ in targets if len(tokens) == length}


def test_sources_weigh_equally_and_bits_are_divided_by_all_tokens():
    certain = Distribution(([(("a",) * 10, 1.0)],))
    values = exact.information([BY_HAND, certain])
    assert values["mean_length"] == pytest.approx((1.75 + 10) / 2)
    assert values["entropy"] == pytest.approx(1.5 / 11.75)


def test_ideal_losses_expect_the_exact_quantities():
    rng = random.Random(3)
    copies = [BY_HAND] * 4000
    losses = exact.ideal_losses(copies, [BY_HAND.draw(rng) for _ in copies])
    values = exact.information(copies)
    assert losses["at"] == pytest.approx(values["entropy"], rel=0.03)
    assert losses["nat"] == pytest.approx(values["marginal_entropy"], rel=0.03)
    assert losses["length"] == pytest.approx(values["length_entropy"], rel=0.03)


def test_draws_follow_the_distribution():
    rng = random.Random(5)
    draws = sorted(BY_HAND.draw(rng) for _ in range(20_000))
    shares = {target: len(list(group)) / 20_000 for target, group in groupby(draws)}
    assert sum(abs(shares[target] - p) for target, p in BY_HAND.enumerated()) / 2 < 0.01


def test_most_probable_takes_the_first_of_a_tie():
    assert BY_HAND.most_probable() == ("a", "b")
    assert Distribution(([(("x",), 0.5), (("y",), 0.5)],)).most_probable() == ("x",)


def test_ceiling_is_100_for_single_targets_and_lower_for_several():
    single = Distribution(([(tuple("abcdef"), 1.0)],))
    double = Distribution(([(tuple("abcdef"), 0.6), (tuple("uvwxyz"), 0.4)],))
    certain = exact.ceiling([single] * 50, references=1, rng=random.Random(1))
    assert certain["ceiling_bleu"] == pytest.approx(100) and certain["ceiling_bleu_std"] == pytest.approx(0, abs=1e-9)
    # Six tokens of every hypothesis agree with its reference or none does: BLEU is the share that does.
    half = exact.ceiling([double] * 400, references=3, rng=random.Random(1))
    assert half["ceiling_bleu"] == pytest.approx(60, abs=3)
    assert half["ceiling_bleu_multi"] == pytest.approx(100 * (1 - 0.4**4), abs=1)
    assert "ceiling_bleu_multi" not in exact.ceiling([double], references=0, rng=random.Random(1))


def test_a_product_worked_by_hand():
    """Two words or one, then two or one: that the middle one of three is "b" says how long the first part is."""
    product = Distribution(([(("a", "b"), 0.5), (("a",), 0.5)], [(("c", "d"), 0.5), (("c",), 0.5)]))
    assert product.size == 4
    assert dict(product.enumerated()) == {
        ("a", "b", "c", "d"): 0.25,
        ("a", "b", "c"): 0.25,
        ("a", "c", "d"): 0.25,
        ("a", "c"): 0.25,
    }
    marginals = exact.Marginals.of(product)
    assert marginals.lengths == {4: 0.25, 3: 0.5, 2: 0.25}
    assert marginals.tokens[3] == [{"a": 1}, {"b": 0.5, "c": 0.5}, {"c": 0.5, "d": 0.5}]
    information = exact.Information.of(product)
    assert information == exact.Information(entropy=2, length_entropy=1.5, marginal_entropy=0.5 * 2, length=3)


@given(products())
def test_a_product_has_the_quantities_of_its_targets_enumerated(product):
    listed = product.enumerated()
    assert len({tokens for tokens, _ in listed}) == product.size == len(listed)
    enumerated = Distribution((listed,))
    assert vars(exact.Information.of(product)) == pytest.approx(vars(exact.Information.of(enumerated)), abs=1e-9)
    marginals, expected = exact.Marginals.of(product), exact.Marginals.of(enumerated)
    assert marginals.lengths == pytest.approx(expected.lengths)
    assert marginals.tokens.keys() == expected.tokens.keys()
    for length, positions in expected.tokens.items():
        for position, expected_position in zip(marginals.tokens[length], positions, strict=True):
            assert position == pytest.approx(expected_position)
    for tokens, p in listed:
        assert product.probability(tokens) == pytest.approx(p)
    assert product.probability(("a", "a", "a", "a", "a")) == 0
    assert product.probability(product.most_probable()) == pytest.approx(max(p for _, p in listed))


def test_draws_of_a_product_follow_its_targets_enumerated():
    product = Distribution(([(("a", "b"), 0.5), (("a",), 0.5)], [(("c", "d"), 0.9), (("c",), 0.1)]))
    rng = random.Random(5)
    draws = [product.draw(rng) for _ in range(20_000)]
    assert sum(abs(draws.count(target) / 20_000 - p) for target, p in product.enumerated()) / 2 < 0.01


@given(products(), st.randoms(use_true_random=False))
def test_ideal_losses_of_a_product_are_those_of_its_targets_enumerated(product, rng):
    target = product.draw(rng)
    enumerated = Distribution((product.enumerated(),))
    assert exact.ideal_losses([product], [target]) == pytest.approx(
        exact.ideal_losses([enumerated], [target]), abs=1e-9
    )
