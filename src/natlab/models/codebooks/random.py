"""Codes that stay where they were drawn: a control, which says what a codebook is worth that means nothing."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from natlab.models.codebooks._codebook import Codebook
from natlab.models.transformer import Config


@dataclass
class Random:
    """``size`` codes of ``dim`` dimensions (the model's d unless said), drawn from N(0, 1)."""

    needs: ClassVar[tuple[str, ...]] = ("codes",)
    offers: ClassVar[tuple[str, ...]] = ("codebook",)

    size: Annotated[int, ">= 1"] = 2048
    dim: Annotated[int, ">= 1"] | None = None

    def build(self, config: Config) -> Codebook:
        return Codebook(config, self.size, self.dim, False, None)
