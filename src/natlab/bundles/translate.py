"""`natlab translate`: plain text to plain text, a line for a line, by one bundle or several side by side."""

import argparse
import math
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, TextIO

from natlab.bundles.bundle import Bundle, Translation
from natlab.bundles.text import printable
from natlab.corpus.text import batches
from natlab.errors import UserError

CHUNK = 4096  # lines that are read before the first of them is written
BAR = 30  # characters of a progress bar


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundles", nargs="+", metavar="BUNDLE", help="folders that `natlab export` made")
    parser.add_argument("--input", metavar="FILE", help="UTF-8, a sentence a line; default: standard input")
    parser.add_argument("--output", metavar="FILE", help="default: standard output")
    parser.add_argument("--batch", type=int, default=32, help="sentences that are translated together (default 32)")
    parser.add_argument("--threads", type=int, help="default: one a core")
    parser.add_argument(
        "--show", action="store_true", help="tokens, length, probability and time of each sentence, too"
    )


def run(args: argparse.Namespace) -> None:
    for option in ("batch", "threads"):
        if getattr(args, option) is not None and getattr(args, option) < 1:
            raise UserError(f"--{option} {getattr(args, option)}: 1 or more is possible")
    bundles = [Bundle(folder, args.threads) for folder in args.bundles]
    names = called([bundle.folder for bundle in bundles])
    with ExitStack() as stack:
        source = opened(stack, args.input)
        out = (
            sys.stdout
            if args.output is None
            else stack.enter_context(open(args.output, "w", encoding="utf-8", newline="\n"))
        )
        progress = Progress(args.input, sys.stderr)
        for number, (line, found) in enumerate(translated(source, bundles, 1 if args.show else args.batch), 1):
            if args.show:
                out.write(shown(number, line, names, found))
            else:
                out.write("\t".join(each.text for each, _ in found) + "\n")
            warn(number, names, [each for each, _ in found])
            progress.at(number)
        progress.end()


def opened(stack: ExitStack, path: str | None) -> BinaryIO:
    """The bytes of a file, or of standard input. UserError where there is no such file."""
    if path is None:
        return sys.stdin.buffer
    try:
        return stack.enter_context(open(path, "rb"))
    except OSError as error:
        raise UserError(f"--input {path}: {error.strerror}; name a file of one sentence a line") from None


def translated(
    source: BinaryIO, bundles: list[Bundle], batch: int
) -> Iterator[tuple[str, list[tuple[Translation, float]]]]:
    """Each line, and of each bundle its translation and the seconds that a sentence took, on average over the lines
    that were translated with it. Sentences one by one, and those of a terminal, as soon as they come."""
    at_once = batch == 1 or source.isatty()
    for lines in batches(decoded(source), 1 if at_once else CHUNK):
        columns = []
        for bundle in bundles:
            start = time.perf_counter()
            made = bundle.translate(lines, batch)
            seconds = (time.perf_counter() - start) / len(lines)
            columns.append([(each, seconds) for each in made])
        yield from zip(lines, map(list, zip(*columns, strict=True)), strict=True)


def decoded(source: BinaryIO) -> Iterator[str]:
    """Lines of UTF-8: only ``\\n`` ends one, a ``\\r`` before it belongs to that; what is no UTF-8 becomes U+FFFD."""
    for line in source:
        yield line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace")


def called(folders: list[Path]) -> list[str]:
    """Short names of folders: the last parts by which all differ."""
    parts = [folder.resolve().parts for folder in folders]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(of[-depth:]) for of in parts]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def shown(number: int, line: str, names: list[str], found: list[tuple[Translation, float]]) -> str:
    """A sentence and what each bundle makes of it, for a person."""
    text = f"{number}\t{printable(line)}\n"
    for name, (made, seconds) in zip(names, found, strict=True):
        text += f"  {name}\t{made.text}\n"
        if made.said is not None:
            text += (
                f"    {len(made.said.tokens)} subwords of {made.said.positions} positions; probability a position "
                f"{math.exp(made.said.score):.3f}; {1000 * seconds:.1f} ms: {made.subwords}\n"
            )
        for other in made.others:
            text += f"    another path: {other}\n"
    return text


def warn(number: int, names: list[str], found: list[Translation]) -> None:
    """Say where a model does not know what it translates."""
    for name, made in zip(names, found, strict=True):
        unknown, of = made.unknown
        if unknown:
            print(f"line {number}: {name} does not know {unknown} of {of} subwords", file=sys.stderr)


class Progress:
    """A bar on a terminal, of a file whose lines can be counted; nothing elsewhere."""

    def __init__(self, path: str | None, terminal: TextIO):
        self.terminal, self.next = terminal, 0.0
        self.total = 0
        if path is not None and terminal.isatty():
            with open(path, "rb") as file:
                self.total = sum(1 for _ in file)

    def at(self, number: int) -> None:
        now = time.monotonic()
        if self.total and now >= self.next:
            done = BAR * number // self.total
            self.terminal.write(f"\r[{'#' * done}{'.' * (BAR - done)}] {number} of {self.total}")
            self.terminal.flush()
            self.next = now + 0.2

    def end(self) -> None:
        if self.total:
            self.terminal.write("\r\033[K")
