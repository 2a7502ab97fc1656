"""A source's mean code moved to its target's (AEQA-NAT, Qu et al. 2025, equation 9; its appendix A.2, equation 17,
with weight 1)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from natlab.losses.interface import DISTANCE, Added, Decoded, Encoded, Value


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

    def __call__(self, batch: Decoded | Encoded) -> Added:
        sides = batch.source, batch.encoded_target
        source, target = (batch.model.codebook.mean(side.encoded, side.words) for side in sides)  # [B, D]
        distances = batch.lengths * (source - target.detach()).square().mean(1)  # [B]
        return Added(distances.sum(), {"sentence_codes": Value(distances.detach(), batch.lengths, DISTANCE)})
