"""`natlab clean`: raw text to clean, tokenised, cased text, ``{train,valid,test}.{src,tgt}``.

Every line is tokenised (`natlab.corpus.tokenise`) and, where the dataset truncates its side, cut: the sources of all
splits, and the targets of all but test, which scores are against. Of the training pairs those are dropped, in this
order, that have an empty side, are too long, have sides of too different a length, or were seen before. Valid and test
pairs are all kept.
"""

import argparse
import re
from collections.abc import Iterable
from functools import partial
from hashlib import blake2b
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from natlab.corpus.dataset import SIDES, SPLITS, in_bpe, load
from natlab.corpus.text import Counts, batches, folder_aside, in_order, pair_writer, pairs
from natlab.corpus.tokenise import tokeniser
from natlab.errors import UserError
from natlab.files import write_json

SUBWORD = re.compile(r"@@(?=\s|$)")
# Of pairs in BPE most have a word in parts; other text has hardly any. Without a tokeniser, which would take such a
# word apart, a single one could not be told from a subword.
LOOKS_LIKE_BPE = 0.1


WHOLE = ("test", "tgt")  # what is never cut


class Seen:
    """A set of 64-bit digests in 8 bytes each: sorted runs, of which any two of like size are merged.

    20 M pairs take 160 MB (and once more while the largest runs merge). Two different pairs share a digest with
    probability 2**-64, so among 20 M pairs one is dropped wrongly with probability 1e-5.
    """

    def __init__(self) -> None:
        self.runs: list[np.ndarray] = []

    def add(self, items: Iterable[bytes]) -> list[bool]:
        """For each item in turn: is it new? All are in the set afterwards."""
        digests = np.array([int.from_bytes(blake2b(item, digest_size=8).digest()) for item in items], dtype=np.uint64)
        unique, first = np.unique(digests, return_index=True)
        known = np.zeros(len(unique), dtype=bool)
        for run in self.runs:
            at = np.minimum(np.searchsorted(run, unique), len(run) - 1)
            known |= run[at] == unique
        new = np.zeros(len(digests), dtype=bool)
        new[first[~known]] = True
        if not known.all():
            self.runs.append(unique[~known])
        while len(self.runs) > 1 and len(self.runs[-2]) <= 2 * len(self.runs[-1]):
            last = self.runs.pop()
            self.runs[-1] = np.sort(np.concatenate([self.runs[-1], last]), kind="stable")
        return new.tolist()


def clean(dataset: dict[str, Any], text: str | Path, out: str | Path, threads: int = 1) -> None:
    """Write the tok folder of a loaded dataset from its text folder, with stats.json."""
    with folder_aside(out) as folder:
        splits = {split: _split(dataset, Path(text), split, folder, threads) for split in SPLITS}
        write_json(folder / "stats.json", {"step": "clean", "splits": splits})


def _split(dataset: dict[str, Any], text: Path, split: str, folder: Path, threads: int) -> dict[str, Any]:
    filters = dataset["clean"] if split == "train" else None
    seen = Seen() if filters and filters["deduplicate"] else None
    longest = {side: tokens for side, tokens in dataset.get("truncate", {}).items() if (split, side) != WHOLE}
    sides = [(dataset["tokenise"], dataset["languages"][side], dataset["lowercase"]) for side in SIDES]
    work = partial(_clean_batch, sides, [longest.get(side) for side in SIDES], filters)
    counts = Counts()
    in_parts = 0  # pairs that look as if they were in BPE
    truncated = 0  # pairs of which a side was cut
    with pair_writer(folder, split) as write:
        for rows, looking, cut in in_order(work, batches(pairs(text, split)), threads):
            in_parts += looking
            truncated += cut
            counts.pairs_in += len(rows)
            kept = [row for row in rows if not isinstance(row, str)]
            new = seen.add("\t".join(pair).encode() for pair in kept) if seen else [True] * len(kept)
            counts.drop(row for row in rows if isinstance(row, str))
            counts.drop("duplicate" for is_new in new if not is_new)
            for pair in compress(kept, new):
                write(*pair)
                counts.keep(*pair)
    if not in_bpe(dataset) and in_parts > (0 if dataset["tokenise"] == "none" else counts.pairs_in * LOOKS_LIKE_BPE):
        raise UserError(
            f"{text}: {in_parts} of {counts.pairs_in} pairs of {split} have words that end in @@, as subwords do; if "
            "the text comes in BPE, set merges: given and tokenise: none in the dataset file, else respell these words"
        )
    if not counts.pairs_out:
        raise UserError(f"{text}: no pair of {split} is left: {dict(counts.dropped)} are dropped; loosen clean")
    return counts.as_json() | ({"truncated": truncated} if longest else {})


def _clean_batch(
    sides: list[tuple[str, str, bool]],
    longest: list[int | None],
    filters: dict[str, Any] | None,
    rows: list[tuple[str, str]],
) -> tuple[list[tuple[str, str] | str], int, int]:
    """Each raw pair tokenised (``sides``: the arguments of each side's tokeniser) and cut to the ``longest`` tokens of
    each side, or the reason why it is dropped; how many have a word that ends as subwords do; and how many were cut."""
    src, tgt = (tokeniser(*side) for side in sides)
    whole = [(src(a), tgt(b)) for a, b in rows]
    cleaned = [(_cut(a, longest[0]), _cut(b, longest[1])) for a, b in whole]
    in_parts = sum(any(SUBWORD.search(side) for side in pair) for pair in rows)
    cut = sum(a != b for a, b in zip(whole, cleaned, strict=True))
    return [(filters and _reason(*pair, filters)) or pair for pair in cleaned], in_parts, cut


def _cut(line: str, longest: int | None) -> str:
    """The first ``longest`` tokens of a tokenised line; None: all."""
    return line if longest is None else " ".join(line.split(" ", longest)[:longest])


def _reason(src: str, tgt: str, filters: dict[str, Any]) -> str | None:
    """Why a tokenised training pair is dropped; None when it is kept. Lengths are in tokens."""
    a, b = len(src.split()), len(tgt.split())
    if not a or not b:
        return "empty"
    if max(a, b) > filters["max_length"]:
        return "too long"
    if filters["max_ratio"] and max(a, b) > filters["max_ratio"] * min(a, b):
        return "length ratio"
    return None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, help="dataset file")
    parser.add_argument("--text", required=True, help="folder of raw text: results/corpora/<dataset>/text")
    parser.add_argument("--threads", type=int, default=1, help="processes that tokenise (default 1)")
    parser.add_argument("--out", required=True, help="folder to write: results/corpora/<dataset>/tok")


def run(args: argparse.Namespace) -> None:
    clean(load(args.config), args.text, args.out, args.threads)
