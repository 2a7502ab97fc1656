"""Streams of lines, pairs and batches, read with errors a person can act on, and folders that are whole or absent."""

import gzip
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from natlab.errors import UserError

T = TypeVar("T")
R = TypeVar("R")

DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, tarfile.TarError, zipfile.BadZipFile)
AGAIN = "delete it, and its .sha256 if there is one beside it, and run again"  # what to do with a broken download
BATCH = 2000  # lines a worker takes at a time: some 0.5 s of tokenising, 0.5 MB


@contextmanager
def folder_aside(out: str | Path) -> Iterator[Path]:
    """A folder to fill beside ``out``; it takes the name ``out`` only when the block ends without an error."""
    out = Path(out)
    aside = out.with_name(f".{out.name}.part")
    _remove(aside)
    aside.mkdir(parents=True)
    try:
        yield aside
        _remove(out)
        os.replace(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _remove(folder: Path) -> None:
    if folder.exists():  # what cannot be removed, somebody else's, is an error
        shutil.rmtree(folder)


def read(path: str | Path) -> Iterator[str]:
    """The lines of a UTF-8 file, gzipped when its name ends in ``.gz``, without their ends, ``\\n`` or ``\\r\\n``.

    A byte order mark at the start is dropped. Raises UserError: no such file, an empty one, invalid UTF-8 (with the
    line's number), a damaged gzip.
    """
    number = 0
    try:
        with gzip.open(path) if str(path).lower().endswith(".gz") else open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                text = line.decode("utf-8").rstrip("\r\n")
                yield text.removeprefix("\ufeff") if number == 1 else text
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; make the step before it first") from None
    except UnicodeDecodeError as error:
        where = f"line {number} is not UTF-8 ({error.reason} at byte {error.start})"
        raise UserError(f"{path}: {where}; convert the file to UTF-8") from None
    except DAMAGED as error:
        raise UserError(f"{path}: damaged or truncated after line {number} ({error}); {AGAIN}") from None
    if not number:
        raise UserError(f"{path}: empty file; a corpus needs at least one line")


def aligned(sides: Iterable[tuple[str, Iterable[str]]]) -> Iterator[tuple[str, ...]]:
    """Lines of several files, each (name, lines), side by side; UserError when one ends before another."""
    ended = object()
    names, lines = zip(*sides, strict=True)
    iterators = list(map(iter, lines))
    number = 0
    while ended not in (row := [next(iterator, ended) for iterator in iterators]):
        number += 1
        yield tuple(row)
    if any(item is not ended for item in row):
        lengths = ", ".join(
            f"{name} {number + (item is not ended) + sum(1 for _ in iterator)}"
            for name, item, iterator in zip(names, row, iterators, strict=True)
        )
        raise UserError(f"sides of different length, in lines: {lengths}; line i of each must be one pair")


def pairs(folder: str | Path, split: str) -> Iterator[tuple[str, str]]:
    """The pairs of ``folder/split.{src,tgt}``."""
    return aligned((str(path), read(path)) for path in (Path(folder) / f"{split}.{side}" for side in ("src", "tgt")))


def bare(sentence: str) -> str:
    """What two sentences share that differ in case, spaces and punctuation only."""
    return "".join(filter(str.isalnum, sentence.casefold())) or sentence


@contextmanager
def pair_writer(folder: str | Path, split: str) -> Iterator[Callable[[str, str], None]]:
    """A function that writes one pair of lines to ``folder/split.{src,tgt}``."""
    paths = (Path(folder) / f"{split}.{side}" for side in ("src", "tgt"))
    with ExitStack() as stack:
        src, tgt = (stack.enter_context(open(path, "w", encoding="utf-8", newline="\n")) for path in paths)

        def write(a: str, b: str) -> None:
            src.write(a + "\n")
            tgt.write(b + "\n")

        yield write


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """Lists of ``size`` items, the last one shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def in_order(function: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """``map`` over worker processes, results in order. At most ``3 * threads`` items are in flight, so memory does not
    grow with the input (``Pool.imap`` would read it all)."""
    if threads <= 1:
        yield from map(function, items)
        return
    with get_context("fork").Pool(threads) as pool:
        window: deque[Any] = deque()
        for item in items:
            window.append(pool.apply_async(function, (item,)))
            if len(window) == 3 * threads:
                yield window.popleft().get()
        while window:
            yield window.popleft().get()


class Counts:
    """Pairs, tokens and types of a split as they go by: the ``stats.json`` of a step."""

    def __init__(self) -> None:
        self.pairs_in = self.pairs_out = 0
        self.dropped: Counter[str] = Counter()
        self.tokens = {"src": 0, "tgt": 0}
        self.types: dict[str, set[str]] = {"src": set(), "tgt": set()}

    def drop(self, reasons: Iterable[str]) -> None:
        """Count pairs that are dropped, by reason."""
        self.dropped.update(reasons)

    def keep(self, src: str, tgt: str) -> None:
        """Count one pair of whitespace-tokenised lines as written."""
        self.pairs_out += 1
        for side, line in (("src", src), ("tgt", tgt)):
            tokens = line.split()
            self.tokens[side] += len(tokens)
            self.types[side].update(tokens)

    def as_json(self) -> dict[str, Any]:
        return {
            "pairs_in": self.pairs_in,
            "pairs_out": self.pairs_out,
            "dropped": dict(sorted(self.dropped.items())),
            "tokens": self.tokens,
            "types": {side: len(types) for side, types in self.types.items()},
        }
