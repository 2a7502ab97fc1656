"""Paired bootstrap over test sentences (Koehn 2004), from the statistics of sentences that measurements hold."""

from collections.abc import Sequence

import numpy as np

RESAMPLES = 1000
BLEU_STATISTICS = 10  # a sentence's n-grams correct and total, of 1 to 4 words each, and both lengths


def score(sums: np.ndarray) -> np.ndarray:
    """Corpus values [...] of summed sentence statistics [..., K].

    With K = 10 BLEU without smoothing (Papineni et al. 2002), of [correct 1..4, total 1..4, hypothesis' length,
    reference's length]; with K = 2 a mean, of [value, 1].
    """
    if sums.shape[-1] != BLEU_STATISTICS:
        return sums[..., 0] / sums[..., 1]
    correct, total, lengths = sums[..., :4], sums[..., 4:8], sums[..., 8:]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where((correct > 0).all(-1), np.log(correct / total).mean(-1), -np.inf)
        brevity = np.minimum(0.0, 1 - lengths[..., 1] / lengths[..., 0])
        return 100 * np.nan_to_num(np.exp(precision + brevity))


def share_better(better: Sequence, others: Sequence[Sequence], resamples: int = RESAMPLES) -> float:
    """The share of resamples in which ``better`` is above all ``others``, each the mean over its seeds.

    Each system is a list of its seeds' sentence statistics, [N, 10] for BLEU or [N] values whose mean counts; a
    resample draws the same N sentences for all.
    """
    systems = [[_summable(seed) for seed in system] for system in (better, *others)]
    sentences = len(systems[0][0])
    drawn = np.random.default_rng(0).multinomial(sentences, [1 / sentences] * sentences, size=resamples)
    values = [np.mean([score(drawn @ seed) for seed in system], axis=0) for system in systems]
    return float((values[0] > np.max(values[1:], axis=0)).mean())


def _summable(statistics: Sequence) -> np.ndarray:
    """A seed's statistics as [N, K]; single values are given a count beside them."""
    found = np.asarray(statistics, dtype=float)
    return np.stack([found, np.ones_like(found)], axis=1) if found.ndim == 1 else found
