import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from natlab.corpus import grammar
from natlab.corpus.exact import Distribution
from natlab.corpus.grammar import MODES
from natlab.metrics import target_bleu

tokens = st.lists(st.integers(1, 5), max_size=7)
METRIC = BLEU(tokenize="none", smooth_method="exp", effective_order=True)


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(tokens, min_size=n, max_size=n), min_size=1, max_size=4)))
def test_the_mean_over_references_is_sacrebleus(columns):
    targets, *references = columns
    found = target_bleu.target_bleu(targets, references)
    for n, target in enumerate(targets):
        scores = [
            METRIC.sentence_score(" ".join(map(str, target)), [" ".join(map(str, column[n]))]).score
            for column in references
            if column[n]
        ]
        if scores:
            assert found[n] == pytest.approx(sum(scores) / len(scores))
        else:
            assert np.isnan(found[n])


def test_batches_change_nothing(monkeypatch):
    sentences = [[1, 2, 3], [2, 2], [1, 3, 3, 4]] * 3
    expected = target_bleu.sentence_scores(sentences, sentences[1:] + sentences[:1])
    monkeypatch.setattr(target_bleu, "BATCH", 2)
    assert target_bleu.sentence_scores(sentences, sentences[1:] + sentences[:1]).tolist() == expected.tolist()


def test_the_exact_value_weighs_each_reference_by_its_probability():
    distributions = [Distribution(([(("a", "b", "c"), 0.25), (("a", "c"), 0.75)],)), Distribution(([(("b",), 1.0)],))]
    targets = [["a", "b", "c"], ["c", "b"]]

    def score(target, reference):
        return METRIC.sentence_score(" ".join(target), [" ".join(reference)]).score

    expected = target_bleu.Expected(distributions)
    each = [25 + 0.75 * score(targets[0], ("a", "c")), score(targets[1], ("b",))]
    assert expected(targets) == pytest.approx(each) and expected.signature == target_bleu.SIGNATURE
    assert expected.ceiling == pytest.approx((75 + 0.25 * score(("a", "c"), ("a", "b", "c")) + 100) / 2)


words = st.lists(st.sampled_from("abc"), min_size=1, max_size=7).map(tuple)


@given(st.lists(words, min_size=1, max_size=4, unique=True), st.lists(st.sampled_from("abcd"), max_size=9))
def test_the_expectation_is_sacrebleus(sentences, target):
    """Of words that no reference has, too, and of none."""
    p = 1 / len(sentences)
    scores = [METRIC.sentence_score(" ".join(target), [" ".join(sentence)]).score for sentence in sentences]
    expected = target_bleu.Expected([Distribution(([(sentence, p) for sentence in sentences],))])
    assert expected([target]) == pytest.approx([p * sum(scores)])


def test_the_mean_over_drawn_references_comes_to_the_exact_value():
    rng = random.Random(1)
    source = {"seed": 3, "pairs": 5, "valid": 0, "test": 8, "references": 0, "modes": dict.fromkeys(MODES, 0.6)}
    distributions = grammar.distributions({"kind": "grammar", **source}, "test")
    targets = [distribution.most_probable() for distribution in distributions]
    numbers = {}

    def numbered(sentences):
        return [[numbers.setdefault(word, len(numbers)) for word in words] for words in sentences]

    drawn = [numbered(distribution.draw(rng) for distribution in distributions) for _ in range(300)]
    found = target_bleu.target_bleu(numbered(targets), drawn).mean()
    assert found == pytest.approx(target_bleu.Expected(distributions)(targets).mean(), rel=0.05)


def test_of_too_many_targets_some_are_drawn_and_the_signature_says_so(monkeypatch):
    monkeypatch.setattr(target_bleu, "DRAWS", 3000)
    parts = [((".",), 0.2), (("a", "."), 0.5), (("b", "c", "."), 0.3)]
    product = Distribution((parts, parts))
    target = ("a", ".", "b", "c", ".")
    found, exactly = target_bleu.Expected([product]), target_bleu.Expected([Distribution((product.enumerated(),))])
    assert found([target]) == pytest.approx(exactly([target]), abs=1)
    assert found.signature == f"{target_bleu.SIGNATURE}|draws:3000" and exactly.signature == target_bleu.SIGNATURE


def test_a_target_without_a_reference_has_no_value_and_keeps_its_place():
    found = target_bleu.target_bleu([[1, 2], [3], [1, 2]], [[[1, 2], [], []], [[], [], [1, 2]]])
    assert found[0] == found[2] == pytest.approx(100) and np.isnan(found[1])
    assert np.isnan(target_bleu.target_bleu([[1]], [])).all() and len(target_bleu.target_bleu([[1]], [])) == 1
    assert target_bleu.sentence_scores([], []).shape == (0,)
