"""The target's length as itself (CMLM, Ghazvininejad et al. 2019; for tasks whose targets are much shorter)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from natlab.models.layers import Linear
from natlab.models.lengths._classes import LengthClasses
from natlab.models.transformer import Config, Source


@dataclass
class Absolute:
    """Predicts the target's length, 1 to ``longest``, from the encoder's mean state. CMLM reads it off the state of a
    learned vector before the source, which its decoder does not see: here the mean stands for that state."""

    offers: ClassVar[tuple[str, ...]] = ("target length",)
    predicted: ClassVar[bool] = True

    longest: Annotated[int, ">= 1"] = 256

    def build(self, config: Config) -> LengthClasses:
        def base(source: Source) -> Tensor:
            return torch.ones_like(source.lengths)

        return LengthClasses(Linear(config.d_model, self.longest), base)
