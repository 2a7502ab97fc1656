"""Subwords of byte-pair encoding, by subword-nmt: its codes, and words from subwords."""

from pathlib import Path

from subword_nmt.apply_bpe import BPE

from natlab.corpus.text import read
from natlab.errors import UserError

CACHED_WORDS = 200_000  # words whose segmentation a process remembers


def load_codes(path: str | Path) -> BPE:
    """The encoder of a BPE code file of subword-nmt's format.

    Raises UserError when a line is not a pair of symbols (subword-nmt itself would end the process).
    """
    merges = 0
    for number, line in enumerate(read(path), 1):
        if number == 1 and line.startswith("#version:"):
            continue
        if len(line.split(" ")) != 2:
            raise UserError(f"{path}: line {number}: {line!r} is not two symbols and a space; learn the codes again")
        merges += 1
    with open(path, encoding="utf-8") as file:
        return BPE(file, merges)


def joined(line: str) -> str:
    """A BPE'd line's words: ``@@ `` removed, also where a line ends in a word's first part."""
    return f"{line} ".replace("@@ ", "").rstrip(" ")
