"""Raw data (MPLE, appendix E.1)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from natlab.proxy.interface import Prediction


@dataclass
class Raw:
    """T is the reference of the corpus."""

    distilled: ClassVar[bool] = False

    def __call__(self, reference: Tensor, prediction: Prediction) -> Tensor:
        return reference
