"""Glancing at codes of the source (AEQA-NAT, Qu et al. 2025, section 2.4)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from natlab.proxy import subsets
from natlab.proxy.interface import Positions, Prediction, ShownCodes


@dataclass
class Codes:
    """A canvas of codes keeps ⌊λ d⌋ of them (equation 11), drawn evenly, and the loss is of all positions (equation
    12). λ falls linearly from ``start`` to ``end`` over the first share ``over`` of training.

    number: d is, "adaptive", the number of positions whose token the first pass gets wrong, as GLAT's (footnote 3), on
    a graph those of the best path, times its positions a token; or, "uniform", that of all positions. What is adaptive
    tells the model in training, by how many codes it sees, how wrong it is, which in inference nothing does.
    first: which codes the first pass sees, which the paper does not say: those of inference ("shown"), all or none.
    shuffled: each sentence gets another's share of errors in the batch, a control for what their number tells; frozen:
    it gets those of the model that training started from, as it was, another. (Where that is unknown, in measurement,
    its own.)
    reorder: "argmax" or "permutation", aligned reordering (`NonAutoregressiveTransformer.reordering`) by the token of T
    at each position or, with ``order_by`` prediction, the first pass' there; none unless said.
    """

    needs: ClassVar[tuple[str, ...]] = ("parallel", "codes")
    offers: ClassVar[tuple[str, ...]] = ("shown codes",)
    option_needs: ClassVar[dict[str, tuple[str, ...]]] = {"frozen": ("start",)}
    kernels: ClassVar[bool] = True
    started_from: ClassVar[object] = None  # a model, which training sets on the instance

    number: Literal["adaptive", "uniform"] = "adaptive"
    start: Annotated[float, ">= 0", "<= 1"] = 0.6
    end: Annotated[float, ">= 0", "<= 1"] = 0.4
    over: Annotated[float, "> 0", "<= 1"] = 1.0
    first: Literal["shown", "all", "none"] = "shown"
    shuffled: bool = False
    frozen: bool = False
    reorder: Literal["argmax", "permutation"] | None = None
    order_by: Literal["target", "prediction"] = "target"

    def __call__(self, target: Tensor, prediction: Prediction) -> ShownCodes:
        model, source = prediction.model, prediction.source
        lengths = model.canvas(source.lengths, target.ne(model.config.pad).sum(1))
        inside = torch.arange(int(lengths.max()), device=lengths.device) < lengths[:, None]
        adaptive, by_prediction = self.number == "adaptive", self.order_by == "prediction"
        aligned = first = order = None
        if adaptive or self.reorder is not None:
            aligned = prediction.objective.align(target, prediction).tokens  # [B, L]
        judged_by_start = self.frozen and self.started_from is not None
        if (adaptive and not judged_by_start) or (self.reorder is not None and by_prediction):
            first = self._first_pass(prediction, target, lengths, inside)
        share = self.start + (self.end - self.start) * min(1.0, prediction.progress / self.over)
        judged = self._of_start(target, prediction) if judged_by_start else first
        wrong = self._wrong(aligned, judged) if adaptive else 1.0
        # 0.4 · 5 / 5 · 5 is 2, whatever the last binary digit
        number = (share * wrong * lengths + 1e-4).floor()
        if self.reorder is not None:
            said = first.tokens.where(aligned.ne(model.config.pad), model.config.pad) if by_prediction else aligned
            order = model.reordering(source, said, lengths, self.reorder)
        return ShownCodes(subsets.even(inside, number), order)

    def _first_pass(self, prediction: Prediction, target: Tensor, lengths: Tensor, inside: Tensor) -> Positions:
        """The prediction on canvases of ``lengths`` [B], whose positions are ``inside`` [B, L]."""
        if self.first == "shown":
            return prediction.of(target)
        return prediction.under(lengths, inside if self.first == "all" else torch.zeros_like(inside))

    def _of_start(self, target: Tensor, prediction: Prediction) -> Positions:
        """The same prediction, of the model that training started from."""
        model, tokens = self.started_from, prediction.source.tokens
        source = model.encoder(tokens)
        objective, progress = prediction.objective, prediction.progress
        return Prediction(model, source, source.memories(model.layers), progress, objective).of(target)

    def _wrong(self, aligned: Tensor, first: Positions) -> Tensor:
        """The share [B] of the tokens of ``aligned`` [B, L] that the first pass gets wrong."""
        said = aligned.ne(first.model.config.pad)
        shares = (first.tokens.ne(aligned) & said).sum(1) / said.sum(1).clamp(min=1)
        return shares[torch.randperm(len(shares), device=shares.device)] if self.shuffled else shares
