"""Masked language modelling (CMLM, Ghazvininejad et al. 2019; MPLE, appendix E.6)."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from natlab.proxy import subsets
from natlab.proxy.interface import Prediction


@dataclass
class Cmlm:
    """Reveals l = λ L of L target tokens, rounded down, all alike; λ is ``ratio``, or drawn evenly from 0 to 1 for each
    sentence. Then l is one of 0 .. L - 1 (appendix E.6 also writes 1 .. L, which would leave nothing to predict)."""

    ratio: Annotated[float, ">= 0", "<= 1"] | None = None

    def __call__(self, target: Tensor, prediction: Prediction) -> Tensor:
        inside = target.ne(prediction.model.config.pad)
        share = torch.rand(len(target), device=target.device) if self.ratio is None else self.ratio
        return subsets.even(inside, (share * inside.sum(1)).floor())

    def log_probability(self, revealed: Tensor, target: Tensor, prediction: Prediction) -> Tensor:
        inside = target.ne(prediction.model.config.pad)
        lengths = inside.sum(1)
        if self.ratio is not None:
            return subsets.even_log_probability(revealed, inside, (self.ratio * lengths).floor())
        number = revealed.sum(1)
        of_number = torch.where(number < lengths, -lengths.double().log(), -torch.inf)
        return of_number + subsets.even_log_probability(revealed, inside, number)
