"""chrF2 of plain text against the references as published."""

from dataclasses import dataclass
from typing import ClassVar

from natlab.metrics.bleu import chrf
from natlab.metrics.interface import Translations


@dataclass
class Chrf:
    """Popović 2015; lower-cased where the corpus is."""

    values: ClassVar[tuple[str, ...]] = ("chrf",)
    means: ClassVar[tuple[str, ...]] = ()

    def __call__(self, of: Translations) -> dict[str, dict]:
        return {"chrf": chrf(of.text, [of.text_references], of.lowercase)}
