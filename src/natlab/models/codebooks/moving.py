"""Codes that are moving averages of the states that they stand for (AEQA-NAT, Qu et al. 2025, section 2.3)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from natlab.models.codebooks._codebook import Averages, Codebook
from natlab.models.transformer import Config


@dataclass
class Moving:
    """``size`` codes, K of the paper; `Averages` says how they move.

    dim: of a code; the model's d unless said, else with a learned linear layer before and after the codes.
    decay: γ, which the paper does not give; 0.99 as in VQ-VAE's code.
    restart: a code taken less often than this share of the mean starts anew; 0: never.
    """

    needs: ClassVar[tuple[str, ...]] = ("codes",)
    offers: ClassVar[tuple[str, ...]] = ("codebook",)

    size: Annotated[int, ">= 1"] = 2048
    dim: Annotated[int, ">= 1"] | None = None
    decay: Annotated[float, ">= 0", "< 1"] = 0.99
    restart: Annotated[float, ">= 0", "< 1"] = 0.02

    def build(self, config: Config) -> Codebook:
        dim = self.dim or config.d_model
        return Codebook(config, self.size, dim, False, Averages(self.size, dim, self.decay, self.restart))
