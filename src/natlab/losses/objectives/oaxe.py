"""Order-agnostic cross entropy (OaXE, Du et al. 2021)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from natlab.kernels import assign
from natlab.losses.interface import SHARE, Cost, Decoded, Value, in_place
from natlab.proxy.interface import Positions


@dataclass
class Oaxe:
    """Cross entropy of the likeliest permutation of the target (appendix A.1, Algorithm 1).

    predict: "all" tokens whatever the input shows (appendix A.4); with "masks" tokens that it shows stay where they are
    and cost nothing, the others are permuted among themselves.
    truncate: the loss of predictions less probable than this π is dropped (their number still divides); None keeps all.

    The permutation is found on unsmoothed probabilities.
    """

    needs: ClassVar[tuple[str, ...]] = ("target length", "plain target")
    blank: ClassVar[bool] = False
    kernels: ClassVar[bool] = True
    decoding: ClassVar[str] = "argmax"

    predict: Literal["all", "masks"] = "all"
    truncate: Annotated[float, "> 0", "< 1"] | None = None

    align = staticmethod(in_place)

    def __call__(self, batch: Decoded, smoothing: float) -> Cost:
        model, target = batch.model, batch.target
        shown = None if self.predict == "all" else batch.revealed
        with torch.no_grad():
            positions = Positions.of(model, batch.states.detach(), batch.lengths)
            permuted, log_probs = self._permuted(positions, target, shown)  # [B, T], [B, T]
        predicted = batch.hidden if self.predict == "masks" else positions.inside
        kept = predicted
        if self.truncate is not None:
            kept = predicted & log_probs.exp().ge(self.truncate)
        loss, nll = model.sentence_loss(batch.states, permuted, kept, smoothing)
        dropped = Value((predicted & ~kept).sum(1), predicted.sum(1), SHARE)
        moved = Value((permuted.ne(target) & predicted).sum(1), predicted.sum(1), SHARE)
        return Cost(loss, nll, predicted.sum(1), {"truncated": dropped, "moved": moved})

    def nll(self, positions: Positions, target: Tensor) -> Tensor:
        return -self._permuted(positions, target, None)[1].sum(1)

    def _permuted(self, positions: Positions, target: Tensor, shown: Tensor | None) -> tuple[Tensor, Tensor]:
        """The likeliest permutation [P, T] of targets [P, T], and its tokens' log-probabilities [P, T], 0 beyond."""
        cost = -positions.log_probs_everywhere(target).transpose(1, 2)  # [P, position, token]
        if shown is not None:
            own = torch.eye(target.shape[1], dtype=torch.bool, device=target.device)
            cost = cost.masked_fill((shown[:, :, None] | shown[:, None, :]) & ~own, torch.inf)
        chosen = assign(cost, positions.lengths).clamp(min=0)  # [P, T]
        log_probs = -cost.gather(2, chosen[:, :, None])[:, :, 0]
        inside = positions.inside
        return target.gather(1, chosen).where(inside, target), log_probs.where(inside, 0)
