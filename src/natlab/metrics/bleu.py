"""BLEU and chrF of a corpus: functions of (hypotheses, references), by sacreBLEU.

``references`` is a list of streams: the r-th reference of every hypothesis. An empty line in a further stream says that
the sentence has no further reference there. Scores are percentages (0 to 100).
"""

from collections.abc import Sequence

from sacrebleu.metrics import BLEU, CHRF

# Languages written without spaces between words, and sacreBLEU's tokeniser for each.
UNSPACED = {"zh": "zh"}


def sacrebleu(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], language: str, lowercase: bool = False
) -> dict:
    """sacreBLEU (Post 2018) of detokenised text, 13a, or zh for Chinese: {"value", "unit", "signature", "by_sentence"},
    the last as `statistics`."""
    metric = BLEU(lowercase=lowercase, tokenize=UNSPACED.get(language, "13a"))
    found = _scored(metric, hypotheses, references, "BLEU")
    return {**found, "by_sentence": _statistics(metric, hypotheses, references)}


def tokenised_bleu(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> dict:
    """The papers' tokenised BLEU: both sides are whitespace-tokenised already and taken as they are.

    Equals Moses' multi-bleu.perl: case as given, no smoothing. For Chinese the tokens are jieba's words.
    """
    metric = BLEU(tokenize="none", smooth_method="none", force=True)
    return _scored(metric, hypotheses, references, "BLEU")


def statistics(hypotheses: Sequence[str], *references: Sequence[str]) -> list[list[int]]:
    """What the tokenised BLEU of any choice of sentences is worked out from, for each sentence with its references:
    matching n-grams and all n-grams of the hypothesis, n = 1 to 4, then the lengths of hypothesis and (nearest)
    reference. BLEU of a choice is that of the sums (`pooled`), so that it can be resampled (Koehn 2004)."""
    return _statistics(BLEU(tokenize="none", force=True), hypotheses, references)


def pooled(statistics: Sequence[Sequence[int]]) -> float:
    """The tokenised BLEU of sentences with these `statistics`."""
    *sums, hypothesis, reference = map(sum, zip(*statistics, strict=True))
    return BLEU.compute_bleu(sums[:4], sums[4:], hypothesis, reference, smooth_method="none").score


def chrf(hypotheses: Sequence[str], references: Sequence[Sequence[str]], lowercase: bool = False) -> dict:
    """chrF2 (Popović 2015) of detokenised text."""
    return _scored(CHRF(lowercase=lowercase), hypotheses, references, "chrF")


def _statistics(metric: BLEU, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[list[int]]:
    pairs = zip(hypotheses, *_streams(references), strict=True)
    scores = [metric.corpus_score([h], [[line] for line in lines]) for h, *lines in pairs]
    return [[*score.counts, *score.totals, score.sys_len, score.ref_len] for score in scores]


def _streams(references: Sequence[Sequence[str]]) -> list[list[str | None]]:
    first, *further = references
    return [list(first), *([line or None for line in stream] for stream in further)]


def _scored(metric: BLEU | CHRF, hypotheses: Sequence[str], references: Sequence[Sequence[str]], unit: str) -> dict:
    score = metric.corpus_score(list(hypotheses), _streams(references))
    return {"value": score.score, "unit": unit, "signature": str(metric.get_signature())}
