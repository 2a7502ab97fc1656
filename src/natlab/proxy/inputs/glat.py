"""Glancing (Qian et al. 2021; MPLE, appendix E.6)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from natlab.proxy.interface import Prediction


@dataclass
class Glat:
    """Reveals l = λ Σ_i [T_i ≠ argmax P(t_i | X)] target tokens, chosen uniformly among all positions.

    λ falls linearly from ``start`` to ``end`` over training. ``count`` says how a number that need not be whole becomes
    tokens: ``floor`` rounds l down (MPLE gives l, and masks exactly L - l tokens), ``bernoulli`` reveals each position
    on its own with probability l / L (the released code of GLAT). The prediction is made in training mode (with
    dropout), as in the released code.
    """

    start: float = 0.5
    end: float = 0.3
    count: str = "floor"

    def __call__(self, target: Tensor, prediction: Prediction) -> Tensor:
        lengths = prediction.lengths
        inside = torch.arange(target.shape[1], device=target.device) < lengths[:, None]
        wrong = (prediction.tokens.ne(target) & inside).sum(1)
        share = self.start + (self.end - self.start) * prediction.progress
        chance = torch.rand(target.shape, device=target.device)
        if self.count == "bernoulli":
            return (chance < (share * wrong / lengths.clamp(min=1))[:, None]) & inside
        # the l positions with the smallest chance
        rank = chance.masked_fill(~inside, 2.0).argsort(1).argsort(1)
        return rank < (share * wrong).floor()[:, None]
