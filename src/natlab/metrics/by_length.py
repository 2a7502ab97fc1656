"""Sentences in buckets of their target's length (Ghazvininejad et al. 2020, section 5 and Table 8)."""

from collections.abc import Iterable
from math import inf

# The buckets of the paper's Table 8, by name: from so many tokens on, and fewer than so many; and finer ones for
# corpora of short sentences.
TENS = {
    "1-9": (1, 10),
    "10-19": (10, 20),
    "20-29": (20, 30),
    "30-39": (30, 40),
    "40-49": (40, 50),
    "50-": (50, inf),
}
PAIRS = {f"{first}-{first + 1}": (first, first + 2) for first in range(1, 20, 2)}
BUCKETS = TENS | PAIRS
# Fewer sentences say nothing of their length, nor would resampling them say so: one sentence drawn again is itself.
LEAST = 10


def by_length(lengths: Iterable[int], least: int = LEAST) -> dict[str, list[int]]:
    """{bucket: the numbers of the sentences in it, from 0}, of targets of these lengths in tokens; no bucket of fewer
    than ``least`` sentences. A target without tokens is in none."""
    found: dict[str, list[int]] = {name: [] for name in BUCKETS}
    for number, length in enumerate(lengths):
        for name, (first, below) in BUCKETS.items():
            if first <= length < below:
                found[name].append(number)
    return {name: numbers for name, numbers in found.items() if len(numbers) >= least}
