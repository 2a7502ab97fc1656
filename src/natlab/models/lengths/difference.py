"""The target's length as a difference from the source's (GLAT's released code; MPLE, appendix G)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from natlab.models.layers import Linear
from natlab.models.lengths._classes import LengthClasses
from natlab.models.transformer import Config, Source

LARGEST = 128  # target length less source length is one of -128 .. 127


@dataclass
class Difference:
    """Predicts target length less source length from the encoder's mean state; the outermost classes stand for all
    beyond."""

    offers: ClassVar[tuple[str, ...]] = ("target length",)
    predicted: ClassVar[bool] = True

    def build(self, config: Config) -> LengthClasses:
        def base(source: Source) -> Tensor:
            return source.lengths - 1 - LARGEST

        return LengthClasses(Linear(config.d_model, 2 * LARGEST), base)
