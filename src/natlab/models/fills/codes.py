"""The source in discrete codes (AEQA-NAT, Qu et al. 2025, section 2.3)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn

from natlab.models.codebooks._codebook import Codebook
from natlab.models.draws import of_sentences, smallest
from natlab.models.fills.soft_copy import soft_copy
from natlab.models.shapes import longest
from natlab.models.transformer import Config, Source


@dataclass
class Codes:
    """Each position has the code nearest to the soft copy of the encoder's states (equation 21), if it keeps it.

    tau, scaled: as of `soft_copy`. The paper does not give τ; 0.3 is what others take.
    shown: the share λ of positions, rounded down, that keep their code in inference, where Y, which equation 11 counts
    them by, is unknown (section 2.5, footnote 5). Which, is drawn evenly, from the sentence's tokens and ``seed``.
    rest: what the others hold, which the paper does not say: a learned vector, or the soft copy as it is.
    """

    needs: ClassVar[tuple[str, ...]] = ("codebook",)
    offers: ClassVar[tuple[str, ...]] = ("codes",)

    tau: Annotated[float, "> 0"] = 0.3
    scaled: bool = True
    shown: Annotated[float, ">= 0", "<= 1"] = 0.4
    rest: Literal["mask", "copy"] = "mask"
    seed: Annotated[int, ">= 0", "<= 4294967295"] = 1

    def build(self, config: Config) -> "CodedCanvas":
        return CodedCanvas(config, self)


class CodedCanvas(nn.Module):
    def __init__(self, config: Config, options: Codes):
        super().__init__()
        self.options = options
        self.mask = nn.Parameter(torch.randn(config.d_model)) if options.rest == "mask" else None

    def forward(
        self, source: Source, lengths: Tensor, codebook: Codebook, kept: Tensor | None, order: Tensor | None
    ) -> Tensor:
        """Canvases [B, T, d] of ``lengths`` [B]. kept: bool [B, T], the positions that keep their code; those of
        `drawn` without it. order: [B, T], which position's code comes where; its own without it."""
        copied = self.copied(source, lengths)
        codes = codebook(copied, self.inside(lengths)).states
        if order is not None:
            codes = codes.gather(1, order[:, :, None].expand_as(codes))
        kept = self.drawn(source, lengths, self.options.shown) if kept is None else kept
        return torch.where(kept[:, :, None], codes, copied if self.mask is None else self.mask.to(codes.dtype))

    def copied(self, source: Source, lengths: Tensor) -> Tensor:
        """The soft copy [B, T, d] of the encoder's states for canvases of ``lengths`` [B]."""
        return soft_copy(source.encoded, source.lengths, lengths, self.options.tau, self.options.scaled)

    def drawn(self, source: Source, lengths: Tensor, share: float) -> Tensor:
        """Bool [B, T]: the ``share`` of the positions of canvases of ``lengths`` [B] that keep their code, drawn by
        each sentence's own chance."""
        chance = of_sentences(source.tokens, source.lengths, longest(lengths), self.options.seed)
        return smallest(chance, self.inside(lengths), (share * lengths + 1e-6).floor())  # 0.6 · 5 is 3

    @property
    def draws(self) -> bool:
        """Whether chance decides what the canvas shows."""
        return 0 < self.options.shown < 1

    def redrawn(self, times: int) -> Iterator[None]:
        """So many ``times`` the canvas draws anew what it shows, each from the next seed."""
        own = self.options
        try:
            for number in range(1, times + 1):
                self.options = replace(own, seed=(own.seed + number) % 2**32)
                yield
        finally:
            self.options = own

    @staticmethod
    def inside(lengths: Tensor) -> Tensor:
        return torch.arange(longest(lengths), device=lengths.device) < lengths[:, None]
