"""The paired bootstrap: BLEU from statistics, and how sure a difference is with other sentences and seeds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from natlab.report.bootstrap import RESAMPLES, noise, resampled, score, seed_weights, share

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


def share_better(better, *others):
    """How sure it is that the first system is above all others, each a list of its seeds' statistics of sentences."""
    values = []
    for system in (better, *others):
        of_seeds = np.stack([resampled(statistics, "test") for statistics in system], axis=1)
        values.append((of_seeds * seed_weights(len(system))).sum(axis=1))
    return share(values[0] - np.max(values[1:], axis=0))


def test_better_everywhere_is_certain_and_equal_is_a_tie():
    references = ["a b c d e"] * 6
    good, bad = statistics(references, references), statistics(["a b c d d"] * 6, references)
    assert share_better([good], [bad]) == 1 and share_better([bad], [good]) == 0
    assert share_better([good], [good]) == 0.5
    assert share(np.array([np.nan, 1.0, -1.0])) == 0.5


def test_a_mean_of_values_by_the_normal_distribution():
    """Differences of mean 1 and deviation 10 over 100 sentences: one standard error, so 84 % of resamples."""
    rng = np.random.default_rng(1)
    base, noise = rng.normal(50, 30, 100), rng.normal(0, 10, 100)
    better = base + (noise - noise.mean()) / noise.std() * 10 + 1
    assert share_better([list(better)], [list(base)]) == pytest.approx(0.841, abs=0.04)


def test_sums_over_counts_are_weighed_by_their_counts():
    found = resampled([[30.0, 10], [1.0, 1]], "test")  # 3 and 1 bits a token
    assert set(np.round(found, 6)) == {3, 1, round(31 / 11, 6)}


def test_the_same_sentences_are_drawn_under_one_name_and_others_under_another():
    values = list(range(50))
    assert (resampled(values, "a/test") == resampled(values, "a/test")).all()
    assert abs(np.corrcoef(resampled(values, "a/test"), resampled(values, "b/test"))[0, 1]) < 0.15


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_weighted_seeds_have_students_distribution(seeds):
    """A mean over seeds by Student's t: the shares of resamples beyond its tabled quantiles."""
    values = np.random.default_rng(seeds).normal(3, 2, seeds)
    weights = seed_weights(seeds)
    assert weights.shape == (RESAMPLES, seeds) and weights.sum(axis=1) == pytest.approx(1)
    scaled = (weights @ values - values.mean()) / (values.std(ddof=1) / seeds**0.5)
    quantile = {2: 6.314, 3: 2.920, 5: 2.132}[seeds]  # of 95 %, with one degree of freedom less than seeds
    assert (scaled > quantile).mean() == pytest.approx(0.05, abs=0.02)
    assert (scaled < -quantile).mean() == pytest.approx(0.05, abs=0.02)


def test_both_levels_together_have_the_variance_of_both():
    """Many seeds: the variance of seeds' means over their number, and that of sentences over theirs (two random
    effects); a difference of equals, so that nothing of what one seed does on one sentence is in it."""
    rng = np.random.default_rng(4)
    seeds, sentences = rng.normal(0, 1, 30), rng.normal(0, 4, 200)
    values = seeds[:, None] + sentences
    found = (np.stack([resampled(list(of), "test") for of in values], axis=1) * seed_weights(30)).sum(axis=1)
    expected = seeds.var(ddof=1) / 30 * 29 / 27 + sentences.var() / 200  # t with 29 degrees of freedom: 29 / 27
    assert found.var() == pytest.approx(expected, rel=0.12) and found.mean() == pytest.approx(values.mean(), abs=0.05)


@pytest.mark.parametrize(
    ("seeds", "of_seeds", "of_sentences", "of_both", "expected"),
    [
        (1, 0.0, 1.0, 0.0, 0.05),
        (2, 1.0, 0.0, 0.0, 0.05),
        (3, 1.0, 0.0, 0.0, 0.05),
        (3, 0.02, 1.0, 0.02, 0.05),
        (3, 0.1, 0.0, 1.0, 0.0),  # what counts twice makes it careful
    ],
)
def test_equals_are_called_better_in_a_twentieth_of_cases_or_fewer(seeds, of_seeds, of_sentences, of_both, expected):
    """Simulated differences of two equally good systems, each a new draw of seeds and sentences."""
    rng = np.random.default_rng(seeds)
    better = 0
    for _ in range(1500):
        values = rng.normal(0, of_seeds, (seeds, 1)) + rng.normal(0, of_sentences, 60)
        values = values + rng.normal(0, of_both, (seeds, 60))
        found = np.stack([resampled(list(of), "test") for of in values], axis=1)
        better += share((found * seed_weights(seeds)).sum(axis=1)) >= 0.95
    assert better / 1500 == pytest.approx(expected, abs=0.018)


def test_seeds_are_averaged_and_the_best_of_the_others_counts():
    low, high, middle = [0.0] * 9, [10.0] * 9, [4.0] * 9
    assert 0.5 < share_better([low, high], [middle, middle]) < 0.7  # 5 against 4, but for the luck of two seeds
    assert share_better([[5.0] * 9, [5.1] * 9], [middle, middle]) > 0.95
    assert share_better([middle], [low], [high]) == 0


def test_noise_has_the_deviation_and_is_one_thing_under_one_name():
    found = noise(0.7, "a")
    assert found.std() == pytest.approx(0.7) and found.mean() == pytest.approx(0)
    assert (found == noise(0.7, "a")).all() and abs(np.corrcoef(found, noise(1, "b"))[0, 1]) < 0.15
