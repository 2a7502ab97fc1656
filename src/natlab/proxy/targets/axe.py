"""Aligned cross entropy (AXE, Ghazvininejad et al. 2020; MPLE, appendix E.3)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from natlab.kernels import axe_align
from natlab.kernels.axe_align import ALIGN, SKIP_PREDICTION, SKIP_TARGET
from natlab.proxy.interface import Prediction, References


@dataclass
class Axe:
    """T is a subsequence of the reference with ε inserted, as long as the reference: where a prediction is aligned, its
    (first) token, elsewhere ε (MPLE, equation 20, first term).

    The alignment is the cheapest monotonic one of the reference with the predictions under Z*; ``delta`` is what
    skipping a target costs, MPLE's τ. It enters the choice of T only: L_NAT is the loss of T. "Predict all": no target
    is shown to the model while T is chosen.
    """

    needs: ClassVar[tuple[str, ...]] = ("parallel", "target length")
    offers: ClassVar[tuple[str, ...]] = ()
    references: ClassVar[str] = "either"
    blank: ClassVar[bool] = True
    kernels: ClassVar[bool] = True

    delta: Annotated[float, "> 0"]

    def __call__(self, references: References, prediction: Prediction) -> Tensor:
        tokens, config = references.tokens, prediction.model.config
        predicted = prediction.of(tokens)
        logp = predicted.log_probs_everywhere(tokens)
        blank = predicted.log_probs(torch.full_like(tokens, config.bos))
        alignment = axe_align(logp, blank, predicted.lengths, predicted.lengths, self.delta)
        return aligned(tokens, alignment.operations, config.bos, config.pad)


def aligned(reference: Tensor, operations: Tensor, blank: int, pad: int) -> Tensor:
    """T [B, T] of a reference [B, T] aligned with as many predictions by ``operations`` [B, 2 T] (`axe_align`)."""
    lengths = reference.ne(pad).sum(1)
    inside = torch.arange(reference.shape[1], device=reference.device) < lengths[:, None]
    target = torch.where(inside, blank, pad)
    align = operations.eq(ALIGN)
    # how many targets and predictions have been read after each operation
    targets = (align | operations.eq(SKIP_TARGET)).cumsum(1)
    predictions = (align | operations.eq(SKIP_PREDICTION)).cumsum(1)
    sentence, step = align.nonzero(as_tuple=True)
    target[sentence, predictions[sentence, step] - 1] = reference[sentence, targets[sentence, step] - 1]
    return target
