"""Sequence-level knowledge distillation (Kim and Rush 2016; MPLE, appendix E.2)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from natlab.proxy.interface import Prediction, References


@dataclass
class Kd:
    """T is what a teacher's beam search makes of the source; the workflow puts it in the reference's place
    beforehand."""

    needs: ClassVar[tuple[str, ...]] = ()
    offers: ClassVar[tuple[str, ...]] = ("plain target",)
    references: ClassVar[str] = "distilled"
    blank: ClassVar[bool] = False
    kernels: ClassVar[bool] = False

    def __call__(self, references: References, prediction: Prediction) -> Tensor:
        return references.tokens
