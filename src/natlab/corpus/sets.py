"""Sets of sentences that say the same, as five captions of one image: line i of several files. Pairs of them are
drawn, so that both sides are of one language.

Of a training set so many ordered pairs are drawn, none twice; of a valid or test set one sentence is the source,
another the target, and the others, in an order that is drawn, too, are further references. Sentences of a set that
differ only in case, spaces or punctuation count as one; a set of a single one says nothing, and is left out.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations, zip_longest
from pathlib import Path
from typing import Any

from natlab.corpus.dataset import SPLITS
from natlab.corpus.text import bare


def write(splits: dict[str, Iterator[Sequence[str]]], source: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the splits {split: its sets, "" where one has fewer sentences} into ``folder``; returns {split: counts}."""
    counts = {}
    for split in SPLITS:
        rng = random.Random(f"{source['seed']}/{split}")
        distinct = [list({bare(line): line for line in lines if line}.values()) for lines in splits[split]]
        usable = [lines for lines in distinct if len(lines) > 1]
        drawn = _pairs(usable, source["pairs"], rng) if split == "train" else _with_references(usable, rng)
        columns = list(zip_longest(*drawn, fillvalue=""))
        for number, column in enumerate(columns):
            suffix = ("src", "tgt")[number] if number < 2 else f"ref{number - 1}"
            text = "".join(f"{line}\n" for line in column)
            (folder / f"{split}.{suffix}").write_text(text, encoding="utf-8", newline="\n")
        counts[split] = {
            "sets": len(distinct),
            "sets_of_one": len(distinct) - len(usable),
            "pairs_out": len(columns[0]) if columns else 0,
        }
    return counts


def _pairs(sets: Iterable[list[str]], count: int, rng: random.Random) -> list[tuple[str, ...]]:
    """``count`` pairs of each set, or all it has."""
    drawn = []
    for lines in sets:
        pairs = list(permutations(lines, 2))
        drawn += rng.sample(pairs, min(count, len(pairs)))
    return drawn


def _with_references(sets: Iterable[list[str]], rng: random.Random) -> list[list[str]]:
    return [rng.sample(lines, len(lines)) for lines in sets]
