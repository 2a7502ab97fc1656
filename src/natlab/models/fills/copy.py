"""A copy of the source's token embeddings (Gu et al. 2018, section 3.1)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from natlab.models.shapes import longest
from natlab.models.transformer import Config, Source


@dataclass
class Copy:
    """Uniformly: position t of a canvas of T takes token round(t (S - 1) / (T - 1)) of the source's S."""

    def build(self, config: Config) -> nn.Module:
        return _Copy()


class _Copy(nn.Module):
    def forward(self, source: Source, lengths: Tensor) -> Tensor:
        at = uniform_copy((source.lengths - 1).clamp(min=1), lengths, longest(lengths))  # [B, T]
        return source.embedded.gather(1, at[:, :, None].expand(-1, -1, source.embedded.shape[2]))  # [B, T, d]


def uniform_copy(source_lengths: Tensor, lengths: Tensor, width: int) -> Tensor:
    """Which source token each target position copies: [B, width]. Lengths [B], eos not counted."""
    steps = torch.arange(width, device=lengths.device)
    ratio = (source_lengths - 1) / (lengths - 1).clamp(min=1)
    return torch.minimum((steps * ratio[:, None]).round().long(), source_lengths[:, None] - 1)
