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
    """sacreBLEU (Post 2018) of detokenised text, 13a, or zh for Chinese: {"value", "unit", "signature", "by_sentence"}.

    ``by_sentence`` is what BLEU of any choice of sentences is worked out from, for each sentence with its references:
    matching n-grams and all n-grams of the hypothesis, n = 1 to 4, then the lengths of hypothesis and (nearest)
    reference. BLEU of a choice is that of the sums (`pooled`), so that it can be resampled (Koehn 2004).
    """
    return _scored(BLEU(lowercase=lowercase, tokenize=UNSPACED.get(language, "13a")), hypotheses, references)


def tokenised_bleu(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> dict:
    """The papers' tokenised BLEU, as `sacrebleu` gives it: both sides are tokenised by spaces already and taken as they
    are.

    Equals Moses' multi-bleu.perl: case as given, no smoothing. For Chinese the tokens are jieba's words.
    """
    return _scored(BLEU(tokenize="none", smooth_method="none", force=True), hypotheses, references)


def pooled(by_sentence: Sequence[Sequence[int]], smooth: str = "none") -> float:
    """BLEU of sentences with these statistics, tokenised as they were, smoothed by sacreBLEU's method of this name."""
    *sums, hypothesis, reference = map(sum, zip(*by_sentence, strict=True))
    return BLEU.compute_bleu(sums[:4], sums[4:], hypothesis, reference, smooth_method=smooth).score


def chrf(hypotheses: Sequence[str], references: Sequence[Sequence[str]], lowercase: bool = False) -> dict:
    """chrF2 (Popović 2015) of detokenised text: {"value", "unit", "signature"}."""
    metric = CHRF(lowercase=lowercase)
    score = metric.corpus_score(list(hypotheses), _streams(references))
    return {"value": score.score, "unit": "chrF", "signature": str(metric.get_signature())}


def _scored(metric: BLEU, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> dict:
    streams = _streams(references)
    if any(len(stream) != len(hypotheses) for stream in streams):
        raise ValueError(f"{len(hypotheses)} hypotheses with {[len(stream) for stream in streams]} references")
    # what sacreBLEU's corpus_score sums; it gives no way to both but to count twice
    counted = metric._extract_corpus_statistics(list(hypotheses), streams)
    by_sentence = [[*grams, hypothesis, reference] for hypothesis, reference, *grams in counted]
    return {
        "value": pooled(by_sentence, metric.smooth_method),
        "unit": "BLEU",
        "signature": str(metric.get_signature()),
        "by_sentence": by_sentence,
    }


def _streams(references: Sequence[Sequence[str]]) -> list[list[str | None]]:
    first, *further = references
    return [list(first), *([line or None for line in stream] for stream in further)]
