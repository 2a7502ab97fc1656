"""The length prediction's loss (Gu et al. 2018; GLAT's and fairseq's NATs)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch.nn.functional as F

from natlab.losses.interface import Added, Decoded, Value


@dataclass
class Length:
    """Cross entropy of the length of T, each sentence's times its number of tokens.

    weight: 0.1 as in fairseq's and GLAT's NATs.
    """

    needs: ClassVar[tuple[str, ...]] = ("target length",)

    weight: Annotated[float, ">= 0"] = 0.1

    def __call__(self, batch: Decoded) -> Added:
        lengths, model = batch.lengths, batch.model
        scores, classes = model.lengths(batch.source), model.lengths.classes(batch.source, lengths)
        nll = F.cross_entropy(scores, classes, reduction="none")  # [B]
        return Added((nll * lengths).sum(), {"length": Value(nll.detach(), lengths)})
