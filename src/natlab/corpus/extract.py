"""`natlab extract`: fetched files to plain parallel text, ``{train,valid,test}.{src,tgt}``, one sentence a line.

A ``parallel`` source names, per split, one or more pairs of files or archive members, read one after another, and may
name further references (see `natlab.corpus.references`); a ``tatoeba`` source is one table of pairs, split here (see
`natlab.corpus.tatoeba`). Text stays as it is, but for the whitespace around a line.
"""

import argparse
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from natlab.corpus import markup, references, tatoeba
from natlab.corpus.dataset import SIDES, SPLITS, Reference, address, load
from natlab.corpus.text import aligned, folder_aside, pair_writer, read
from natlab.corpus.unpack import unpack
from natlab.errors import UserError
from natlab.files import write_json

# lines with a tag that are sentences; fairseq's script keeps them too
TED_TEXT = re.compile(r"\s*<(title|description)>(.*)</\1>\s*")


def extract(dataset: dict[str, Any], downloads: str | Path, out: str | Path) -> None:
    """Write the text folder of a loaded dataset from its fetched files (``downloads/host/path``), with stats.json.

    Raises UserError: a file or member that is missing, damaged, empty or not UTF-8, sides of different length.
    """
    source = dataset["source"]
    with folder_aside(out) as folder:
        unpacked = folder / "unpacked"
        if source["kind"] == "tatoeba":
            table = locate([source["table"]], source["files"], downloads, unpacked)[source["table"]]
            splits = tatoeba.write(table, dataset, folder)
        else:
            splits = _write_parallel(dataset, downloads, folder, unpacked)
        shutil.rmtree(unpacked, ignore_errors=True)
        write_json(folder / "stats.json", {"step": "extract", "splits": splits})


def locate(
    references: Iterable[str], files: dict[str, dict[str, str]], downloads: str | Path, unpacked: Path
) -> dict[str, Path]:
    """{reference: file on disk} of references (`natlab.corpus.dataset.Reference`), whose names are keys of ``files``.

    Each archive is read once; its members go to ``unpacked/name``.
    """
    parsed = {reference: Reference.of(reference) for reference in references}
    archives: dict[str, set[str]] = {}
    for name, member, _ in parsed.values():
        if member:
            archives.setdefault(name, set()).add(member)
    paths = {(name, ""): Path(downloads) / address(file["url"]) for name, file in files.items()}
    for name, members in archives.items():
        found = unpack(paths[name, ""], unpacked / name, members)
        paths |= {(name, member): path for member, path in found.items()}
    return {reference: paths[name, member] for reference, (name, member, _) in parsed.items()}


def plain(path: Path) -> Iterator[str]:
    """The sentences of a text file (also ``.gz``), one a line. In TED's ``train.tags.*`` lines that begin with a tag
    are metadata, but for titles and descriptions."""
    lines = read(path)
    if path.name.startswith("train.tags."):
        lines = (TED_TEXT.sub(r"\2", line) for line in lines)
        lines = (line for line in lines if not line.lstrip().startswith("<"))
    return (" ".join(line.split()) for line in lines)


class Side(NamedTuple):
    """One side of a part.

    path: its file; language: its own; translator: whose translation is meant of several ("": the first there is);
    role: what it is read from, ``src`` or ``ref``, where a file has both in the language.
    """

    path: Path
    language: str
    translator: str
    role: str

    def text(self) -> markup.Text | None:
        """What a segment file says, of the translator only if one is meant; None of plain text."""
        if not markup.is_markup(self.path):
            if self.translator:
                raise UserError(f"{self.path}: plain text has no translator {self.translator}; remove it and the #")
            return None
        text = markup.read_text(self.path, self.language, self.role)
        if not (who := self.translator):
            return text
        meant = {key: {who: of[who]} for key, of in text.sentences.items() if who in of}
        if not meant:
            names = ", ".join(dict.fromkeys(name for of in text.sentences.values() for name in of))
            raise UserError(f"{self.path}: has no {self.language} by {who}, but by {names}; name one of these")
        return text._replace(sentences=meant)


class Row(NamedTuple):
    """A pair, the name of its segment if both sides have segments, and who translated the target."""

    pair: tuple[str, ...]
    key: markup.Key | None = None
    translator: str = ""


def rows(source: Side, target: Side) -> Iterator[Row]:
    """The pairs of two files. Segment files are paired by document and segment, whatever their order, and of those that
    hold several texts, segments without a translation are left out and counted on standard error; plain text is paired
    line by line. Raises UserError where the two do not fit."""
    texts = [side.text() for side in (source, target)]
    if None in texts:
        sides = (
            (str(side.path), plain(side.path) if text is None else map(_first, text.sentences.values()))
            for side, text in zip((source, target), texts, strict=True)
        )
        yield from map(Row, aligned(sides))
        return
    ours, theirs = (text.sentences for text in texts)
    alone = ours.keys() ^ theirs.keys()
    common = [key for key in ours if key in theirs]
    mixed = any(text.mixed for text in texts)
    if not common or alone and not mixed:
        key = next(key for key in (*ours, *theirs) if key in alone)
        raise UserError(
            f"{source.path} and {target.path}: {len(alone)} segments are in one of them only, as {key.segment} of "
            f"document {key.document}; name two files of the same documents"
        )
    left_out = len(alone)
    for key in common:
        [translator, sentence] = next((item for item in theirs[key].items() if item[1]), ("", ""))
        pair = _first(ours[key]), sentence
        if mixed and not all(pair):
            left_out += 1
        else:
            yield Row(pair, key, translator)
    if left_out:
        print(f"{target.path}: {left_out} segments without a translation are left out", file=sys.stderr)


def _first(of: dict[str, str]) -> str:
    """The sentence of a segment's first translator that has one."""
    return next(filter(None, of.values()), "")


def _write_parallel(dataset: dict[str, Any], downloads: str | Path, folder: Path, unpacked: Path) -> dict[str, Any]:
    """The splits of a ``parallel`` source; returns {split: counts}. A split ``{every: n}`` is every n-th pair of each
    training file, which then is not a training pair."""
    listed = {split: parts for split, parts in dataset["source"]["splits"].items() if isinstance(parts, list)}
    every = {split: rule["every"] for split, rule in dataset["source"]["splits"].items() if isinstance(rule, dict)}
    further = dataset["source"].get("references", {})
    named = {file for parts in listed.values() for part in parts for file in part.values()}
    named |= {file for given in further.values() for file in (given if isinstance(given, list) else given.values())}
    paths = locate(named, dataset["source"]["files"], downloads, unpacked)

    def side(reference: str, name: str) -> Side:
        translator, role = Reference.of(reference).translator, {"src": "src", "tgt": "ref"}[name]
        return Side(paths[reference], dataset["languages"][name], translator, role)

    counts = {split: 0 for split in SPLITS}
    # whose translations have been taken as targets, of each pair of a split with further references
    taken: dict[str, list[tuple[markup.Key | None, Path, str]]] = {split: [] for split in further}
    with ExitStack() as stack:
        write = {split: stack.enter_context(pair_writer(folder, split)) for split in SPLITS}
        for split, parts in listed.items():
            held_out = every if split == "train" else {}
            for part in parts:
                source, target = (side(part[name], name) for name in SIDES)
                for number, row in enumerate(rows(source, target), 1):
                    to = next((held for held, n in held_out.items() if number % n == 0), split)
                    write[to](*row.pair)
                    counts[to] += 1
                    if to in taken:
                        taken[to].append((row.key, target.path, row.translator))
    made = {split: {"pairs_out": count} for split, count in counts.items()}
    for split, given in further.items():
        if isinstance(given, list):
            columns = [column for file in given for column in _further(side(file, "tgt"), taken[split])]
        else:
            columns = references.aligned(paths[given["labelled"]], folder, split)
        made[split]["references"] = references.write(columns, folder, split)
    return made


def _further(side: Side, taken: list[tuple[markup.Key | None, Path, str]]) -> list[list[str]]:
    """The further references that a file has of the pairs whose targets were ``taken``, a column each. In a segment
    file they are all translations but the target, "" where a pair has none."""
    text = side.text()
    if text is None:
        return [list(plain(side.path))]
    if any(key is None for key, _, _ in taken):  # by order, then
        return [list(map(_first, text.sentences.values()))]
    others = []
    for key, path, who in taken:
        of = text.sentences.get(key, {})
        others.append([of[by] for by in of if of[by] and (side.path, by) != (path, who)])
    if not any(others):
        raise UserError(f"{side.path}: has no further reference of these pairs; name another file or translator")
    return [list(column) for column in zip_longest(*others, fillvalue="")]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, help="dataset file")
    parser.add_argument("--downloads", required=True, help="folder of fetched files, laid out as host/path")
    parser.add_argument("--out", required=True, help="folder to write: results/corpora/<dataset>/text")


def run(args: argparse.Namespace) -> None:
    extract(load(args.config), args.downloads, args.out)
