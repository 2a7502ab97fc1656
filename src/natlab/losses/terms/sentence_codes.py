"""A source's mean code moved to its target's (AEQA-NAT, Qu et al. 2025, equation 9)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from torch import Tensor

from natlab.losses.interface import DISTANCE, Added, Decoded, Value
from natlab.models.transformer import Source


@dataclass
class SentenceCodes:
    """‖mean z_q(H_x) - sg(mean z_q(H_y))‖² over dimensions, each sentence's times its target's tokens. Both means are
    of words, eos left out.

    Codes are constants and their choice has no gradient, so as printed this has none either: the states' stands for it
    (straight-through). H_y is what the encoder makes of the target by the decoder's embeddings.

    weight: the paper's ε, 0.25, of all of L_SQA (section 3).
    """

    needs: ClassVar[tuple[str, ...]] = ("codebook",)

    weight: Annotated[float, ">= 0"] = 0.25

    def __call__(self, batch: Decoded) -> Added:
        source, target = self._mean(batch, batch.source), self._mean(batch, batch.encoded_target).detach()  # [B, D]
        distances = batch.lengths * (source - target).square().mean(1)  # [B]
        return Added(distances.sum(), {"sentence_codes": Value(distances.detach(), batch.lengths, DISTANCE)})

    def _mean(self, batch: Decoded, of: Source) -> Tensor:
        """The mean code [B, D] of a side's words."""
        codebook = batch.model.codebook
        points = codebook.points(of.encoded)  # [B, S, D]
        codes = codebook.vectors[codebook.nearest(points)].detach() + (points - points.detach())
        weights = of.words / of.words.sum(1, keepdim=True).clamp(min=1)  # [B, S]
        return (codes * weights[:, :, None]).sum(1)
