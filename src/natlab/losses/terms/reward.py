"""Reward of what a model says of its own accord (CoDAT, An et al. 2023, equation 5 and appendix A)."""

from dataclasses import dataclass, fields
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from natlab.losses.interface import Added, Decoded, Value
from natlab.losses.sampled import Drawing, rewards


@dataclass
class Reward:
    """Equation 5, D(q || p) = E_q [M], with M = log q(y'|x) / p_R(y'|x) and p_R = exp(R(y, y')) / Z (equation 6): what
    is minimised is -H(q) - E_q [R] + log Z (appendix A). Of this the paper optimises the reward, and so do we: the
    gradient of -E_q [R] is that of -(R(y') - b) log q(y'|x) for y' drawn from q, b being the mean reward of a
    sentence's hypotheses (REINFORCE, Williams 1992). The mean over these, then over sentences. log q is over tokens, as
    in the constraints, so the loss is in nats a token.

    Hypotheses are drawn, filtered and scored as `contrastive`'s, with the same options and values. Each is said once
    and weighs alike, so it is a mean over what was drawn, not over draws from q itself.
    """

    needs: ClassVar[tuple[str, ...]] = ("hypotheses",)
    of_start: ClassVar[str] = "alpha"
    kernels: ClassVar[bool] = True

    weight: Annotated[float, ">= 0"] = 1.0
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
        loss = rewarded(hypotheses.scores, earned, hypotheses.there)
        values = {
            "reward": Value(loss.detach(), torch.ones_like(batch.lengths)),
            **hypotheses.values(earned, self.samples),
        }
        return Added(loss.mean() * batch.lengths.sum(), values)


def rewarded(scores: Tensor, rewards: Tensor, there: Tensor) -> Tensor:
    """The mean of -(R - mean R) score [B] over hypotheses that are ``there``, all [B, M]."""
    count = there.sum(1, keepdim=True).clamp(min=1)
    above = rewards - rewards.masked_fill(~there, 0).sum(1, keepdim=True) / count
    return -(above.to(scores.dtype) * scores).masked_fill(~there, 0).sum(1) / count[:, 0]
