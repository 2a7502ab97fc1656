"""Connectionist temporal classification (CTC, Graves et al. 2006; Libovický and Helcl 2018)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from natlab.kernels import ctc_best_alignment
from natlab.kernels.output_match import output_match
from natlab.losses.interface import SHARE, Aligned, Cost, Decoded, Value
from natlab.models.transformer import Config
from natlab.proxy.interface import Positions, Prediction

IMPOSSIBLE = 1e6  # nats: what torch has to see in place of infinitely many, which its gradient cannot


@dataclass
class Ctc:
    """-log of the sum over all alignments, in which each position has a token or a blank: equal neighbours are one
    token, blanks none. Targets that do not fit (tokens and their equal neighbours are more than positions) are counted,
    under `impossible`, and left out. Labels are not smoothed.

    An input reveals positions of the best alignment (CTC + GLAT, Gu and Kong 2021); the loss is that of all alignments
    all the same. Released codes differ on what a revealed blank ``shows``: the "blank" itself, the "token" before it
    (after it, at the beginning), or "nothing", the canvas as it is. Each counts as a position where the prediction can
    be wrong.
    """

    needs: ClassVar[tuple[str, ...]] = ("free length", "plain target")
    offers: ClassVar[tuple[str, ...]] = ("blanks and repeats",)
    blank: ClassVar[bool] = True
    kernels: ClassVar[bool] = True
    decoding: ClassVar[str] = "collapse"

    shows: Literal["blank", "token", "nothing"] = "blank"

    def align(self, target: Tensor, prediction: Prediction) -> Aligned:
        positions = prediction.of(target)
        match, lengths = self._match(positions, target), target.ne(Config.pad).sum(1)
        log_probs, index = ctc_best_alignment(match[:, 1:], match[:, 0], target, positions.lengths, lengths)  # [B, L]
        possible = positions.inside & log_probs.isfinite()[:, None]
        padded = F.pad(target, (0, 1), value=Config.pad)  # there may be no token at all
        said = padded.gather(1, index.clamp(min=0))
        tokens = said.where(index.ge(0), Config.bos).where(possible, Config.pad)
        shown = tokens
        if self.shows != "blank":
            shown = said.where(index.ge(0), Config.pad)
        if self.shows == "token":
            before = index.cummax(1).values.clamp(min=0)  # of the last position that has one; tokens only ascend
            shown = padded.gather(1, before).where(possible, Config.pad)
        return Aligned(tokens, shown, index)

    def __call__(self, batch: Decoded, smoothing: float) -> Cost:
        blank = batch.target.new_full((len(batch.target), 1), Config.bos)
        tokens = torch.cat([blank, batch.target], 1)  # [B, 1 + T]
        match = output_match(batch.states, batch.model.embedding.weight, tokens, batch.canvas, batch.lengths + 1)
        nll = alignments(match, batch.target, batch.canvas, batch.lengths)
        possible = nll.isfinite()
        nll = nll.masked_fill(~possible, 0)
        impossible = Value((~possible).long(), torch.ones_like(batch.lengths), SHARE)
        return Cost(nll.sum(), nll.detach(), batch.lengths * possible, {"impossible": impossible}, possible)

    def nll(self, positions: Positions, target: Tensor) -> Tensor:
        return alignments(self._match(positions, target), target, positions.lengths, target.ne(Config.pad).sum(1))

    def _match(self, positions: Positions, target: Tensor) -> Tensor:
        """Log-probabilities [P, 1 + T, L] of the blank and of targets [P, T] at each position."""
        blank = target.new_full((len(target), 1), Config.bos)
        return positions.log_probs_everywhere(torch.cat([blank, target], 1))


def alignments(match: Tensor, target: Tensor, lengths: Tensor, target_lengths: Tensor) -> Tensor:
    """-log of the sum over all alignments [B], in nats, of targets [B, T] of ``target_lengths`` [B] with ``lengths``
    [B] positions; infinite where there is none, with gradient 0.

    match: [B, 1 + T, L], the log-probability of the blank and of each target token at each position.
    """
    return _Alignments.apply(match, target, lengths, target_lengths)


class _Alignments(torch.autograd.Function):
    """torch's, whose gradient is right only behind a softmax over all words: of log-probabilities p it is short of
    -exp p."""

    @staticmethod
    def forward(ctx, match: Tensor, target: Tensor, lengths: Tensor, target_lengths: Tensor):
        target = F.pad(target, (0, 1))  # there may be no token at all
        steps = torch.arange(1, target.shape[1] + 1, device=target.device)
        inside = steps <= target_lengths[:, None]
        equal = target[:, :, None].eq(target[:, None]) & inside[:, None]
        labels = equal.long().argmax(2) + 1  # equal tokens are one label: the first of them
        of_labels = match.detach().permute(2, 0, 1).clamp(min=-IMPOSSIBLE)  # [L, B, 1 + T]
        with torch.enable_grad():
            of_labels.requires_grad_()
            nll = F.ctc_loss(of_labels, labels.where(inside, 1), lengths, target_lengths, reduction="none")
            nll = nll.masked_fill(nll.detach() >= IMPOSSIBLE / 2, torch.inf)
            possible = nll.detach().isfinite()
            if ctx.needs_input_grad[0]:
                (gradient,) = torch.autograd.grad(nll[possible].sum(), of_labels)
                gradient = (gradient - of_labels.detach().exp()).permute(1, 2, 0)  # [B, 1 + T, L]
                within = torch.arange(match.shape[2], device=match.device) < lengths[:, None]
                ctx.save_for_backward(gradient.masked_fill(~(possible[:, None] & within)[:, None], 0))
        return nll.detach()

    @staticmethod
    def backward(ctx, grad: Tensor):
        (gradient,) = ctx.saved_tensors
        return grad[:, None, None] * gradient, None, None, None
