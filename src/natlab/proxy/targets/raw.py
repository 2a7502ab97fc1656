"""Raw data (MPLE, appendix E.1)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from natlab.proxy.interface import Prediction, References


@dataclass
class Raw:
    """T is the reference of the corpus."""

    needs: ClassVar[tuple[str, ...]] = ()
    offers: ClassVar[tuple[str, ...]] = ("plain target",)
    references: ClassVar[str] = "raw"
    blank: ClassVar[bool] = False
    kernels: ClassVar[bool] = False

    def __call__(self, references: References, prediction: Prediction) -> Tensor:
        return references.tokens
