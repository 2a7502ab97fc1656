"""Exact information quantities of a P(Y|X) that is enumerated, or whose parts are, and the BLEU that P allows.

Convention: the length M of a target is a random variable of its own. With H in bits,

    C = H(M|X) + sum_i H(y_i|X,M) - H(Y|X),

averaged over the sources and divided by the mean target length (end of sentence not counted as a token). This is the
conditional total correlation of MPLE, section 2.3, Theorem 1, whose sum over i needs a given M; the bits of the
length appear on both sides of the difference, so C = sum_i H(y_i|X,M) - H(Y|X,M) as well. It is the excess loss of the
best model that predicts the length first and then every token on its own, over the best autoregressive one.
"""

import itertools
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from sacrebleu.metrics import BLEU

Tokens = tuple[str, ...]
Enumeration = Sequence[tuple[Tokens, float]]  # alternatives, their probabilities summing to 1

CONVENTION = (
    "bits per target token, end of sentence not counted; "
    "conditional_tc = (H(M|X) + sum_i H(y_i|X,M) - H(Y|X)) averaged over the split's sources / mean target length; "
    "exact for the split's sources, lower-cased"
)


def entropy(probabilities: Iterable[float]) -> float:
    """Shannon entropy in bits of probabilities that sum to 1."""
    return sum(-p * math.log2(p) for p in probabilities if p > 0)


@dataclass(frozen=True)
class Distribution:
    """P(Y|x): a target is one alternative of each factor, end to end, each drawn independently of the others.

    Where all targets are enumerated there is one factor. No two choices of alternatives may make the same target.
    """

    factors: tuple[Enumeration, ...]

    @property
    def size(self) -> int:
        """The number of targets."""
        return math.prod(map(len, self.factors))

    def enumerated(self) -> Enumeration:
        """Every target with its probability; of several factors there can be very many."""
        chosen = (zip(*alternatives, strict=True) for alternatives in itertools.product(*self.factors))
        return [(_joined(parts), math.prod(probabilities)) for parts, probabilities in chosen]

    def probability(self, target: Tokens) -> float:
        """P(target|x); 0 for what is no target."""
        reached = {0: 1.0}  # where the factors so far can end, with the probability of the tokens before
        for factor in self.factors:
            ends: dict[int, float] = defaultdict(float)
            for start, before in reached.items():
                for tokens, p in factor:
                    if target[start : start + len(tokens)] == tokens:
                        ends[start + len(tokens)] += before * p
            reached = ends
        return reached.get(len(target), 0.0)

    def most_probable(self) -> Tokens:
        """The target of highest probability, the first of them in a tie."""
        return _joined(max(factor, key=lambda pair: pair[1])[0] for factor in self.factors)

    def draw(self, rng: random.Random) -> Tokens:
        """One target drawn from the distribution."""
        columns = (zip(*factor, strict=True) for factor in self.factors)
        return _joined(rng.choices(alternatives, probabilities)[0] for alternatives, probabilities in columns)

    def lengths(self) -> dict[int, float]:
        """P(M)."""
        return reduce(_convolved, map(_lengths, self.factors), {0: 1.0})

    def around(self) -> list[tuple[dict[int, float], dict[int, float]]]:
        """Of each factor, how many tokens stand before it and how many after it: two distributions."""
        lengths = [_lengths(factor) for factor in self.factors]
        before = itertools.accumulate(lengths[:-1], _convolved, initial={0: 1.0})
        after = itertools.accumulate(lengths[:0:-1], _convolved, initial={0: 1.0})
        return list(zip(before, reversed(list(after)), strict=True))


def _joined(parts: Iterable[Tokens]) -> Tokens:
    return tuple(itertools.chain.from_iterable(parts))


def _lengths(factor: Enumeration) -> dict[int, float]:
    lengths: dict[int, float] = defaultdict(float)
    for tokens, probability in factor:
        lengths[len(tokens)] += probability
    return dict(lengths)


def _convolved(one: dict[int, float], other: dict[int, float]) -> dict[int, float]:
    """The distribution of the sum of two independent lengths."""
    total: dict[int, float] = defaultdict(float)
    for (a, p), (b, q) in itertools.product(one.items(), other.items()):
        total[a + b] += p * q
    return dict(total)


@dataclass(frozen=True)
class Marginals:
    """What a model that predicts the length, then every token on its own, can know of one P(Y|x).

    ``lengths``: P(M); ``tokens``: for every M, its M distributions P(y_i|M).
    """

    lengths: dict[int, float]
    tokens: dict[int, list[dict[str, float]]]

    @classmethod
    def of(cls, distribution: Distribution) -> "Marginals":
        """Marginalise a distribution: each factor's own tokens, wherever what stands around it can put them."""
        lengths = distribution.lengths()
        joint: dict[int, list[dict[str, float]]] = {}
        for factor, (before, after) in zip(distribution.factors, distribution.around(), strict=True):
            own: dict[int, list[dict[str, float]]] = {}
            for tokens, probability in factor:
                _add([{token: probability} for token in tokens], own.setdefault(len(tokens), [{} for _ in tokens]))
            for (start, p), (size, positions), (rest, q) in itertools.product(
                before.items(), own.items(), after.items()
            ):
                length = start + size + rest
                whole = joint.setdefault(length, [{} for _ in range(length)])
                _add(positions, whole[start : start + size], p * q)
        conditional = {
            length: [{token: p / lengths[length] for token, p in position.items()} for position in positions]
            for length, positions in joint.items()
        }
        return cls(lengths, conditional)

    def bits(self, tokens: Tokens) -> tuple[float, float]:
        """The cost in bits of a target under this factorisation: of its length, of its tokens given the length."""
        positions = self.tokens[len(tokens)]
        return (
            -math.log2(self.lengths[len(tokens)]),
            -sum(math.log2(position[token]) for position, token in zip(positions, tokens, strict=True)),
        )


def _add(terms: Iterable[dict[str, float]], sums: Iterable[dict[str, float]], weight: float = 1.0) -> None:
    """Add, position by position, the terms times a weight."""
    for position, total in zip(terms, sums, strict=True):
        for token, p in position.items():
            total[token] = total.get(token, 0.0) + weight * p


@dataclass(frozen=True)
class Information:
    """Bits per sentence of one P(Y|x), and its mean length in tokens."""

    entropy: float  # H(Y)
    length_entropy: float  # H(M)
    marginal_entropy: float  # sum_i H(y_i|M)
    length: float  # E[M]

    @classmethod
    def of(cls, distribution: Distribution) -> "Information":
        """The exact quantities of a distribution."""
        marginals = Marginals.of(distribution)
        return cls(
            entropy=sum(entropy(p for _, p in factor) for factor in distribution.factors),
            length_entropy=entropy(marginals.lengths.values()),
            marginal_entropy=sum(
                p * sum(entropy(position.values()) for position in marginals.tokens[length])
                for length, p in marginals.lengths.items()
            ),
            length=sum(length * p for length, p in marginals.lengths.items()),
        )


def information(distributions: Iterable[Distribution]) -> dict[str, float]:
    """The quantities in bits per token over sources of equal weight: sums of bits over sums of expected tokens."""
    rows = [Information.of(distribution) for distribution in distributions]
    tokens = sum(row.length for row in rows)
    joint = sum(row.entropy for row in rows) / tokens
    lengths = sum(row.length_entropy for row in rows) / tokens
    marginal = sum(row.marginal_entropy for row in rows) / tokens
    return {
        # Rounded off at 1e-12: without modes the difference of the sums is 0, not a rounding error.
        "conditional_tc": round(lengths + marginal - joint, 12) + 0.0,
        "entropy": joint,
        "marginal_entropy": marginal,
        "length_entropy": lengths,
        "mean_length": tokens / len(rows),
    }


def ideal_losses(distributions: Sequence[Distribution], targets: Sequence[Tokens]) -> dict[str, float]:
    """What perfect models lose on these very targets, in bits per token: the exact values under sampling noise.

    ``at`` is -log2 P(Y|X) and expects ``entropy``; ``length`` and ``nat`` are those of the factorised model and expect
    ``length_entropy`` and ``marginal_entropy``.
    """
    at = nat = length = 0.0
    for distribution, target in zip(distributions, targets, strict=True):
        at -= math.log2(distribution.probability(target))
        length_bits, token_bits = Marginals.of(distribution).bits(target)
        length += length_bits
        nat += token_bits
    tokens = sum(map(len, targets))
    return {"at": at / tokens, "nat": nat / tokens, "length": length / tokens}


def ceiling(
    distributions: Sequence[Distribution], references: int, rng: random.Random, draws: int = 20
) -> dict[str, float | str]:
    """Corpus BLEU (sacreBLEU) of every source's most probable target against references drawn from P.

    ``ceiling_bleu``: mean over ``draws`` drawn reference sets, one reference a source, and ``ceiling_bleu_std`` its
    spread from one set to the next; ``ceiling_bleu_multi``: against 1 + ``references`` references.
    """
    metric = BLEU(tokenize="none", force=True)
    hypotheses = [" ".join(distribution.most_probable()) for distribution in distributions]
    single, multi = [], []
    for _ in range(draws):
        streams = [[" ".join(d.draw(rng)) for d in distributions] for _ in range(1 + references)]
        single.append(metric.corpus_score(hypotheses, streams[:1]).score)
        multi.append(metric.corpus_score(hypotheses, streams).score)
    mean = sum(single) / draws
    values = {
        "ceiling_bleu": mean,
        "ceiling_bleu_std": math.sqrt(sum((score - mean) ** 2 for score in single) / draws),
    }
    if references:
        values["ceiling_bleu_multi"] = sum(multi) / draws
    return values
