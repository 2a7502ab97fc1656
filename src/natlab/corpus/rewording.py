"""Sources in the language of the targets: corpora of paraphrases and of summaries, German to German, of known P(Y|X).

A source X is one wording, drawn from P(·|m), of a meaning m of the grammar. Given X, the meaning is uncertain in
general: P(Y|X) = sum_m P(m|X) P(Y|m, X), with P(m|X) proportional to P(m) P(X|m). No German sentence of the grammar has
two meanings (each part of it is the translation of one English part only), so that the sum has one term, m(X):

- a paraphrase is another wording of it: P(Y|X) = P(Y|m) / (1 - P(X|m)) for Y other than X, and 0 for X itself;
- a summary words the core of its first clause, independently of how X words it: P(Y|X) = P(Y|core(m)).
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from natlab.corpus.exact import Distribution, Tokens
from natlab.corpus.ordering import Translations


@dataclass(frozen=True)
class Wording:
    """A source: one of the ways to say what it means."""

    meaning: Any
    tokens: Tokens


class Paraphrases:
    """Other wordings of what a source of one clause means, which ``base`` translates."""

    def __init__(self, base: Translations):
        self.base = base

    def distribution(self, source: Wording) -> Distribution:
        """P(Y|X) enumerated."""
        (targets,) = self.base.distribution(source.meaning).factors
        others = [(tokens, p) for tokens, p in targets if tokens != source.tokens]
        total = sum(p for _, p in others)
        return Distribution(([(tokens, p / total) for tokens, p in others],))

    def sample(self, source: Wording, rng: random.Random) -> Tokens:
        """One target drawn from P(Y|X)."""
        return self.distribution(source).draw(rng)


class Summaries:
    """Wordings of the ``core`` of what a source means, which ``base`` translates."""

    def __init__(self, base: Translations, core: Callable[[Any], Any]):
        self.base = base
        self.core = core

    def distribution(self, source: Wording) -> Distribution:
        """P(Y|X) enumerated."""
        return self.base.distribution(self.core(source.meaning))

    def sample(self, source: Wording, rng: random.Random) -> Tokens:
        """One target drawn from P(Y|X)."""
        return self.base.sample(self.core(source.meaning), rng)
