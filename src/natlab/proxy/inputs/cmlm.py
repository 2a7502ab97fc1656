"""Masked language modelling (CMLM, Ghazvininejad et al. 2019; MPLE, appendix E.6)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from natlab.proxy import subsets
from natlab.proxy.interface import Prediction


@dataclass
class Cmlm:
    """Reveals l = λ L of L target tokens, rounded down, all alike; λ is ``ratio``, or drawn evenly from 0 to 1 for each
    sentence. Then l is one of 0 .. L - 1, each as likely. ``least``: l is at least as many (`subsets.whole`)."""

    needs: ClassVar[tuple[str, ...]] = ("parallel",)
    offers: ClassVar[tuple[str, ...]] = ("revealed tokens",)

    ratio: Annotated[float, ">= 0", "<= 1"] | None = None
    least: Annotated[int, ">= 0"] = 0

    def __call__(self, target: Tensor, prediction: Prediction) -> Tensor:
        inside = target.ne(prediction.model.config.pad)
        lengths = inside.sum(1)
        share = torch.rand(len(target), device=target.device) if self.ratio is None else self.ratio
        return subsets.even(inside, subsets.whole(share * lengths, lengths, self.least))

    def log_probability(self, revealed: Tensor, target: Tensor, prediction: Prediction) -> Tensor:
        inside = target.ne(prediction.model.config.pad)
        lengths = inside.sum(1)
        if self.ratio is not None:
            return subsets.even_log_probability(
                revealed, inside, subsets.whole(self.ratio * lengths, lengths, self.least)
            )
        number = revealed.sum(1)
        drawn = torch.arange(int(lengths.max()), device=target.device)
        # how many of the L draws 0 .. L - 1 come to this number
        ways = subsets.whole(drawn.double(), lengths[:, None], self.least).eq(number[:, None]) & (
            drawn < lengths[:, None]
        )
        of_number = ways.sum(1).double().log() - lengths.double().log()
        return of_number + subsets.even_log_probability(revealed, inside, number)
