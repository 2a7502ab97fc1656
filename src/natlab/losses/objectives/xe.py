"""Cross entropy (MPLE, equations 9 and 19)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from natlab.losses.interface import Cost, Decoded, in_place
from natlab.proxy.interface import Positions


@dataclass
class CrossEntropy:
    """Token t is predicted at position t. Revealed tokens are copied, so they cost nothing and train nothing (MPLE,
    appendix E.6)."""

    needs: ClassVar[tuple[str, ...]] = ("target length",)
    offers: ClassVar[tuple[str, ...]] = ("hypotheses",)
    blank: ClassVar[bool] = False
    kernels: ClassVar[bool] = False
    decoding: ClassVar[str] = "argmax"

    align = staticmethod(in_place)

    def __call__(self, batch: Decoded, smoothing: float) -> Cost:
        predicted = batch.hidden  # [B, T]
        loss, nll = batch.model.sentence_loss(batch.states, batch.target, predicted, smoothing)
        return Cost(loss, nll, predicted.sum(1))

    def nll(self, positions: Positions, target: Tensor) -> Tensor:
        return -positions.log_probs(target).sum(1)
