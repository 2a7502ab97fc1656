"""Glancing (Qian et al. 2021; MPLE, appendix E.6)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from natlab.proxy import subsets
from natlab.proxy.interface import Positions, Prediction


@dataclass
class Glat:
    """Reveals l = λ d(T, argmax P(t_i | X)) target tokens, d being the number of positions where the two differ, or,
    with ``distance`` levenshtein, of insertions, deletions and substitutions between them.

    λ falls linearly from ``start`` to ``end`` over the first share ``over`` of training. ``count`` says how a number
    that need not be whole becomes tokens: ``floor`` rounds l down (MPLE gives l, and masks exactly L - l tokens),
    ``round`` to the nearest (the released code of DA-Transformer), ``bernoulli`` reveals each position
    on its own with probability l / L (the released code of GLAT; ``reveal`` uniform only). ``least``: l is at least as
    many (`subsets.whole`); with 0, as here unless said, a sentence of few errors shows none. ``reveal`` says which:
    uniform, all alike; p_ref, one after another in proportion to P(t_i | X); inverse, to 1 - P(t_i | X). The prediction
    is made in training mode, with dropout of its own, as in the released code of GLAT; DA-Transformer's gives both
    passes the same.

    On a canvas longer than the target, positions count where the objective's alignment has a token, and the sequence
    that ``levenshtein`` compares is what they say.
    """

    needs: ClassVar[tuple[str, ...]] = ("parallel",)
    offers: ClassVar[tuple[str, ...]] = ("revealed tokens",)

    start: Annotated[float, ">= 0", "<= 1"] = 0.5
    end: Annotated[float, ">= 0", "<= 1"] = 0.3
    over: Annotated[float, "> 0", "<= 1"] = 1.0
    count: Literal["floor", "round", "bernoulli"] = "floor"
    distance: Literal["hamming", "levenshtein"] = "hamming"
    reveal: Literal["uniform", "p_ref", "inverse"] = "uniform"
    least: Annotated[int, ">= 0"] = 0

    def __call__(self, target: Tensor, prediction: Prediction) -> Tensor:
        predicted, inside = prediction.of(target), target.ne(prediction.model.config.pad)
        number = self._number(target, inside, predicted, prediction.progress)
        if self.count == "bernoulli":
            chance = torch.rand(target.shape, device=target.device)
            return (chance < (number / inside.sum(1).clamp(min=1))[:, None]) & inside
        if self.reveal == "uniform":
            return subsets.even(inside, number)
        return subsets.successive(self._weights(target, predicted), inside, number)

    def log_probability(self, revealed: Tensor, target: Tensor, prediction: Prediction) -> Tensor:
        predicted, inside = prediction.of(target), target.ne(prediction.model.config.pad)
        number = self._number(target, inside, predicted, prediction.progress)
        if self.count == "bernoulli":
            share = (number / inside.sum(1).clamp(min=1)).double()
            shown, hidden = revealed.sum(1), (inside & ~revealed).sum(1)
            return torch.xlogy(shown, share) + torch.xlogy(hidden, 1 - share)
        if self.reveal == "uniform":
            return subsets.even_log_probability(revealed, inside, number)
        weights = self._weights(target, predicted)
        return subsets.successive_log_probability(revealed, weights, inside, number)

    def _number(self, target: Tensor, inside: Tensor, predicted: Positions, progress: float) -> Tensor:
        """l [B], whole unless tokens are revealed each on its own."""
        lengths = inside.sum(1)
        if self.distance == "hamming":
            wrong = (predicted.tokens.ne(target) & inside).sum(1)
        else:
            order = (~inside).long().argsort(dim=1, stable=True)  # those inside first, in their order
            wrong = levenshtein(predicted.tokens.gather(1, order), target.gather(1, order), lengths)
        share = self.start + (self.end - self.start) * min(1.0, progress / self.over)
        number = share * wrong
        if self.count == "bernoulli":
            return torch.maximum(number, subsets.whole(number, lengths, self.least))
        return subsets.whole(number + (0.5 if self.count == "round" else 0.0), lengths, self.least)

    def _weights(self, target: Tensor, predicted: Positions) -> Tensor:
        of_target = predicted.log_probs(target).exp()
        return of_target if self.reveal == "p_ref" else 1 - of_target


def levenshtein(first: Tensor, second: Tensor, lengths: Tensor) -> Tensor:
    """Edit distance [B] of sequences [B, T] of the same ``lengths`` [B]: insertions, deletions and substitutions."""
    steps = torch.arange(first.shape[1] + 1, device=first.device)
    row = steps.expand(len(first), -1)
    rows = [row]
    for t in range(first.shape[1]):
        other = torch.minimum(row[:, :-1] + first[:, t, None].ne(second), row[:, 1:] + 1)
        other = torch.cat([row[:, :1] + 1, other], 1)
        row = (other - steps).cummin(1).values + steps  # insertions: min over k of other[k] + (j - k)
        rows.append(row)
    return torch.stack(rows)[lengths, torch.arange(len(first), device=first.device), lengths]
