"""Whether a translation is one that P(Y|X) of a generated corpus allows: one that it does not mixes modes, or errs."""

from collections.abc import Sequence

from natlab.corpus.exact import Distribution


def allowed(hypotheses: Sequence[str], distributions: Sequence[Distribution]) -> list[bool]:
    """Whether P(Y|X) > 0 of each hypothesis, whitespace-tokenised and in lower case like its distribution's targets."""
    pairs = zip(hypotheses, distributions, strict=True)
    return [distribution.probability(tuple(line.split())) > 0 for line, distribution in pairs]
