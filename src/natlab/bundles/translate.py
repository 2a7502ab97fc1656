"""`natlab translate`: plain text to plain text, a line for a line, by one bundle or several side by side."""

import argparse
import math
import os
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
    try:
        with ExitStack() as stack:
            source = sys.stdin.buffer if args.input is None else opened(stack, "--input", args.input, "rb")
            if args.output is not None and args.input is not None and same(args.input, args.output):
                raise UserError(f"--output {args.output}: is what is read, too; name another file")
            target = sys.stdout.buffer if args.output is None else opened(stack, "--output", args.output, "wb")
            write(bundles, source, target, args.batch, args.show)
            target.flush()
    except BrokenPipeError:  # whoever read has seen enough; what is left has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise UserError(
            f"{args.output or 'standard output'}: {error.strerror}; make room, or write elsewhere"
        ) from None


def write(bundles: list[Bundle], source: BinaryIO, target: BinaryIO, batch: int, show: bool) -> None:
    """Write what ``bundles`` make of the lines of ``source``, as the verb does."""
    names = called([bundle.folder for bundle in bundles])
    one_by_one = show or batch == 1 or source.isatty()
    progress = Progress(source, sys.stderr)
    for number, (line, found) in enumerate(translated(source, bundles, batch, one_by_one), 1):
        text = shown(number, line, names, found) if show else "\t".join(each.text for each, _ in found) + "\n"
        target.write(text.encode("utf-8"))
        if one_by_one:
            target.flush()
        warn(number, names, [each for each, _ in found])
        progress.at(number)
    progress.end()


def opened(stack: ExitStack, option: str, path: str, mode: str) -> BinaryIO:
    """The bytes of a file that an option names. UserError where it cannot be opened."""
    try:
        return stack.enter_context(open(path, mode))
    except OSError as error:
        raise UserError(f"{option} {path}: {error.strerror}; name another file") from None


def same(one: str, other: str) -> bool:
    """Whether two names are of one file."""
    return os.path.exists(other) and os.path.samefile(one, other)


def translated(
    source: BinaryIO, bundles: list[Bundle], batch: int, one_by_one: bool
) -> Iterator[tuple[str, list[tuple[Translation, float]]]]:
    """Each line, and of each bundle its translation and the seconds that a sentence took, on average over the lines
    that were translated with it."""
    for lines in batches(decoded(source), 1 if one_by_one else CHUNK):
        columns = []
        for bundle in bundles:
            start = time.perf_counter()
            made = bundle.translate(lines, batch)
            seconds = (time.perf_counter() - start) / len(lines)
            columns.append([(each, seconds) for each in made])
        yield from zip(lines, map(list, zip(*columns, strict=True)), strict=True)


def decoded(source: BinaryIO) -> Iterator[str]:
    """Lines of UTF-8: only ``\\n`` ends one, a ``\\r`` before it belongs to that; what is no UTF-8 becomes U+FFFD, a
    byte order mark at the start is dropped."""
    for number, line in enumerate(source):
        text = line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace")
        yield text if number else text.removeprefix("\ufeff")


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
    """Say where a model does not know, or does not read, what it translates."""
    for name, made in zip(names, found, strict=True):
        unknown, of = made.unknown
        if unknown:
            print(f"line {number}: {name} does not know {unknown} of {of} subwords", file=sys.stderr)
        if made.unread:
            print(f"line {number}: {name} reads {of - made.unread} of {of} subwords, no more", file=sys.stderr)


class Progress:
    """A bar on a terminal, of a file that can be read twice, so that its lines can be counted; nothing elsewhere."""

    def __init__(self, source: BinaryIO, terminal: TextIO):
        self.terminal, self.next, self.total = terminal, 0.0, 0
        if terminal.isatty() and source.seekable() and not source.isatty():
            start = source.tell()
            self.total = sum(1 for _ in source)
            source.seek(start)

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
