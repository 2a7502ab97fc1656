"""What an ideal NAT loses, against hand-worked and enumerated values of small P(Y|X)."""

import itertools
from collections import defaultdict
from math import comb, log2

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from natlab.corpus.exact import Information, Marginals
from natlab.metrics import ideal
from natlab.proxy import registry

TWO_WAYS = [(("ein", "haus"), 0.5), (("das", "heim"), 0.5)]  # one word says the other


def losses(distribution, target, name="vanilla", many=1, **options):
    torch.manual_seed(0)
    found = ideal.losses([distribution] * many, [target] * many, registry.load("inputs", name, **options))
    return {key: value["value"] for key, value in found.items()}


def test_without_a_hint_each_word_costs_its_marginal_entropy():
    assert losses(TWO_WAYS, ("ein", "haus")) == {"ideal_loss": 1, "ideal_l_input": 0, "ideal_token_loss": 1}


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
    support = torch.tensor([["abc".index(word) for word in words] for words, _ in distribution])
    weights = torch.tensor([p for _, p in distribution], dtype=torch.double)
    found = ideal.conditional(support, weights, support[:1], masks).log2().neg().where(~masks, 0).sum(1).mean()
    assert found.item() == pytest.approx(bits, abs=1e-9)


@given(distributions())
def test_without_a_hint_the_expected_loss_is_the_sum_of_marginal_entropies(distribution):
    expected = sum(p * losses(distribution, words)["ideal_loss"] * 3 for words, p in distribution)
    assert expected == pytest.approx(Information.of(distribution).marginal_entropy, abs=1e-9)
    marginals = Marginals.of(distribution)
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
