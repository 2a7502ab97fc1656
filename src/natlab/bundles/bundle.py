"""A bundle that is open: from lines of plain text to lines of plain text."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from natlab.bundles import engines, manifest
from natlab.bundles.reading import Said
from natlab.bundles.text import Text
from natlab.corpus.vocabulary import UNK


class Translation(NamedTuple):
    """What a bundle makes of a line.

    text: in plain words; empty of a line without words.
    subwords: the same before they are put together.
    unknown: how many of the source's subwords the model does not know, and of how many.
    said: tokens, score and positions; None of a line without words.
    others: of a graph, what its next best paths say.
    """

    text: str
    subwords: str
    unknown: tuple[int, int]
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
        self.engine = engines.start(self.manifest, folder, threads or os.cpu_count() or 1)

    def translate(self, lines: Sequence[str], batch: int = 32) -> list[Translation]:
        """What each line becomes, in their order; sentences of like length are translated together, ``batch`` of them
        at most."""
        sources = [self.text.encode(line) for line in lines]
        order = sorted((i for i, source in enumerate(sources) if source), key=lambda i: len(sources[i]))
        found: list[Said | None] = [None] * len(lines)
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            for row, said in zip(rows, self.engine([sources[i] for i in rows]), strict=True):
                found[row] = said
        tokens = [[] if said is None else said.tokens for said in found]
        return [
            Translation(
                text,
                self.text.subwords(numbers),
                (source.count(UNK), max(0, len(source) - 1)),
                said,
                tuple(self.text.decode(said.others)) if said is not None else (),
            )
            for text, numbers, source, said in zip(self.text.decode(tokens), tokens, sources, found, strict=True)
        ]
