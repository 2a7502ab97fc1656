"""What an ideal NAT loses, against hand-worked and enumerated values of small P(Y|X)."""

import itertools
from collections import defaultdict
from math import comb, log2

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from natlab import families
from natlab.corpus.exact import Distribution, Information, Marginals
from natlab.measuring import ideal

TWO_WAYS = [(("ein", "haus"), 0.5), (("das", "heim"), 0.5)]  # one word says the other


def losses(distribution, target, name="vanilla", many=1, **options):
    torch.manual_seed(0)
    if not isinstance(distribution, Distribution):
        distribution = Distribution((distribution,))
    found = ideal.losses([distribution] * many, [target] * many, families.load("input", name, **options))
    return {key: value["value"] for key, value in found.items()}


def test_without_a_hint_each_word_costs_its_marginal_entropy():
    assert losses(TWO_WAYS, ("ein", "haus")) == {"ideal_loss": 1, "ideal_l_input": 0, "ideal_token_loss": 1}


@pytest.mark.parametrize("name", families.names("input"))
def test_any_input_is_measured_and_one_that_reveals_no_token_is_no_hint(name):
    found = losses(TWO_WAYS, ("ein", "haus"), name)
    assert found.keys() == {"ideal_loss", "ideal_l_input", "ideal_token_loss"}
    if "revealed tokens" not in families.trait("input", name, "offers"):
        assert found == losses(TWO_WAYS, ("ein", "haus"))


def test_half_of_two_words_that_say_each_other_leave_nothing_to_predict_and_cost_what_they_say():
    """One of two words is revealed, each as often: the other is certain. The mask costs 1 bit a position less the one
    bit of choosing between two, the revealed word 1 bit: 2 - 1 + 1 = 2 a sentence, 1 a token."""
    found = losses(TWO_WAYS, ("das", "heim"), "cmlm", many=40, ratio=0.5)
    assert found["ideal_loss"] == found["ideal_token_loss"] == 0
    assert found["ideal_l_input"] == pytest.approx(1, abs=0.02)


def test_lengths_are_given():
    longer = [*((words, p / 2) for words, p in TWO_WAYS), (("ein", "kleines", "haus"), 0.5)]
    assert losses(longer, ("ein", "haus"))["ideal_loss"] == 1
    assert losses(longer, ("ein", "kleines", "haus"))["ideal_loss"] == 0


@st.composite
def distributions(draw):
    """P(Y|X) over some targets of three words."""
    sentences = draw(st.lists(st.tuples(*[st.sampled_from("abc")] * 3), min_size=1, max_size=6, unique=True))
    weights = draw(st.lists(st.integers(1, 9), min_size=len(sentences), max_size=len(sentences)))
    return [(sentence, weight / sum(weights)) for sentence, weight in zip(sentences, weights, strict=True)]


@given(distributions(), st.integers(0, 2))
def test_the_loss_of_a_fixed_number_of_masks_is_the_mean_over_all_of_them(distribution, number):
    """By enumeration of all Z, in plain Python."""
    target = distribution[0][0]
    bits = 0.0
    for shown in itertools.combinations(range(3), number):
        agree = [(words, p) for words, p in distribution if all(words[i] == target[i] for i in shown)]
        total = sum(p for _, p in agree)
        for i in set(range(3)) - set(shown):
            bits -= log2(sum(p for words, p in agree if words[i] == target[i]) / total) / comb(3, number)
    masks = torch.tensor([[i in shown for i in range(3)] for shown in itertools.combinations(range(3), number)])
    lattice = ideal.Lattice(Distribution((distribution,)), 3)
    own = torch.tensor([[lattice.words[word] for word in target]])
    found = lattice.conditional(own, masks).log2().neg().where(~masks, 0).sum(1).mean()
    assert found.item() == pytest.approx(bits, abs=1e-9)


@given(distributions())
def test_without_a_hint_the_expected_loss_is_the_sum_of_marginal_entropies(distribution):
    expected = sum(p * losses(distribution, words)["ideal_loss"] * 3 for words, p in distribution)
    enumerated = Distribution((distribution,))
    assert expected == pytest.approx(Information.of(enumerated).marginal_entropy, abs=1e-9)
    marginals = Marginals.of(enumerated)
    for words, _ in distribution:
        assert losses(distribution, words)["ideal_loss"] * 3 == pytest.approx(marginals.bits(words)[1], abs=1e-9)


@pytest.mark.parametrize("options", [{}, {"reveal": "p_ref"}, {"reveal": "inverse"}, {"distance": "levenshtein"}])
def test_the_input_costs_its_divergence_which_is_never_negative_on_average(options):
    """KL(Q || P) of equation 11, over targets by their probabilities; and what it saves is less than all of L_NAT."""
    distribution = [(("a", "b", "c", "d"), 0.4), (("b", "a", "c", "d"), 0.3), (("a", "b", "d", "c"), 0.3)]
    mean = defaultdict(float)
    for words, p in distribution:
        for key, value in losses(distribution, words, "glat", many=10, start=1.0, end=1.0, **options).items():
            mean[key] += p * value
    assert mean["ideal_l_input"] > -0.01
    assert mean["ideal_loss"] < sum(p * losses(distribution, words)["ideal_loss"] for words, p in distribution)


@st.composite
def products(draw):
    """P(Y|X) over sentences of two or three parts of one to three words; a full stop ends each."""
    factors = []
    for _ in range(draw(st.integers(2, 3))):
        parts = draw(
            st.lists(st.lists(st.sampled_from("ab"), max_size=2).map(tuple), min_size=1, max_size=4, unique=True)
        )
        weights = draw(st.lists(st.integers(1, 9), min_size=len(parts), max_size=len(parts)))
        factors.append([((*part, "."), weight / sum(weights)) for part, weight in zip(parts, weights, strict=True)])
    return Distribution(tuple(factors))


@given(products(), st.data())
def test_a_product_has_the_conditionals_of_its_targets_enumerated(product, data):
    """P(t_i | t_Z, X, M) for any Z, P(y_i | X, M), and which targets are drawn."""
    listed = product.enumerated()
    target = data.draw(st.sampled_from([words for words, _ in listed]))
    length = len(target)
    lattice = ideal.Lattice(product, length)
    own = torch.tensor([[lattice.words[word] for word in target]])
    revealed = data.draw(st.lists(st.lists(st.booleans(), min_size=length, max_size=length), min_size=1, max_size=3))
    found = lattice.conditional(own, torch.tensor(revealed))
    marginals = lattice.marginals()
    of_length = [(words, p) for words, p in listed if len(words) == length]
    for row, shown in enumerate(revealed):
        agree = [(words, p) for words, p in of_length if all(words[i] == target[i] for i in range(length) if shown[i])]
        for i in range(length):
            share = sum(p for words, p in agree if words[i] == target[i]) / sum(p for _, p in agree)
            assert found[row, i].item() == pytest.approx(share)
    for position, expected in zip(marginals, Marginals.of(product).tokens[length], strict=True):
        assert {w: position[n].item() for w, n in lattice.words.items() if position[n]} == pytest.approx(expected)
    numbered = {tuple(lattice.words[word] for word in words) for words, _ in of_length}
    assert set(map(tuple, lattice.draw(20).tolist())) <= numbered


def test_targets_of_a_product_are_drawn_as_often_as_they_are_probable():
    parts = [((".",), 0.2), (("a", "."), 0.5), (("b", "."), 0.3)]
    product = Distribution((parts, parts, parts))
    torch.manual_seed(0)
    lattice = ideal.Lattice(product, 5)  # two of the three parts have a word of their own
    drawn = list(map(tuple, lattice.draw(20_000).tolist()))
    of_length = {words: p for words, p in product.enumerated() if len(words) == 5}
    shares = [
        (drawn.count(tuple(lattice.words[word] for word in words)) / 20_000, p / sum(of_length.values()))
        for words, p in of_length.items()
    ]
    assert sum(abs(share - p) for share, p in shares) / 2 < 0.015


def test_a_head_that_saw_only_masks_is_nearly_sure_of_them():
    """256 draws of 256 mask a position, and half a draw more of either kind is assumed."""
    found = losses(TWO_WAYS, ("das", "heim"), "cmlm", ratio=0.0)
    assert found["ideal_l_input"] == pytest.approx(-log2(256.5 / 257), rel=1e-3) and found["ideal_loss"] == 1
