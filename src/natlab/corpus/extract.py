"""`natlab extract`: fetched files to plain parallel text, ``{train,valid,test}.{src,tgt}``, one sentence a line.

A ``parallel`` source names, per split, one or more pairs of files, columns of tables or archive members, read one after
another, and may name further references (see `natlab.corpus.references`); a ``tatoeba`` source is one table of pairs,
split here (see `natlab.corpus.tatoeba`); of a ``sets`` source pairs are drawn (see `natlab.corpus.sets`). Splits may be
held apart (see `natlab.corpus.disjoint`). Text stays as it is, but for whitespace and words that are respelled.
"""

import argparse
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from natlab.corpus import disjoint, markup, references, sets, table, tatoeba
from natlab.corpus.dataset import RULES, SIDES, SPLITS, Reference, address, load
from natlab.corpus.text import aligned, folder_aside, pair_writer, read
from natlab.corpus.unpack import unpack
from natlab.errors import UserError
from natlab.files import write_json

# lines with a tag that are sentences; fairseq's script keeps them too
TED_TEXT = re.compile(r"\s*<(title|description)>(.*)</\1>\s*")


def extract(dataset: dict[str, Any], downloads: str | Path, out: str | Path) -> None:
    """Write the text folder of a loaded dataset from its fetched files (``downloads/host/path``), with stats.json.

    Raises UserError: a file or member that is missing, damaged, empty or not UTF-8, sides of different length, a split
    of which nothing is left.
    """
    source = dataset["source"]
    with folder_aside(out) as folder:
        unpacked = folder / "unpacked"
        if source["kind"] == "tatoeba":
            pairs = locate([source["table"]], source["files"], downloads, unpacked)[source["table"]]
            splits = tatoeba.write(pairs, dataset, folder)
        elif source["kind"] == "sets":
            splits = _write_sets(dataset, downloads, folder, unpacked)
        else:
            splits = _write_parallel(dataset, downloads, folder, unpacked)
        shutil.rmtree(unpacked, ignore_errors=True)
        _check_left(splits)
        if "disjoint" in source:
            for split, dropped in disjoint.separate(folder, source["disjoint"], dataset["languages"]).items():
                splits[split]["pairs_out"] -= dropped
                splits[split].setdefault("dropped", {})["in a smaller split"] = dropped
                if "references" in splits[split]:
                    splits[split]["references"] = references.count(folder, split)
            _check_left(splits)
        write_json(folder / "stats.json", {"step": "extract", "splits": splits})


def _check_left(splits: dict[str, Any]) -> None:
    for split, counts in splits.items():
        if not counts["pairs_out"]:
            left_out = ", ".join(f"{count} {reason}" for reason, count in counts.get("dropped", {}).items())
            raise UserError(f"no pair of {split} is left (left out: {left_out or 'none'}); name more of its files")


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

    path: its file; language: its own; which: the column that is meant of a table, or whose translation of several ("":
    the first there is); role: what it is read from, ``src`` or ``ref``, where a file has both in the language.
    """

    path: Path
    language: str
    which: str
    role: str

    def text(self) -> markup.Text | None:
        """What a segment file says, of the translator only if one is meant; None of plain text and of tables."""
        if table.is_table(self.path):
            if not self.which:
                raise UserError(f"{self.path}: a table; name the column that is meant behind a #")
            return None
        if not markup.is_markup(self.path):
            if self.which:
                raise UserError(
                    f"{self.path}: plain text has no translator or column {self.which}; remove it and the #"
                )
            return None
        text = markup.read_text(self.path, self.language, self.role)
        if not (who := self.which):
            return text
        meant = {key: {who: of[who]} for key, of in text.sentences.items() if who in of}
        if not meant:
            names = ", ".join(dict.fromkeys(name for of in text.sentences.values() for name in of))
            raise UserError(f"{self.path}: has no {self.language} by {who}, but by {names}; name one of these")
        return text._replace(sentences=meant)

    def lines(self) -> Iterator[str]:
        """Its sentences in the file's order; of a segment file the first of each segment."""
        if (text := self.text()) is not None:
            return map(_first, text.sentences.values())
        if table.is_table(self.path):
            return (" ".join(cell.split()) for cell in table.column(self.path, self.which))
        return plain(self.path)


class Row(NamedTuple):
    """A pair, the name of its segment if both sides have segments, and who translated the target."""

    pair: tuple[str, ...]
    key: markup.Key | None = None
    translator: str = ""


def rows(source: Side, target: Side) -> Iterator[Row]:
    """The pairs of two files. Segment files are paired by document and segment, whatever their order, and of those that
    hold several texts, segments without a translation are left out and counted on standard error; plain text and tables
    are paired line by line. Raises UserError where the two do not fit."""
    texts = [side.text() for side in (source, target)]
    if None in texts:
        yield from map(Row, aligned((str(side.path), side.lines()) for side in (source, target)))
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
    parts_of_all = [part for parts in listed.values() for part in parts]
    named = {part[name] for part in parts_of_all for name in SIDES}
    named |= {file for part in parts_of_all for rule in RULES for file in part.get(rule, ())}
    named |= {file for given in further.values() for file in (given if isinstance(given, list) else given.values())}
    paths = locate(named, dataset["source"]["files"], downloads, unpacked)
    spelled = _speller(dataset["source"].get("respell", {}))

    def side(reference: str, name: str) -> Side:
        which, role = Reference.of(reference).which, {"src": "src", "tgt": "ref"}[name]
        return Side(paths[reference], dataset["languages"][name], which, role)

    counts = {split: 0 for split in SPLITS}
    left_out: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    # whose translations have been taken as targets, of each pair of a split with further references
    taken: dict[str, list[tuple[markup.Key | None, Path, str]]] = {split: [] for split in further}
    with ExitStack() as stack:
        write = {split: stack.enter_context(pair_writer(folder, split)) for split in SPLITS}
        for split, parts in listed.items():
            held_out = every if split == "train" else {}
            for part in parts:
                source, target = (side(part[name], name) for name in SIDES)
                filters = [
                    (rule, side(name, "src"), re.compile(expression))
                    for rule in RULES
                    for name, expression in part.get(rule, {}).items()
                ]
                number = 0
                for row, reason in _chosen(rows(source, target), part.get("pairs", {}), filters):
                    if reason:
                        left_out[split][reason] += 1
                        continue
                    number += 1
                    to = next((held for held, n in held_out.items() if number % n == 0), split)
                    write[to](*map(spelled, row.pair))
                    counts[to] += 1
                    if to in taken:
                        taken[to].append((row.key, target.path, row.translator))
    made: dict[str, Any] = {split: {"pairs_out": count} for split, count in counts.items()}
    for split, reasons in left_out.items():
        if reasons:
            made[split]["dropped"] = dict(reasons)
    for split, given in further.items():
        if isinstance(given, list):
            columns = [column for file in given for column in _further(side(file, "tgt"), taken[split])]
        else:
            columns = references.aligned(paths[given["labelled"]], folder, split)
        references.write([list(map(spelled, of)) for of in columns], folder, split)
        made[split]["references"] = references.count(folder, split)
    return made


def _speller(words: dict[str, str]) -> Callable[[str], str]:
    """How a line is written: its words, as whitespace cuts them, respelled where ``words`` says so."""
    return (lambda line: " ".join(words.get(word, word) for word in line.split())) if words else str


def _chosen(
    found: Iterator[Row], pairs: dict[str, int], filters: list[tuple[str, Side, re.Pattern[str]]]
) -> Iterator[tuple[Row, str]]:
    """Each pair of a part, or of those from its first to its last number, and the rule by which it is left out ("": it
    is not).

    filters: (rule, lines of one a pair, what is to fit a whole line): only those pairs that fit, without those that do.
    """
    columns: Iterable[tuple[Any, ...]] = ((row,) for row in found)
    if filters:
        columns = aligned([("pairs", found), *((str(side.path), side.lines()) for _, side, _ in filters)])
    for row, *lines in islice(columns, pairs.get("first", 1) - 1, pairs.get("last")):
        left_out = (
            rule
            for line, (rule, _, expression) in zip(lines, filters, strict=True)
            if (expression.fullmatch(line) is None) == (rule == "only")
        )
        yield row, next(left_out, "")


def _write_sets(dataset: dict[str, Any], downloads: str | Path, folder: Path, unpacked: Path) -> dict[str, Any]:
    """The splits of a ``sets`` source; returns {split: counts}."""
    source, language = dataset["source"], dataset["languages"]["src"]
    named = {name for parts in source["splits"].values() for part in parts for name in part}
    paths = locate(named, source["files"], downloads, unpacked)
    spelled = _speller(source.get("respell", {}))

    def of(parts: list[list[str]]) -> Iterator[tuple[str, ...]]:
        for part in parts:
            sides = [Side(paths[name], language, Reference.of(name).which, "src") for name in part]
            for lines in aligned((str(side.path), side.lines()) for side in sides):
                yield tuple(map(spelled, lines))

    return sets.write({split: of(parts) for split, parts in source["splits"].items()}, source, folder)


def _further(side: Side, taken: list[tuple[markup.Key | None, Path, str]]) -> list[list[str]]:
    """The further references that a file has of the pairs whose targets were ``taken``, a column each. In a segment
    file they are all translations but the target, "" where a pair has none."""
    text = side.text()
    if text is None or any(key is None for key, _, _ in taken):  # by order, then
        return [list(side.lines())]
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
