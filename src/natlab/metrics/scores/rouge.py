"""ROUGE (Lin 2004), what summaries are scored by: F1 of words, of pairs of words and of the longest common subsequence,
in %, the mean over sentences, each against its target. By the library rouge-score.

Papers that use pyrouge call ROUGE-1.5.5 (by default with ``-m -n 4 -r 1000``), from which this differs so: there,
irregular forms ("ran") are looked up in WordNet's lists before the Porter stemmer, here there is only the latter; there
the mean is that of 1,000 samples with replacement, here that of the sentences, which it expects; there the longest
common subsequences of a summary of several sentences are found sentence by sentence and united, here the whole text is
one sequence, which is the same for one sentence (headlines, XSum). Words are cut alike: letters a to z and digits.
"""

from dataclasses import dataclass
from typing import ClassVar

from natlab.metrics.interface import Translations

ENGLISH = "en"


class _Words:
    """The words of a tokenised line, in small letters: rouge-score's own tokens are of the letters a to z."""

    @staticmethod
    def tokenize(line: str) -> list[str]:
        return [word for word in line.lower().split() if any(map(str.isalnum, word))]


@dataclass
class Rouge:
    """English words are stemmed (Porter), as ROUGE-1.5.5's option -m does, those of other languages are not."""

    values: ClassVar[tuple[str, ...]] = ("rouge_1", "rouge_2", "rouge_l")
    means: ClassVar[tuple[str, ...]] = ("rouge_1", "rouge_2", "rouge_l")

    def __call__(self, of: Translations) -> dict[str, dict]:
        import importlib.metadata

        from rouge_score.rouge_scorer import RougeScorer

        english = of.language == ENGLISH
        names = {value: value.replace("_", "").replace("l", "L") for value in self.values}
        scorer = RougeScorer(list(names.values()), use_stemmer=english, tokenizer=None if english else _Words)
        scored = [scorer.score(*pair) for pair in zip(of.references, of.tokens, strict=True)]
        words = "porter" if english else "words"
        signature = f"f1|tok:{words}|rouge-score:{importlib.metadata.version('rouge-score')}"
        found = {}
        for value, name in names.items():
            each = [100 * float(score[name].fmeasure) for score in scored]
            found[value] = {
                "value": sum(each) / len(each),
                "unit": "ROUGE",
                "signature": signature,
                "by_sentence": each,
            }
        return found
