"""A bundle that is open: from lines of plain text to lines of plain text."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from natlab.bundles import engines, manifest
from natlab.bundles.said import Said
from natlab.bundles.text import Text
from natlab.corpus.vocabulary import UNK

TOKENS = 1024  # of a batch, padding counted: a graph has eight times as many vertices, and links between all of them


class Translation(NamedTuple):
    """What a bundle makes of a line.

    text: in plain words; empty of a line without words.
    subwords: the same before they are put together.
    unknown: how many of the source's subwords the model does not know, and of how many.
    unread: how many of them, at the end, the model does not read, because they are too many.
    said: tokens, score and positions; None of a line without words.
    others: of a graph, what its next best paths say.
    """

    text: str
    subwords: str
    unknown: tuple[int, int]
    unread: int
    said: Said | None
    others: tuple[str, ...] = ()


class Bundle:
    """A bundle in memory, on the CPU.

    folder: where it lies; it is only read. threads: how many it computes with, all cores unless said.
    UserError where the folder holds no whole bundle.
    """

    def __init__(self, folder: str | Path, threads: int | None = None):
        folder = Path(folder)
        self.folder, self.manifest = folder, manifest.read(folder)
        self.text = Text(self.manifest, folder)
        self.read = engines.read(self.manifest)
        self.engine = engines.start(self.manifest, folder, threads or len(os.sched_getaffinity(0)))

    def translate(self, lines: Sequence[str], batch: int = 32) -> list[Translation]:
        """What each line becomes, in their order; sentences of like length are translated together, ``batch`` of them
        at most, and of long ones fewer."""
        sources = [self.text.encode(line) for line in lines]
        found: list[Said | None] = [None] * len(lines)
        for rows in together([len(source) for source in sources], batch):
            for row, said in zip(rows, self.engine([sources[i] for i in rows]), strict=True):
                found[row] = said
        tokens = [[] if said is None else said.tokens for said in found]
        return [
            Translation(
                text,
                self.text.subwords(numbers),
                (source.count(UNK), max(0, len(source) - 1)),
                0 if self.read is None else max(0, len(source) - self.read),
                said,
                tuple(self.text.decode(said.others)) if said is not None else (),
            )
            for text, numbers, source, said in zip(self.text.decode(tokens), tokens, sources, found, strict=True)
        ]


def together(lengths: Sequence[int], batch: int) -> Iterator[list[int]]:
    """The numbers of sentences of these lengths, batch by batch, the shortest first; of those without a token none."""
    rows: list[int] = []
    for row in sorted((n for n, length in enumerate(lengths) if length), key=lambda n: lengths[n]):
        if rows and (len(rows) == batch or (len(rows) + 1) * lengths[row] > TOKENS):
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows
