"""The paired bootstrap: BLEU from statistics, and how sure a difference is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from natlab.report.bootstrap import score, share_better

SENTENCE = st.lists(st.sampled_from("a b c".split()), min_size=1, max_size=9).map(" ".join)


def statistics(hypotheses, references):
    """Each sentence's statistics, as sacreBLEU counts them."""
    metric = BLEU(tokenize="none", smooth_method="none", force=True)
    scores = [metric.corpus_score([h], [[r]]) for h, r in zip(hypotheses, references, strict=True)]
    return [[*s.counts, *s.totals, s.sys_len, s.ref_len] for s in scores]


@given(st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=8))
def test_bleu_of_summed_statistics_is_the_corpus(pairs):
    hypotheses, references = zip(*pairs, strict=True)
    expected = BLEU(tokenize="none", smooth_method="none", force=True).corpus_score(hypotheses, [references]).score
    assert score(np.sum(statistics(hypotheses, references), axis=0)) == pytest.approx(expected)


def test_better_everywhere_is_certain_and_equal_is_never_better():
    references = ["a b c d e"] * 6
    good, bad = statistics(references, references), statistics(["a b c d d"] * 6, references)
    assert share_better([good], [[bad]]) == 1 and share_better([bad], [[good]]) == 0
    assert share_better([good], [[good]]) == 0


def test_a_mean_of_values_by_the_normal_distribution():
    """Differences of mean 1 and deviation 10 over 100 sentences: one standard error, so 84 % of resamples."""
    rng = np.random.default_rng(1)
    base, noise = rng.normal(50, 30, 100), rng.normal(0, 10, 100)
    better = base + (noise - noise.mean()) / noise.std() * 10 + 1
    assert share_better([list(better)], [[list(base)]]) == pytest.approx(0.841, abs=0.04)


def test_seeds_are_averaged_and_the_best_of_the_others_counts():
    low, high, middle = [0.0] * 9, [10.0] * 9, [4.0] * 9
    assert share_better([low, high], [[middle, middle]]) == 1  # 5 against 4
    assert share_better([middle], [[low], [high]]) == 0
