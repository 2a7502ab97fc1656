"""The papers' tokenised BLEU: tokens against tokens."""

from dataclasses import dataclass
from typing import ClassVar

from natlab.metrics.bleu import tokenised_bleu
from natlab.metrics.interface import Translations


@dataclass
class BleuTok:
    """Papineni et al. 2002, as Moses' multi-bleu.perl."""

    values: ClassVar[tuple[str, ...]] = ("bleu_tok",)
    means: ClassVar[tuple[str, ...]] = ()

    def __call__(self, of: Translations) -> dict[str, dict]:
        return {"bleu_tok": tokenised_bleu(of.tokens, [of.references])}
