"""Constraints on what a model says of its own accord (CoDAT, An et al. 2023, equation 10)."""

from dataclasses import dataclass, fields
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from natlab.losses.interface import SHARE, Added, Decoded, Value
from natlab.losses.sampled import Drawing, rewards


@dataclass
class Contrastive:
    """Of two hypotheses the better one is to be likelier, by ``margin`` times as many nats a token as it ranks higher:
    max(0, log q(y-) - log q(y+) + (i - j) margin), the mean over a sentence's pairs (appendix C), then over sentences.

    Nothing is revealed. From a graph ``samples`` paths are drawn (`natlab.kernels.dag_sample`, with ``temperature`` and
    ``top_p``); a vanilla NAT says as many targets, with noise of standard deviation ``sigma`` on the decoder's input
    (`natlab.models.noisy`). What they say, of a graph repeats being one, counts once each, and of that the likeliest
    stay: as many as ``keep`` times the samples, or as there are. They rank by their ``reward``, sentence BLEU or
    ROUGE-L against T, in tokens; hypotheses of equal reward share a rank and are no pair. log q is ``likelihood``'s,
    over tokens: of the path, β Σ log P(token) + (1 - β) Σ log E, or of the string, the sum over all paths that say it
    (the paper leaves open which; the path's unless said is our reading). A vanilla NAT's is that of its tokens. A
    sentence that costs more than ``alpha`` bits a token, nothing being revealed, has no hypotheses; without alpha, in a
    training that starts from a model it is that model's mean on the validation set, elsewhere no sentence is left out.

    Numbers unless said are the paper's, which has no weight; on small corpora a margin of 0.03 and a weight of 5 work
    better. `violated`: the share of pairs that cost anything; `distinct`: of samples that say something of their own;
    `earned`: the mean reward; `left_out`: of sentences.
    """

    needs: ClassVar[tuple[str, ...]] = ("hypotheses",)
    of_start: ClassVar[str] = "alpha"
    kernels: ClassVar[bool] = True

    weight: Annotated[float, ">= 0"] = 1.0
    margin: Annotated[float, ">= 0"] = 0.001
    samples: Annotated[int, ">= 2"] = 128
    temperature: Annotated[float, "> 0"] = 0.1
    top_p: Annotated[float, "> 0", "<= 1"] = 0.5
    sigma: Annotated[float, ">= 0"] = 0.3
    keep: Annotated[float, "> 0", "<= 1"] = 0.25
    beta: Annotated[float, ">= 0", "<= 1"] = 0.5
    likelihood: Literal["path", "string"] = "path"
    reward: Literal["bleu", "rouge_l"] = "bleu"
    alpha: Annotated[float, ">= 0"] | None = None

    def __call__(self, batch: Decoded) -> Added:
        how = (getattr(self, field.name) for field in fields(Drawing))
        hypotheses = Drawing(*how)(batch)
        earned = rewards(hypotheses, batch, self.reward)
        loss, violated, pairs = contrast(hypotheses.scores, earned, hypotheses.there, self.margin)
        values = {
            "contrastive": Value(loss.detach(), torch.ones_like(pairs)),
            "violated": Value(violated, pairs, SHARE),
            **hypotheses.values(earned, self.samples),
        }
        return Added(loss.mean() * batch.lengths.sum(), values)


def contrast(scores: Tensor, rewards: Tensor, there: Tensor, margin: float) -> tuple[Tensor, Tensor, Tensor]:
    """Equation 10 of hypotheses' scores, rewards and whether they are ``there``, all [B, M]: the mean over pairs [B],
    and of how many pairs [B] it is more than 0, of how many [B]."""
    better = (rewards[:, :, None] > rewards[:, None]) & there[:, :, None] & there[:, None]  # i than j
    equal = (rewards[:, :, None] == rewards[:, None]) & there[:, None]
    first = there & ~equal.tril(-1).any(2)
    rank = (better & first[:, None]).sum(2)  # how many different rewards are below
    ahead = (rank[:, :, None] - rank[:, None]) * margin
    cost = (scores[:, None] - scores[:, :, None] + ahead).clamp(min=0).masked_fill(~better, 0)
    pairs = better.sum((1, 2))
    return cost.sum((1, 2)) / pairs.clamp(min=1), (cost > 0).sum((1, 2)), pairs
