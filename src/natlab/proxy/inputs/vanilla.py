"""Vanilla proxy input (MPLE, appendix E.5)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from natlab.proxy.interface import Prediction


@dataclass
class Vanilla:
    """Reveals nothing: Z is the same function of the source, Z*, in training and in decoding."""

    needs: ClassVar[tuple[str, ...]] = ("parallel",)
    offers: ClassVar[tuple[str, ...]] = ()

    def __call__(self, target: Tensor, prediction: Prediction) -> None:
        return None

    def log_probability(self, revealed: None, target: Tensor, prediction: Prediction) -> Tensor:
        return torch.zeros(len(target), dtype=torch.double, device=target.device)
