"""One learned vector at all positions (CMLM, Ghazvininejad et al. 2019; MPLE, section 4.3 and appendix F)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from natlab.models.shapes import longest
from natlab.models.transformer import Config, Source


@dataclass
class Mask:
    """The same everywhere; small models learn nothing with it for their first hundreds of updates
    (reports/grammar_canvas)."""

    def build(self, config: Config) -> nn.Module:
        return _Mask(config.d_model)


class _Mask(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.vector = nn.Parameter(torch.randn(dim))

    def forward(self, source: Source, lengths: Tensor) -> Tensor:
        return self.vector.expand(len(lengths), longest(lengths), -1)
