"""The target's length as itself (CMLM, Ghazvininejad et al. 2019; for tasks whose targets are much shorter)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from natlab.models.layers import Linear
from natlab.models.lengths._classes import LengthClasses
from natlab.models.transformer import Config, Source


@dataclass
class Absolute:
    """Predicts the target's length, 1 to ``longest``.

    read: from what: the "token" of CMLM, a learned vector before the source that its decoder does not see, or the
    "mean" of the encoder's states, as the other NATs here.
    """

    offers: ClassVar[tuple[str, ...]] = ("target length",)
    predicted: ClassVar[bool] = True

    longest: Annotated[int, ">= 1"] = 256
    read: Literal["token", "mean"] = "token"

    @property
    def summary(self) -> bool:
        """Whether it asks for the encoder's summary."""
        return self.read == "token"

    def build(self, config: Config) -> LengthClasses:
        def base(source: Source) -> Tensor:
            return torch.ones_like(source.lengths)

        return LengthClasses(Linear(config.d_model, self.longest), base)
