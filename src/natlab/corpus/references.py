"""Further references: ``{split}.ref1``, ``.ref2``, … beside ``{split}.tgt`` of a corpus' text, one line a pair,
empty where a pair has none."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from natlab.corpus.dataset import in_bpe
from natlab.corpus.subwords import joined
from natlab.corpus.text import bare, pairs, read
from natlab.corpus.tokenise import tokeniser
from natlab.errors import UserError

LABEL = re.compile(r"(S|T|R([1-9]\d*))-(\d+)")


def aligned(path: Path, folder: Path, split: str) -> list[list[str]]:
    """The further references of the pairs ``folder/split.{src,tgt}`` from a labelled file, a column each.

    Each line of the file is ``S-<n>``, ``T-<n>`` or ``R<k>-<n>``, a tab and a sentence: source, target and k-th further
    reference of a pair (Ott et al. 2018, whose n counts within the shorter of newstest2014's two versions). A pair is
    found by its source and target, taken as equal when they differ in case, spaces and punctuation only.

    Raises UserError: a line of another form, a label that comes twice, a pair without source or target, and one that
    the split does not hold exactly once.
    """
    labelled: dict[int, dict[str, str]] = {}
    for at, line in enumerate(read(path), 1):
        label, tab, sentence = line.partition("\t")
        parsed = LABEL.fullmatch(label)
        if parsed is None or not tab or not sentence.strip():
            raise UserError(
                f"{path}: line {at} is not 'S-<n>', 'T-<n>' or 'R<k>-<n>', a tab, a sentence; check the file"
            )
        kind, _, number = parsed.groups()
        one = labelled.setdefault(int(number), {})
        if kind in one:
            raise UserError(f"{path}: line {at}: {label} comes twice; check the file")
        one[kind] = " ".join(sentence.split())
    rows: dict[tuple[str, str], list[int]] = {}
    for row, pair in enumerate(pairs(folder, split)):
        rows.setdefault(tuple(map(bare, pair)), []).append(row)
    count = sum(map(len, rows.values()))
    most = max((int(kind[1:]) for one in labelled.values() for kind in one if kind[0] == "R"), default=0)
    columns = [[""] * count for _ in range(most)]
    for number, one in labelled.items():
        found = rows.get((bare(one.get("S", "")), bare(one.get("T", ""))), [])
        if len(found) != 1:
            raise UserError(
                f"{path}: sentence {number}: {len(found)} pairs of {split} have its source and target, not one; "
                "name the test set that the file was made for"
            )
        for kind, sentence in one.items():
            if kind[0] == "R":
                columns[int(kind[1:]) - 1][found[0]] = sentence
    return columns


def write(columns: Sequence[Sequence[str]], folder: Path, split: str) -> None:
    """Write ``folder/split.ref1``, …, one a column.

    Raises UserError when a column has not one line a pair.
    """
    count = sum(1 for _ in pairs(folder, split))
    for number, column in enumerate(columns, 1):
        if len(column) != count:
            raise UserError(
                f"further reference {number} of {split}: {len(column)} lines for {count} pairs; "
                "name a file of one line a pair"
            )
        text = "".join(f"{line}\n" for line in column)
        (folder / f"{split}.ref{number}").write_text(text, encoding="utf-8", newline="\n")


def count(folder: Path, split: str) -> int:
    """How many further references ``folder/split.ref*`` has."""
    return sum(line != "" for path in folder.glob(f"{split}.ref*") for line in read(path))


def tokenised(text: str | Path, split: str, dataset: dict[str, Any]) -> list[list[str]]:
    """The further references of a split in a ``text`` folder, in words, tokenised as the corpus is: a column each, ""
    where a pair has none; [] where the split has none at all."""
    numbered = sorted(Path(text).glob(f"{split}.ref*"), key=lambda path: int(path.suffix[len(".ref") :]))
    tokenise = tokeniser(dataset["tokenise"], dataset["languages"]["tgt"], dataset["lowercase"])
    words = joined if in_bpe(dataset) else str
    return [[words(tokenise(line)) for line in read(path)] for path in numbered]
