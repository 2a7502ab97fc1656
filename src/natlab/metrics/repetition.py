"""Repeated tokens, the most visible sign of a NAT mixing modes."""

from collections.abc import Iterable


def repeated_token_rate(hypotheses: Iterable[str]) -> float:
    """The share of tokens equal to the token just before them in their sentence, in % of all tokens.

    Ghazvininejad et al. (2020, section 5 and Table 9: "the percentage of repeated tokens") and Saharia et al. (2020)
    report it without a formula; consecutive repetition is what published NAT code counts. Hypotheses are
    whitespace-tokenised; 0 when there is no token.
    """
    tokens = repeated = 0
    for line in hypotheses:
        words = line.split()
        tokens += len(words)
        repeated += sum(a == b for a, b in zip(words, words[1:], strict=False))
    return 100 * repeated / tokens if tokens else 0.0
