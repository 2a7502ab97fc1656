"""Ordering modes: which orders, how probable, and that nothing but the order of the words is uncertain."""

import random
from collections import Counter

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from natlab.corpus import exact, grammar
from natlab.corpus.grammar import Grammar, Recipe, sample_source, sentence
from natlab.corpus.ordering import PARTS, Reordered, reordered
from natlab.corpus.tokenise import tokeniser

# OaXE, appendix A.2
LISTED = {2: [0.53, 0.47], 3: [0.23, 0.44, 0.33], 4: [0.17, 0.28, 0.14, 0.41], 5: [0.14, 0.25, 0.13, 0.39, 0.09]}
words = st.lists(st.integers(0, 1000).map(str), min_size=PARTS, max_size=20, unique=True)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (0, "a b c d e f g ."),
        (1, "b c d e f g a ."),
        (2, "c d e f g a b ."),
        (3, "e f g a b c d ."),
        (4, "f g a b c d e ."),
    ],
)
def test_orders_of_seven_words(order, expected):
    assert " ".join(reordered(tuple("abcdefg."), order)) == expected


@given(words)
def test_each_order_says_all_words_and_has_another_one_at_each_position(words):
    orders = [reordered((*words, "."), order) for order in range(PARTS)]
    assert orders[0] == (*words, ".")
    assert all(sorted(order[:-1]) == sorted(words) and order[-1] == "." for order in orders)
    assert all(len(set(at)) == PARTS for at in list(zip(*orders, strict=True))[:-1])


@pytest.mark.parametrize("count", LISTED)
def test_shipped_datasets_are_the_appendixs(count):
    """Modes of order, and no others, with the listed probabilities."""
    source = yaml.safe_load(open(f"config/datasets/grammar_order_{count}.yaml", encoding="utf-8"))["source"]
    plain = yaml.safe_load(open("config/datasets/grammar_ende_plain.yaml", encoding="utf-8"))["source"]
    assert source == plain | {"orders": LISTED[count]}
    entropy = exact.entropy(LISTED[count])
    for distribution in grammar.distributions(source | {"valid": 50}, "valid"):
        (targets,) = distribution.factors
        assert sorted(p for _, p in targets) == pytest.approx(sorted(LISTED[count]))
        assert len({tuple(sorted(tokens)) for tokens, _ in targets}) == 1
        # each word but the full stop is as uncertain as the order; a word that is said twice is less so
        (usual, _), *_ = targets
        information = exact.Information.of(distribution)
        if len(set(usual)) == len(usual):
            assert information.marginal_entropy == pytest.approx(entropy * (len(usual) - 1))
        assert information.entropy == pytest.approx(entropy) and information.length_entropy == 0


def test_samples_follow_the_distribution():
    model = Reordered(Grammar({"fronting": 1.0, "synonyms": 0.5}), [2, 1, 1])
    source = sample_source(random.Random(3))
    rng = random.Random(1)
    draws = Counter(model.sample(source, rng) for _ in range(20_000))
    (targets,) = model.distribution(source).factors
    assert sum(p for _, p in targets) == pytest.approx(1) and set(draws) <= {tokens for tokens, _ in targets}
    assert sum(abs(draws[tokens] / 20_000 - p) for tokens, p in targets) / 2 < 0.03


def test_moses_tokenisation_gives_the_reordered_tokens():
    read = tokeniser("moses", "de", lowercase=True)
    recipe = Recipe(0, 400, 0, seed=2, references=0, modes={}, orders=LISTED[5])
    model = recipe.translations()
    for source in recipe.sources()["valid"]:
        for tokens, _ in model.distribution(source).factors[0]:
            assert read(sentence(tokens)).split() == list(grammar.lowered(tokens))
