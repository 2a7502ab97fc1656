"""How many of the targets that P(Y|X) of a generated corpus allows, its modes, the hypotheses of a source reach."""

from collections.abc import Sequence

from natlab.corpus.exact import Distribution


def reached(hypotheses: Sequence[Sequence[str]], distributions: Sequence[Distribution]) -> dict[str, dict]:
    """``modes``: how many different hypotheses of a source P allows; ``modes_mass``: how much of P these have, in %.
    Means over sources, each with ``by_sentence``. Hypotheses are whitespace-tokenised and in lower case."""
    counts, masses = [], []
    for of_source, distribution in zip(hypotheses, distributions, strict=True):
        probabilities = [distribution.probability(tuple(line.split())) for line in set(of_source)]
        counts.append(sum(p > 0 for p in probabilities))
        masses.append(100 * sum(probabilities))
    return {
        name: {"value": sum(each) / len(each), "unit": unit, "by_sentence": each}
        for name, unit, each in (("modes", "targets", counts), ("modes_mass", "%", masses))
    }
