"""Codes that are parameters (AEQA-NAT, Qu et al. 2025, section 2.4: gradients update "the embedding vectors e_k")."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from natlab.models.codebooks._codebook import Codebook
from natlab.models.transformer import Config


@dataclass
class Learned:
    """``size`` codes of ``dim`` dimensions (the model's d unless said), each of which gets the gradient of whatever is
    said in it. The paper also updates them by equation 6, which `moving` does."""

    needs: ClassVar[tuple[str, ...]] = ("codes",)
    offers: ClassVar[tuple[str, ...]] = ("codebook",)

    size: Annotated[int, ">= 1"] = 2048
    dim: Annotated[int, ">= 1"] | None = None

    def build(self, config: Config) -> Codebook:
        return Codebook(config, self.size, self.dim, True, None)
