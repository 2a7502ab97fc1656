"""The decoder's states moved to their tokens' codes (AEQA-NAT, Qu et al. 2025, equation 10)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from natlab.losses.interface import DISTANCE, Added, Decoded, Value


@dataclass
class StateCodes:
    """‖Ĥ_y - sg(z_q(H_y))‖² of the decoder's last states at the positions where the objective has tokens of T stand:
    the mean over dimensions, summed over these. H_y is what the encoder makes of T by the decoder's embeddings.

    weight: the paper's ε, 0.25, of all of L_SQA (section 3).
    """

    needs: ClassVar[tuple[str, ...]] = ("parallel", "codebook")

    weight: Annotated[float, ">= 0"] = 0.25

    def __call__(self, batch: Decoded) -> Added:
        objective, codebook = batch.prediction.objective, batch.model.codebook
        with torch.no_grad():
            aligned = batch.aligned or objective.align(batch.target, batch.prediction)
            index = aligned.index - int("graph" in objective.offers)  # [B, L]; a graph's first token is bos
            states = batch.encoded_target.encoded  # [B, T + 1, d]
            codes = codebook.code(codebook.points(states))  # [B, T + 1, D]
            placed = (index >= 0) & (index < batch.lengths[:, None])
            wanted = codes.gather(1, index.clamp(min=0)[:, :, None].expand(-1, -1, codes.shape[2]))  # [B, L, D]
        squares = (codebook.points(batch.states) - wanted).square().mean(2) * placed  # [B, L]
        distances = squares.sum(1)
        return Added(distances.sum(), {"state_codes": Value(distances.detach(), placed.sum(1), DISTANCE)})
