"""Exact information quantities of an enumerated P(Y|X), and the BLEU that P allows.

Convention: the length M of a target is a random variable of its own. With H in bits,

    C = H(M|X) + sum_i H(y_i|X,M) - H(Y|X),

averaged over the sources and divided by the mean target length (end of sentence not counted as a token). This is the
conditional total correlation of MPLE, section 2.3, Theorem 1, whose sum over i needs a given M; the bits of the
length appear on both sides of the difference, so C = sum_i H(y_i|X,M) - H(Y|X,M) as well. It is the excess loss of the
best model that predicts the length first and then every token on its own, over the best autoregressive one.
"""

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sacrebleu.metrics import BLEU

Tokens = tuple[str, ...]
Distribution = Sequence[tuple[Tokens, float]]  # the targets of one source, their probabilities summing to 1

CONVENTION = (
    "bits per target token, end of sentence not counted; "
    "conditional_tc = (H(M|X) + sum_i H(y_i|X,M) - H(Y|X)) averaged over the split's sources / mean target length; "
    "exact for the split's sources, lower-cased"
)


def entropy(probabilities: Iterable[float]) -> float:
    """Shannon entropy in bits of probabilities that sum to 1."""
    return sum(-p * math.log2(p) for p in probabilities if p > 0)


@dataclass(frozen=True)
class Marginals:
    """What a model that predicts the length, then every token on its own, can know of one P(Y|x).

    ``lengths``: P(M); ``tokens``: for every M, its M distributions P(y_i|M).
    """

    lengths: dict[int, float]
    tokens: dict[int, list[dict[str, float]]]

    @classmethod
    def of(cls, distribution: Distribution) -> "Marginals":
        """Marginalise an enumerated distribution."""
        lengths: dict[int, float] = defaultdict(float)
        joint: dict[int, list[dict[str, float]]] = {}
        for tokens, probability in distribution:
            lengths[len(tokens)] += probability
            for position, token in zip(joint.setdefault(len(tokens), [{} for _ in tokens]), tokens, strict=True):
                position[token] = position.get(token, 0.0) + probability
        conditional = {
            length: [{token: p / lengths[length] for token, p in position.items()} for position in positions]
            for length, positions in joint.items()
        }
        return cls(dict(lengths), conditional)

    def bits(self, tokens: Tokens) -> tuple[float, float]:
        """The cost in bits of a target under this factorisation: of its length, of its tokens given the length."""
        positions = self.tokens[len(tokens)]
        return (
            -math.log2(self.lengths[len(tokens)]),
            -sum(math.log2(position[token]) for position, token in zip(positions, tokens, strict=True)),
        )


@dataclass(frozen=True)
class Information:
    """Bits per sentence of one P(Y|x), and its mean length in tokens."""

    entropy: float  # H(Y)
    length_entropy: float  # H(M)
    marginal_entropy: float  # sum_i H(y_i|M)
    length: float  # E[M]

    @classmethod
    def of(cls, distribution: Distribution) -> "Information":
        """The exact quantities of an enumerated distribution."""
        marginals = Marginals.of(distribution)
        return cls(
            entropy=entropy(p for _, p in distribution),
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
        at -= math.log2(dict(distribution)[target])
        length_bits, token_bits = Marginals.of(distribution).bits(target)
        length += length_bits
        nat += token_bits
    tokens = sum(map(len, targets))
    return {"at": at / tokens, "nat": nat / tokens, "length": length / tokens}


def most_probable(distribution: Distribution) -> Tokens:
    """The target of highest probability, the first of them in a tie."""
    return max(distribution, key=lambda pair: pair[1])[0]


def draw(distribution: Distribution, rng: random.Random) -> Tokens:
    """One target drawn from the distribution."""
    tokens, probabilities = zip(*distribution, strict=True)
    return rng.choices(tokens, probabilities)[0]


def ceiling(
    distributions: Sequence[Distribution], references: int, rng: random.Random, draws: int = 20
) -> dict[str, float | str]:
    """Corpus BLEU (sacreBLEU) of every source's most probable target against references drawn from P.

    ``ceiling_bleu``: mean over ``draws`` drawn reference sets, one reference a source, and ``ceiling_bleu_std`` its
    spread from one set to the next; ``ceiling_bleu_multi``: against 1 + ``references`` references.
    """
    metric = BLEU(tokenize="none", force=True)
    hypotheses = [" ".join(most_probable(distribution)) for distribution in distributions]
    single, multi = [], []
    for _ in range(draws):
        streams = [[" ".join(draw(d, rng)) for d in distributions] for _ in range(1 + references)]
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
