"""A weighted mean of the source (soft copy, Wei et al. 2019; Li et al. 2019)."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from natlab.models.shapes import longest
from natlab.models.transformer import Config, Source


@dataclass
class SoftCopy:
    """Position t of a canvas of T has the mean of the S source tokens with weights softmax over s of
    -|s - t (S - 1) / (T - 1)| / ``tau``: as far as the copied token, in the papers' words, is from the others.

    of: what of the tokens, their embeddings, or their states after the encoder (AEQA-NAT, Qu et al. 2025, equation 21).
    scaled: False takes -|s - t| / ``tau`` as that equation prints it, by which the end of a canvas longer than the
    source has nothing but the source's last tokens.
    """

    tau: Annotated[float, "> 0"] = 1.0
    of: Literal["embeddings", "states"] = "embeddings"
    scaled: bool = True

    def build(self, config: Config) -> nn.Module:
        return _SoftCopy(self.tau, self.of, self.scaled)


class _SoftCopy(nn.Module):
    def __init__(self, tau: float, of: str, scaled: bool):
        super().__init__()
        self.tau, self.of, self.scaled = tau, of, scaled

    def forward(self, source: Source, lengths: Tensor) -> Tensor:
        copied = source.embedded if self.of == "embeddings" else source.encoded  # [B, S, d]
        return soft_copy(copied, source.lengths, lengths, self.tau, self.scaled)


def soft_copy(copied: Tensor, source_lengths: Tensor, lengths: Tensor, tau: float, scaled: bool) -> Tensor:
    """Means [B, T, d] of ``copied`` [B, S, d] of sources of so many tokens [B], eos counted, which is not copied, for
    canvases of ``lengths`` [B], T the longest. The means of a sentence do not depend on its batch."""
    tokens = (source_lengths - 1).clamp(min=1)  # [B]
    of_source = torch.arange(copied.shape[1], device=lengths.device)  # [S]
    steps = torch.arange(longest(lengths), device=lengths.device)  # [T]
    ratio = (tokens - 1) / (lengths - 1).clamp(min=1) if scaled else torch.ones_like(tokens)
    distance = (of_source - (steps * ratio[:, None])[:, :, None]).abs()  # [B, T, S]
    beyond = of_source >= tokens[:, None, None]  # [B, 1, S]
    weights = torch.softmax((-distance / tau).masked_fill(beyond, -torch.inf), dim=2)
    return weights.to(copied.dtype) @ copied  # [B, T, d]
