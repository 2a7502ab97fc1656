"""What a NAT would lose that knew P(Y|X) of a generated corpus: the least that MPLE's L_NAT and L_input can be on raw
data.

Its decoder predicts each token with the exact P(t_i | Z, X, M), M being the length; its masking head and its predictor
of revealed tokens have the exact marginals under (X, M). Which tokens a proxy input reveals follows from what this NAT
itself predicts under Z*.
"""

from collections.abc import Iterable, Iterator, Sequence
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
    `losses.losses`: ``ideal_loss``, ``ideal_l_input`` and ``ideal_token_loss``. An input that reveals no token of T,
    but what follows from X, such as codes of it, leaves them as they are without a hint.

    Each is a mean over `DRAWS` draws of a sentence's Z from Q(Z | T, X); what is given Z is exact. The masking head is
    the share of `HEAD_DRAWS` draws of (T, Z) from P(T | X, M) Q(Z | T, X) that mask a position.
    """
    bits = of_input = 0.0
    masked = tokens = 0
    for distribution, target in zip(distributions, targets, strict=True):
        lattice = Lattice(distribution, len(target))
        own = torch.tensor([[lattice.words[word] for word in target]])  # [1, T]
        prediction = Marginals(lattice.marginals())
        rows = own.expand(DRAWS, -1)
        revealed = chosen(rows, prediction) if "revealed tokens" in chosen.offers else None
        if revealed is None:
            revealed = torch.zeros_like(rows, dtype=torch.bool)
        else:
            drawn = lattice.draw(HEAD_DRAWS)
            # between 0 and 1, however few the draws
            masks = ((~chosen(drawn, prediction)).sum(0) + 0.5) / (HEAD_DRAWS + 1)
            shown = (1 - masks).log() + prediction.log_probs(own)
            cost = torch.where(revealed, shown, masks.log()).sum(1)
            of_input += float((chosen.log_probability(revealed, rows, prediction) - cost).mean())
        bits += float(-torch.where(revealed, 0.0, lattice.conditional(own, revealed).log()).sum(1).mean())
        masked += float((~revealed).sum(1).double().mean())
        tokens += len(target)
    unit = {"unit": "bits/token", "sentences": len(targets)}
    nats = {"ideal_loss": bits / tokens, "ideal_l_input": of_input / tokens, "ideal_token_loss": bits / masked}
    return {name: {"value": value / log(2), **unit} for name, value in nats.items()}


@dataclass
class Span:
    """Alternatives of one factor that have the same length, at one place of a target.

    start: the position of their first token; tokens: [N, l], words by number; weights: [N], in double.
    """

    start: int
    tokens: Tensor
    weights: Tensor

    @property
    def end(self) -> int:
        return self.start + self.tokens.shape[1]


class Lattice:
    """All targets of one length M that a distribution allows: paths from 0 to M, over one span of each factor.

    words: {word: its number}; spans: each factor's. The weights of all paths sum to 1.
    """

    def __init__(self, distribution: Distribution, length: int):
        self.length = length
        self.words: dict[str, int] = {}
        self.spans: list[list[Span]] = []
        for factor, (before, after) in zip(distribution.factors, distribution.around(), strict=True):
            by_size: dict[int, list[tuple[Tokens, float]]] = {}
            for tokens, p in factor:
                by_size.setdefault(len(tokens), []).append((tokens, p))
            places = [(start, size) for start in before for size in by_size if length - start - size in after]
            self.spans.append([self._span(start, by_size[size]) for start, size in places])
        total = self._forward(self._weights())[-1][0, length]
        for span in self.spans[0]:
            span.weights /= total

    def _span(self, start: int, alternatives: Sequence[tuple[Tokens, float]]) -> Span:
        numbered = [[self.words.setdefault(word, len(self.words)) for word in tokens] for tokens, _ in alternatives]
        return Span(start, torch.tensor(numbered), torch.tensor([p for _, p in alternatives], dtype=torch.double))

    def _weights(self) -> list[list[Tensor]]:
        """The alternatives' weights [1, N], nothing being revealed."""
        return [[span.weights[None] for span in spans] for spans in self.spans]

    def _forward(self, weights: list[list[Tensor]]) -> list[Tensor]:
        """Before each factor and after the last, the weight [D, M + 1] of all ways to arrive at each position.

        weights: [D, N] of each span's alternatives.
        """
        arriving = [torch.eye(1, self.length + 1, dtype=torch.double).expand(len(weights[0][0]), -1)]
        for spans, of_spans in zip(self.spans, weights, strict=True):
            ways = torch.zeros_like(arriving[0])
            for span, weight in zip(spans, of_spans, strict=True):
                ways[:, span.end] += arriving[-1][:, span.start] * weight.sum(1)
            arriving.append(ways)
        return arriving

    def _backward(self, weights: list[list[Tensor]]) -> list[Tensor]:
        """Before each factor and after the last, the weight [D, M + 1] of all ways from each position to the end."""
        leaving = [torch.eye(1, self.length + 1, dtype=torch.double).flip(1).expand(len(weights[0][0]), -1)]
        for spans, of_spans in zip(reversed(self.spans), reversed(weights), strict=True):
            ways = torch.zeros_like(leaving[0])
            for span, weight in zip(spans, of_spans, strict=True):
                ways[:, span.start] += leaving[-1][:, span.end] * weight.sum(1)
            leaving.append(ways)
        return leaving[::-1]

    def _through(self, weights: list[list[Tensor]]) -> Iterator[tuple[Span, Tensor]]:
        """(span, the weight [D, N] of all paths through each of its alternatives), over all spans."""
        arriving, leaving = self._forward(weights), self._backward(weights)
        for number, (spans, of_spans) in enumerate(zip(self.spans, weights, strict=True)):
            for span, weight in zip(spans, of_spans, strict=True):
                around = arriving[number][:, span.start] * leaving[number + 1][:, span.end]
                yield span, weight * around[:, None]

    def marginals(self) -> Tensor:
        """P(y_i | X, M) [M, V], in double."""
        probabilities = torch.zeros(self.length, len(self.words), dtype=torch.double)
        for span, weight in self._through(self._weights()):
            probabilities[span.start : span.end].scatter_add_(1, span.tokens.T, weight.expand(span.tokens.shape[1], -1))
        return probabilities

    def draw(self, count: int) -> Tensor:
        """Targets [count, M] drawn from P(Y | X, M)."""
        drawn = torch.zeros(count, self.length, dtype=torch.long)
        at = torch.zeros(count, dtype=torch.long)
        for spans, leaving in zip(self.spans, self._backward(self._weights())[1:], strict=True):
            starts = at.clone()
            for start in starts.unique().tolist():
                here = [span for span in spans if span.start == start]
                weights = torch.cat([span.weights * leaving[0, span.end] for span in here])
                rows = (starts == start).nonzero()[:, 0]
                chosen = torch.multinomial(weights, len(rows), replacement=True)
                for span in here:
                    mine = (chosen >= 0) & (chosen < len(span.weights))
                    drawn[rows[mine], span.start : span.end] = span.tokens[chosen[mine]]
                    at[rows[mine]] = span.end
                    chosen -= len(span.weights)
        return drawn

    def conditional(self, target: Tensor, revealed: Tensor) -> Tensor:
        """P(t_i | t_Z) [D, M], in double, of each token of ``target`` [1, M], given the ``revealed`` ones [D, M]."""

        def agree(span: Span) -> Tensor:
            return span.tokens == target[:, span.start : span.end]

        def possible(span: Span) -> Tensor:
            return (agree(span) | ~revealed[:, None, span.start : span.end]).all(2) * span.weights

        weights = [[possible(span) for span in spans] for spans in self.spans]
        right = torch.zeros(revealed.shape, dtype=torch.double)
        for span, weight in self._through(weights):
            right[:, span.start : span.end] += weight @ agree(span).double()
        return right / self._forward(weights)[-1][:, -1:]
