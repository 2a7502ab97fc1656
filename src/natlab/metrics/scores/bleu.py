"""sacreBLEU of plain text against the references as published."""

from dataclasses import dataclass
from typing import ClassVar

from natlab.metrics.bleu import sacrebleu
from natlab.metrics.interface import Translations


@dataclass
class Bleu:
    """Post 2018; lower-cased where the corpus is."""

    values: ClassVar[tuple[str, ...]] = ("bleu",)
    means: ClassVar[tuple[str, ...]] = ()

    def __call__(self, of: Translations) -> dict[str, dict]:
        return {"bleu": sacrebleu(of.text, [of.text_references], of.language, of.lowercase)}
