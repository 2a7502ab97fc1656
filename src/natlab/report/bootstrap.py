"""What a value could have been with other test sentences and other seeds, in one set of resamples for all values.

Sentences are drawn with replacement, the same for all that is measured on them (the paired bootstrap, Koehn 2004). Of
seeds there are two or three. Drawn with replacement, too, they would vary too little: two that agree would agree in
every resample, and half of all comparisons of equals would be decided. Each resample weighs them instead, so that as
far as seeds go a difference of systems follows Student's t (`seed_weights`).

Seeds are paired: in a resample a seed has one weight in all systems. Systems of one seed share teachers, initialisation
and the order of the data; where they share nothing, such a pairing does no harm. How single seeds do on single
sentences is part of what both levels vary, and counts twice: intervals are somewhat too wide (Owen 2007, "The
pigeonhole bootstrap").
"""

from functools import cache
from math import sqrt
from zlib import crc32

import numpy as np

RESAMPLES = 1000
BLEU_STATISTICS = 10  # a sentence's n-grams correct and total, of 1 to 4 words each, and both lengths


def score(sums: np.ndarray) -> np.ndarray:
    """Corpus values [...] of summed sentence statistics [..., K].

    With K = 10 BLEU without smoothing (Papineni et al. 2002), of [correct 1..4, total 1..4, hypothesis' length,
    reference's length]; with K = 2 a mean, of [value, 1] or [sum, count].
    """
    if sums.shape[-1] != BLEU_STATISTICS:
        return sums[..., 0] / sums[..., 1]
    correct, total, lengths = sums[..., :4], sums[..., 4:8], sums[..., 8:]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where((correct > 0).all(-1), np.log(correct / total).mean(-1), -np.inf)
        brevity = np.minimum(0.0, 1 - lengths[..., 1] / lengths[..., 0])
        return 100 * np.nan_to_num(np.exp(precision + brevity))


def resampled(statistics: list, name: str) -> np.ndarray:
    """The values [RESAMPLES] of sentences' statistics, [N, K] or [N] values whose mean counts, for other draws of N of
    the sentences; the same draws wherever the sentences have this ``name``."""
    found = np.asarray(statistics, dtype=float)
    if found.ndim == 1:
        found = np.stack([found, np.ones_like(found)], axis=1)
    return score(_draws(name, len(found)) @ found)


def seed_weights(seeds: int) -> np.ndarray:
    """Weights [RESAMPLES, S] of S seeds, which sum to 1: weighted, S values of mean m and sample standard deviation s
    have Student's distribution around m, with scale s / sqrt(S) and S - 1 degrees of freedom; of one seed, 1."""
    if seeds == 1:
        return np.ones((RESAMPLES, 1))
    rng = _generator("seeds")
    normal = rng.standard_normal((RESAMPLES, seeds))
    apart = normal - normal.mean(axis=1, keepdims=True)
    spread = np.sqrt(rng.chisquare(seeds - 1, (RESAMPLES, 1)) / (seeds - 1))
    return 1 / seeds + apart / spread / sqrt(seeds * (seeds - 1))


def noise(deviation: float, name: str) -> np.ndarray:
    """Normal noise [RESAMPLES] of mean 0 and exactly this standard deviation; the same wherever it has this name."""
    drawn = _generator(name).standard_normal(RESAMPLES)
    return deviation * (drawn - drawn.mean()) / drawn.std()


def share(margins: np.ndarray) -> float:
    """The share of resamples in which a margin is above 0; ties count half, and so does what is not a number."""
    return float((np.nan_to_num(np.sign(margins)) + 1).mean() / 2)


@cache
def _draws(name: str, sentences: int) -> np.ndarray:
    """How often each resample draws each sentence, [RESAMPLES, N]."""
    drawn = _generator(name).multinomial(sentences, np.full(sentences, 1 / sentences), size=RESAMPLES)
    return drawn.astype(float)


def _generator(name: str) -> np.random.Generator:
    return np.random.default_rng(crc32(name.encode()))
