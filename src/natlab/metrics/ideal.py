"""What a NAT would lose that knew P(Y|X) of a generated corpus: the least that MPLE's L_NAT and L_input can be on raw
data.

Its decoder predicts each token with the exact P(t_i | Z, X, M), M being the length; its masking head and its predictor
of revealed tokens have the exact marginals under (X, M). Which tokens a proxy input reveals follows from what this NAT
itself predicts under Z*.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log
from types import SimpleNamespace

import torch
from torch import Tensor

from natlab.corpus.exact import Distribution, Tokens
from natlab.proxy.interface import ProxyInput

DRAWS = 64  # of a sentence's proxy input
HEAD_DRAWS = 256  # by which the masking head knows how often a position is masked
NO_PADDING = -1  # the sentences of one length are looked at together


@dataclass
class Marginals:
    """P(y_i | X, M) at each position, as the prediction under Z* that proxy inputs choose by (`Prediction.of`).

    probabilities: [T, V], of this sentence's words by number.
    """

    probabilities: Tensor
    model = SimpleNamespace(config=SimpleNamespace(pad=NO_PADDING))
    progress = 1.0

    def of(self, target: Tensor) -> "Marginals":
        self.lengths = torch.full((len(target),), target.shape[1])
        self.inside = torch.ones_like(target, dtype=torch.bool)
        self.tokens = self.probabilities.argmax(1).expand_as(target)
        return self

    def log_probs(self, target: Tensor) -> Tensor:
        return self.probabilities.gather(1, target.T).T.log()


def losses(distributions: Iterable[Distribution], targets: Sequence[Tokens], chosen: ProxyInput) -> dict[str, dict]:
    """The ideal NAT's losses on these targets, one a distribution, in bits per target token, beside those of
    `losses.losses`: ``ideal_loss``, ``ideal_l_input`` and ``ideal_token_loss``.

    Each is a mean over `DRAWS` draws of a sentence's Z from Q(Z | T, X); what is given Z is exact. The masking head is
    the share of `HEAD_DRAWS` draws of (T, Z) from P(T | X, M) Q(Z | T, X) that mask a position.
    """
    bits = of_input = 0.0
    masked = tokens = 0
    for distribution, target in zip(distributions, targets, strict=True):
        words: dict[str, int] = {}
        same = [(sentence, p) for sentence, p in distribution if len(sentence) == len(target)]
        support = torch.tensor([[words.setdefault(word, len(words)) for word in sentence] for sentence, _ in same])
        weights = torch.tensor([p for _, p in same], dtype=torch.double)
        weights /= weights.sum()
        own = torch.tensor([[words[word] for word in target]])  # [1, T]
        probabilities = torch.zeros(len(target), len(words), dtype=torch.double)
        probabilities.scatter_add_(1, support.T, weights.expand(len(target), -1))
        prediction = Marginals(probabilities)
        rows = own.expand(DRAWS, -1)
        revealed = chosen(rows, prediction)
        if revealed is None:
            revealed = torch.zeros_like(rows, dtype=torch.bool)
        else:
            drawn = support[torch.multinomial(weights, HEAD_DRAWS, replacement=True)]
            # between 0 and 1, however few the draws
            masks = ((~chosen(drawn, prediction)).sum(0) + 0.5) / (HEAD_DRAWS + 1)
            shown = (1 - masks).log() + prediction.log_probs(own)
            cost = torch.where(revealed, shown, masks.log()).sum(1)
            of_input += float((chosen.log_probability(revealed, rows, prediction) - cost).mean())
        bits += float(-torch.where(revealed, 0.0, conditional(support, weights, own, revealed).log()).sum(1).mean())
        masked += float((~revealed).sum(1).double().mean())
        tokens += len(target)
    unit = {"unit": "bits/token", "sentences": len(targets)}
    nats = {"ideal_loss": bits / tokens, "ideal_l_input": of_input / tokens, "ideal_token_loss": bits / masked}
    return {name: {"value": value / log(2), **unit} for name, value in nats.items()}


def conditional(support: Tensor, weights: Tensor, target: Tensor, revealed: Tensor) -> Tensor:
    """P(t_i | t_Z) [D, T] of each token of ``target`` [1, T], given those that are ``revealed`` [D, T], in double.

    support: [N, T], all targets of its length; weights: their probabilities [N], in double.
    """
    agree = support == target  # [N, T]
    possible = (agree[None] | ~revealed[:, None]).all(2) * weights  # [D, N]
    return (possible @ agree.double()) / possible.sum(1, keepdim=True)
