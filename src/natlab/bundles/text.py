"""From a line of plain text to the numbers of its subwords, and back."""

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from natlab.bundles.manifest import CODES, VOCABULARIES, Manifest
from natlab.corpus.detokenise import detokenised
from natlab.corpus.subwords import CACHED_WORDS, joined, load_codes
from natlab.corpus.tokenise import tokeniser
from natlab.corpus.vocabulary import EOS, UNK, symbol_index
from natlab.files import lines


def printable(line: str) -> str:
    """A line with spaces for its control characters."""
    return "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in line)


class Text:
    """The text of a bundle's two sides."""

    def __init__(self, manifest: Manifest, folder: Path):
        language = manifest.languages
        self.tokenise = tokeniser(manifest.tokenise, language["src"], manifest.lowercase)
        self.longest = manifest.truncate
        self.codes = load_codes(folder / CODES) if CODES in manifest.files else None
        source, self.symbols = (list(lines(folder / name)) for name in VOCABULARIES)
        self.index = symbol_index(source)
        self.plain = manifest.tokenise == "none"
        self.language = language["tgt"]

    def encode(self, line: str) -> list[int]:
        """The numbers of a line's subwords, and of the sentence's end; none of a line without any. Control characters
        part words, as spaces do."""
        words = self.tokenise(printable(line)).split()[: self.longest]
        if self.codes is not None and len(self.codes.cache) > CACHED_WORDS:
            self.codes.cache.clear()
        subwords = words if self.codes is None else self.codes.segment(" ".join(words)).split()
        return [*(self.index.get(subword, UNK) for subword in subwords), EOS] if subwords else []

    def decode(self, sentences: Iterable[Sequence[int]]) -> list[str]:
        """The plain text of each sentence of the target's numbers, without its end."""
        said = [joined(self.subwords(numbers)) for numbers in sentences]
        return said if self.plain else detokenised(said, self.language)

    def subwords(self, numbers: Sequence[int]) -> str:
        """The subwords of the target's numbers."""
        return " ".join(self.symbols[number] for number in numbers)
