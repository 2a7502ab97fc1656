"""The source's states kept near their codes (AEQA-NAT, Qu et al. 2025, equation 8; its appendix A.2, equation
18, with weight 0.5)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from natlab.losses.interface import DISTANCE, Added, Decoded, Encoded, Value


@dataclass
class Commitment:
    """‖H_x - sg(z_q(H_x))‖² of the encoder's states, eos left out: the mean over dimensions and source tokens, each
    sentence's times its target's tokens, by which all losses are divided. (As printed, a square grows with all three.)

    weight: the paper's ε, 0.25, of all of L_SQA (section 3).
    """

    needs: ClassVar[tuple[str, ...]] = ("codebook",)

    weight: Annotated[float, ">= 0"] = 0.25

    def __call__(self, batch: Decoded | Encoded) -> Added:
        codebook, words = batch.model.codebook, batch.source.words  # [B, S]
        points = codebook.points(batch.source.encoded)  # [B, S, D]
        squares = (points - codebook.code(points)).square().mean(2) * words  # [B, S]
        distances = batch.lengths * squares.sum(1) / words.sum(1).clamp(min=1)  # [B]
        return Added(distances.sum(), {"commitment": Value(distances.detach(), batch.lengths, DISTANCE)})
