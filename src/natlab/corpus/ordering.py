"""Ordering modes: targets whose words stand in one of several orders, for the synthetic ordering experiment of OaXE
(Du et al. 2021, appendix A.2).

The appendix gives how many orders there are, 2 to 5, and how probable each is: one categorical distribution for all
sentences. It does not say which orders, nor of what text; these are ours. However many orders there are, a sentence is
cut into `PARTS` parts, as equal as can be. The k-th order begins with the k-th part, goes on to the end, and then says
what comes before that part: "1 2 3 4 5 ." becomes "2 3 4 5 1 ." in the second. Only the full stop stays in its place.
So any two orders say another word of the sentence at each position, and agree in nearly all pairs of neighbours.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Protocol

from natlab.corpus.exact import Distribution, Tokens

PARTS = 5


class Translations(Protocol):
    """A known P(Y|X) of a generated corpus' sources."""

    def distribution(self, source: Any) -> Distribution:
        """P(Y|X) of one source."""

    def sample(self, source: Any, rng: random.Random) -> Tokens:
        """One target drawn from P(Y|X)."""


def reordered(sentence: Tokens, order: int) -> Tokens:
    """A sentence that ends with a full stop, in the order of this number, counted from 0."""
    *words, stop = sentence
    first = order * len(words) // PARTS
    return (*words[first:], *words[:first], stop)


class Reordered:
    """Targets of one clause, drawn from ``base``, each in an order drawn by these weights, whatever its words."""

    def __init__(self, base: Translations, weights: Sequence[float]):
        self.base = base
        self.probabilities = [weight / sum(weights) for weight in weights]

    def distribution(self, source: Any) -> Distribution:
        """P(Y|X) enumerated."""
        (targets,) = self.base.distribution(source).factors
        mixture: dict[Tokens, float] = defaultdict(float)
        for tokens, p in targets:
            for order, q in enumerate(self.probabilities):
                mixture[reordered(tokens, order)] += p * q
        return Distribution((list(mixture.items()),))

    def sample(self, source: Any, rng: random.Random) -> Tokens:
        """One target drawn from P(Y|X)."""
        (order,) = rng.choices(range(len(self.probabilities)), self.probabilities)
        return reordered(self.base.sample(source, rng), order)
