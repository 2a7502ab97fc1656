"""The loss of the head that predicts which tokens a proxy input masks (MPLE, appendix E.6)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch.nn.functional as F

from natlab.losses.interface import Added, Decoded, Value


@dataclass
class Masking:
    """Binary cross entropy at each position of T under Z*. The head lets no gradient through."""

    needs: ClassVar[tuple[str, ...]] = ("masking head", "revealed tokens", "target length")

    weight: Annotated[float, ">= 0"] = 1.0

    def __call__(self, batch: Decoded) -> Added:
        # made here, after the decoding, so that the random numbers of its dropout are those of a model without the head
        under_mask = batch.prediction.of(batch.target)
        logits, hidden = batch.model.masked_logits(under_mask.states), batch.hidden.float()  # [B, T]
        inside = under_mask.inside
        nll = F.binary_cross_entropy_with_logits(logits[inside], hidden[inside], reduction="none")  # [N]
        of_sentences = nll.new_zeros(len(hidden)).index_add(0, inside.nonzero()[:, 0], nll.detach())
        return Added(nll.sum(), {"masked": Value(of_sentences, batch.lengths)})
