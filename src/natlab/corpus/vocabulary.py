"""The symbols of a fairseq dictionary, by their numbers."""

from collections.abc import Sequence
from pathlib import Path

from natlab.files import lines

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")  # fairseq.data.Dictionary's first four, in its order
BOS, PAD, EOS, UNK = range(len(SPECIALS))
OWN = " #fairseq:overwrite"  # ends the line of a word of the corpus that is spelled like one of them
UNKNOWN = "<<unk>>"  # how fairseq spells the unknown word where "<unk>" may be a word


def read_symbols(path: str | Path) -> list[str]:
    """All symbols of a fairseq dictionary file by their numbers, the special ones first."""
    return [*SPECIALS, *(line.removesuffix(OWN).rsplit(" ", 1)[0] for line in lines(path))]


def symbol_index(symbols: Sequence[str]) -> dict[str, int]:
    """{symbol: number} of all but the special ones: text that is spelled like them is a word, if an unknown one."""
    return {symbol: number for number, symbol in enumerate(symbols) if number >= len(SPECIALS)}
