"""Binarised sentences as words: what BLEU compares.

A word is a 64-bit hash of its characters, whatever subwords it was split into: two teachers may split one word
differently. Two different words share a hash with a probability of about 2^-64.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from natlab.corpus.binarise import MAGIC, TYPES
from natlab.corpus.vocabulary import EOS, read_symbols
from natlab.errors import UserError

SEPARATOR = "@@"
BASE = 0x9E3779B97F4A7C15  # of the polynomial of the characters; any odd number with mixed bits would do
MASK = 2**64 - 1


def character(code: int) -> int:
    """A 64-bit value for a character (the finaliser of splitmix64, Steele et al. 2014)."""
    value = (code * BASE) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def word(text: str) -> int:
    """A word's hash, as a signed 64-bit integer: sum_k v(c_k) BASE^(n - 1 - k) of its characters c_0 … c_(n-1)."""
    value = 0
    for letter in text:
        value = (value * BASE + character(ord(letter))) & MASK
    return value - 2**64 if value >> 63 else value


class Sentences:
    """One side of a split of a fairseq data folder, ``prefix.{bin,idx}``, read as needed. UserError if it is none."""

    def __init__(self, prefix: Path):
        try:
            index = Path(f"{prefix}.idx").read_bytes()
            dtype = {code: dtype for _, dtype, code in TYPES}[index[len(MAGIC) + 8]]
            count = int.from_bytes(index[len(MAGIC) + 9 :][:8], "little")
            self.lengths = np.frombuffer(index, np.int32, count, len(MAGIC) + 17).astype(np.int64)
            self.tokens = np.memmap(f"{prefix}.bin", dtype, mode="r")
        except FileNotFoundError as error:
            raise UserError(f"{error.filename}: no such file; make the folder again") from None
        except (IndexError, KeyError, ValueError) as error:
            raise UserError(f"{prefix}: not a binarised split ({error}); make the folder again") from None
        self.ends = np.cumsum(self.lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def flat(self, first: int, end: int) -> np.ndarray:
        """The tokens of sentences ``first`` to ``end``, each sentence's eos among them, one after another."""
        start = self.ends[first] - self.lengths[first]
        return np.asarray(self.tokens[start : self.ends[end - 1]], dtype=np.int64)


class Words:
    """Sentences of a dictionary's symbols as words."""

    def __init__(self, dictionary: Path):
        symbols = read_symbols(dictionary)
        self.continues = np.array([symbol.endswith(SEPARATOR) for symbol in symbols])
        parts = [symbol.removesuffix(SEPARATOR) for symbol in symbols]
        self.hashes = np.array([word(part) for part in parts], dtype=np.int64)
        self.sizes = np.array([len(part) for part in parts], dtype=np.int64)

    def of(self, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(words, one after another; words of each sentence) of sentences' tokens, one after another, each with its
        eos. A subword before eos ends its word, too."""
        eos = flat == EOS
        starts = np.empty(len(flat), dtype=bool)  # a word, or an eos
        starts[0] = True
        starts[1:] = ~self.continues[flat[:-1]] | eos[1:]
        at = np.flatnonzero(starts)
        read = np.cumsum(self.sizes[flat])
        last = np.append(at[1:], len(flat)) - 1
        # the characters of a word that follow a subword shift its hash
        after = np.repeat(read[last], last - at + 1) - read
        powers = np.full(int(after.max(initial=0)) + 1, BASE, dtype=np.uint64)
        powers[0] = 1
        shifted = self.hashes[flat].view(np.uint64) * np.multiply.accumulate(powers)[after]
        words = np.add.reduceat(shifted, at).view(np.int64)
        ends = np.flatnonzero(eos[at])
        return np.delete(words, ends), np.diff(ends, prepend=-1) - 1

    def sentences(self, side: Sentences) -> Iterator[np.ndarray]:
        """Each sentence's words."""
        words, lengths = self.of(side.flat(0, len(side)))
        yield from np.split(words, np.cumsum(lengths)[:-1])


def padded(words: np.ndarray, lengths: np.ndarray) -> tuple[Tensor, Tensor]:
    """Sentences' words, one after another, as (words [N, L], lengths [N])."""
    rows = np.zeros((len(lengths), max(1, int(lengths.max(initial=1)))), dtype=np.int64)
    rows[np.arange(rows.shape[1]) < lengths[:, None]] = words
    return torch.from_numpy(rows), torch.from_numpy(lengths)
