"""A weighted mean of the source's token embeddings (soft copy, Wei et al. 2019; Li et al. 2019)."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from natlab.models.transformer import Config, Source


@dataclass
class SoftCopy:
    """Position t of a canvas of T has the mean of the S source tokens with weights softmax over s of
    -|s - t (S - 1) / (T - 1)| / ``tau``: as far as the copied token, in the papers' words, is from the others."""

    tau: Annotated[float, "> 0"] = 1.0

    def build(self, config: Config) -> nn.Module:
        return _SoftCopy(self.tau)


class _SoftCopy(nn.Module):
    def __init__(self, tau: float):
        super().__init__()
        self.tau = tau

    def forward(self, source: Source, lengths: Tensor) -> Tensor:
        tokens = (source.lengths - 1).clamp(min=1)  # [B], eos is not copied
        of_source = torch.arange(source.embedded.shape[1], device=lengths.device)  # [S]
        steps = torch.arange(int(lengths.max()), device=lengths.device)  # [T]
        at = steps * ((tokens - 1) / (lengths - 1).clamp(min=1))[:, None]  # [B, T]
        distance = (of_source - at[:, :, None]).abs()  # [B, T, S]
        beyond = of_source >= tokens[:, None, None]  # [B, 1, S]
        weights = torch.softmax((-distance / self.tau).masked_fill(beyond, -torch.inf), dim=2)
        return weights.to(source.embedded.dtype) @ source.embedded  # [B, T, d]
