"""What no two splits of a corpus have in common, where its files do: pairs are left out of the larger split.

Valid gives way to test, and train to both. Sentences that differ only in case, spaces or punctuation count as one.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from natlab.corpus.text import aligned, bare, read

Key = tuple[str, ...]  # a language, or two; then sentences
Row = dict[str, str]  # {suffix of a file: its line}: src, tgt, ref1, …


def _pair(row: Row, languages: dict[str, str]) -> set[Key]:
    return {(bare(row["src"]), bare(row["tgt"]))}


def _source(row: Row, languages: dict[str, str]) -> set[Key]:
    return {(bare(row["src"]),)}


def _either(row: Row, languages: dict[str, str]) -> set[Key]:
    of = {suffix: languages["src" if suffix == "src" else "tgt"] for suffix in row}
    return {(of[suffix], bare(line)) for suffix, line in row.items() if line}


# What is compared: both sides together; sources; every sentence of a language, on whichever side, references too.
KEYS: dict[str, Callable[[Row, dict[str, str]], set[Key]]] = {"pair": _pair, "source": _source, "either": _either}


def separate(folder: Path, by: str, languages: dict[str, str]) -> dict[str, int]:
    """Leave out of ``folder/{valid,train}.*`` the rows that have a key of `KEYS` in common with a smaller split;
    returns {split: how many}."""
    taken: set[Key] = set()
    dropped = {}
    for split in ("test", "valid", "train"):
        kept, dropped[split] = _without(folder, split, lambda row: KEYS[by](row, languages), taken)
        if split != "train":
            taken |= kept
    return dropped


def _without(folder: Path, split: str, keys: Callable[[Row], set[Key]], taken: set[Key]) -> tuple[set[Key], int]:
    """Rewrite a split without the rows that have a key among ``taken``; returns the keys of the others (none of train,
    which may have millions), and how many rows are gone."""
    paths = sorted(folder.glob(f"{split}.*"))
    suffixes = [path.suffix[1:] for path in paths]
    asides = [path.with_name(f".{path.name}") for path in paths]
    kept: set[Key] = set()
    gone = 0
    with ExitStack() as stack:
        files = [stack.enter_context(open(path, "w", encoding="utf-8", newline="\n")) for path in asides]
        for lines in aligned((str(path), read(path)) for path in paths):
            found = keys(dict(zip(suffixes, lines, strict=True)))
            if found & taken:
                gone += 1
                continue
            if split != "train":
                kept |= found
            for file, line in zip(files, lines, strict=True):
                file.write(f"{line}\n")
    for aside, path in zip(asides, paths, strict=True):
        os.replace(aside, path)
    return kept, gone
