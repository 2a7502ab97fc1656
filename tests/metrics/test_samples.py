"""Several hypotheses of a sentence."""

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.corpus.exact import Distribution
from natlab.metrics import bleu
from natlab.metrics.samples import allowed_best, distinct, oracle_bleu

words = st.lists(st.sampled_from("abc"), min_size=1, max_size=6).map(" ".join)
sentences = st.lists(st.tuples(st.lists(words, min_size=1, max_size=4), words), min_size=1, max_size=4)


@settings(max_examples=50, deadline=None)
@given(sentences)
def test_the_oracle_takes_the_best_hypothesis_by_sentence_bleu(given):
    hypotheses, references = map(list, zip(*given, strict=True))
    best = [
        max(of, key=lambda h, r=reference: round(sacrebleu.sentence_bleu(h, [r], tokenize="none").score, 9))
        for of, reference in given
    ]
    found = oracle_bleu(hypotheses, references)
    assert found == bleu.tokenised_bleu(best, [references])


def test_an_empty_hypothesis_is_worth_nothing():
    assert oracle_bleu([["", "a b c d"]], ["a b c d"])["value"] == pytest.approx(100)


def test_of_three_best_ones_so_many_are_allowed():
    of = Distribution([[(("a",), 0.5), (("b",), 0.5)]])
    found = allowed_best([["a", "c", "b", "a"], ["c"]], [of, of])
    assert found == {"value": 50, "unit": "%", "by_sentence": [[200, 3], [0, 1]]}


def test_hypotheses_that_are_alike_count_once():
    assert distinct([["a", "b", "a"], ["a"]])["value"] == 1.5
