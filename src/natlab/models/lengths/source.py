"""As many positions as the source has tokens, times a factor, for objectives that place the target's tokens among them
(CTC: Libovický and Helcl 2018; DA-Transformer: Huang et al. 2022)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from torch import Tensor, nn

from natlab.models.transformer import Config, Source


@dataclass
class SourceTimes:
    """``factor`` times the source's tokens, eos counted, rounded half up; nothing is predicted.

    In training as in decoding it follows from the source alone, so that Q(Y|X) is one distribution: released code makes
    a canvas longer where a training target would not fit, here such a target is impossible.
    """

    offers: ClassVar[tuple[str, ...]] = ("free length",)
    predicted: ClassVar[bool] = False

    factor: Annotated[float, "> 0"]

    def build(self, config: Config) -> nn.Module:
        return _SourceTimes(self.factor)


class _SourceTimes(nn.Module):
    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, source: Source) -> None:
        return None

    def of(self, source_lengths: Tensor) -> Tensor:
        """The canvas' lengths [P] of sources of so many tokens [P], eos counted."""
        return (source_lengths * self.factor + 0.5).floor().long().clamp(min=1)

    def likely(self, source: Source, count: int) -> Tensor:
        return self.of(source.lengths)[:, None].expand(-1, count)
