"""Repeated tokens and n-grams, the most visible sign of a NAT mixing modes."""

from collections.abc import Iterable


def repeated_tokens(hypotheses: Iterable[str]) -> list[tuple[int, int]]:
    """Of each sentence, the number of tokens equal to the token just before them, and of all its tokens.

    Hypotheses are whitespace-tokenised. Ghazvininejad et al. (2020, section 5 and Table 9: "the percentage of repeated
    tokens") and Saharia et al. (2020) report the rate without a formula; consecutive repetition is what published NAT
    code counts.
    """
    sentences = (line.split() for line in hypotheses)
    return [(sum(a == b for a, b in zip(words, words[1:], strict=False)), len(words)) for words in sentences]


def repeated_token_rate(hypotheses: Iterable[str]) -> float:
    """The share of repeated tokens in all tokens, in %; 0 when there is no token."""
    counts = repeated_tokens(hypotheses)
    tokens = sum(count for _, count in counts)
    return 100 * sum(repeated for repeated, _ in counts) / tokens if tokens else 0.0


def repeated_ngrams(hypotheses: Iterable[str], n: int) -> list[tuple[int, int]]:
    """Of each sentence, the number of its n-grams that stand in it before, wherever, and of all its n-grams.

    Their share is seq-rep-n of Welleck et al. (2020, section 6.1). Qu et al. (2025, Figure 6, "n-gram repetition
    count") give neither formula nor, in the text we have, the figure's axes.
    """
    found = []
    for line in hypotheses:
        words = line.split()
        ngrams = [tuple(words[first : first + n]) for first in range(len(words) - n + 1)]
        found.append((len(ngrams) - len(set(ngrams)), len(ngrams)))
    return found
