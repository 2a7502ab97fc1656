"""What several hypotheses of a sentence are worth: functions of their texts, the best first."""

from collections.abc import Sequence

import numpy as np

from natlab.corpus.exact import Distribution
from natlab.metrics import bleu
from natlab.metrics.allowed import allowed
from natlab.metrics.target_bleu import sentence_scores

BEST = 3  # hypotheses of a sentence that are looked at one by one


def oracle_bleu(hypotheses: Sequence[Sequence[str]], references: Sequence[str]) -> dict:
    """Tokenised BLEU of each sentence's best hypothesis, by smoothed sentence BLEU, the first of equal ones (CoDAT,
    section 4.2): {"value", "unit", "signature", "by_sentence"}, the last as `bleu.sacrebleu`."""
    numbers: dict[str, int] = {}
    sides = [
        [[numbers.setdefault(word, len(numbers)) for word in line.split()] for line in side]
        for side in (
            [line for of_sentence in hypotheses for line in of_sentence],
            [reference for of, reference in zip(hypotheses, references, strict=True) for _ in of],
        )
    ]
    scores = sentence_scores(*sides)
    best, start = [], 0
    for of_sentence in hypotheses:
        best.append(of_sentence[int(np.argmax(scores[start : start + len(of_sentence)]))])
        start += len(of_sentence)
    return bleu.tokenised_bleu(best, [references])


def allowed_best(hypotheses: Sequence[Sequence[str]], distributions: Sequence[Distribution]) -> dict:
    """Of each sentence's `BEST` first hypotheses, the share that P(Y|X) allows, in %; ``by_sentence``: [100 times how
    many, of how many]."""
    pairs = []
    for of_sentence, distribution in zip(hypotheses, distributions, strict=True):
        first = of_sentence[:BEST]
        pairs.append([100 * sum(allowed(first, [distribution] * len(first))), len(first)])
    return {"value": sum(a for a, _ in pairs) / sum(n for _, n in pairs), "unit": "%", "by_sentence": pairs}


def distinct(hypotheses: Sequence[Sequence[str]]) -> dict:
    """The mean number of different hypotheses of a sentence."""
    counts = [len(set(of_sentence)) for of_sentence in hypotheses]
    return {"value": sum(counts) / len(counts), "unit": "samples", "by_sentence": counts}
