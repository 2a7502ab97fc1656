"""`natlab extract`: fetched files to plain parallel text, ``{train,valid,test}.{src,tgt}``, one sentence a line.

A ``parallel`` source names, per split, one or more pairs of files or archive members, read one after another, and may
name further references (see `natlab.corpus.references`); a ``tatoeba`` source is one table of pairs, split here (see
`natlab.corpus.tatoeba`). Text stays as it is, but for the whitespace around a line.
"""

import argparse
import html
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from natlab.corpus import references, tatoeba
from natlab.corpus.dataset import SPLITS, address, load
from natlab.corpus.text import aligned, folder_aside, pair_writer, read
from natlab.corpus.unpack import unpack
from natlab.files import write_json

SEGMENT = re.compile(r"<seg[^>]*>(.*?)</seg>", re.IGNORECASE)
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
    """{reference: file on disk} of references ``name`` or ``name:member``, names being keys of ``files``.

    Each archive is read once; its members go to ``unpacked/name``.
    """
    members: dict[str, list[str]] = {}
    found = {}
    for reference in references:
        name, _, member = reference.partition(":")
        if member:
            members.setdefault(name, []).append(member)
        else:
            found[reference] = Path(downloads) / address(files[name]["url"])
    for name, wanted in members.items():
        archive = Path(downloads) / address(files[name]["url"])
        for member, path in unpack(archive, unpacked / name, wanted).items():
            found[f"{name}:{member}"] = path
    return found


def sentences(path: Path) -> Iterator[str]:
    """The sentences of a file: plain text (also ``.gz``), WMT's and TED's segment files (``.sgm``, ``.xml``), or TED's
    ``train.tags.*``, where lines that begin with a tag are metadata, but for titles and descriptions."""
    lines = read(path)
    if path.suffix in (".sgm", ".xml"):
        lines = (html.unescape(text) for line in lines for text in SEGMENT.findall(line))
    elif path.name.startswith("train.tags."):
        lines = (TED_TEXT.sub(r"\2", line) for line in lines)
        lines = (line for line in lines if not line.lstrip().startswith("<"))
    return (" ".join(line.split()) for line in lines)


def _write_parallel(dataset: dict[str, Any], downloads: str | Path, folder: Path, unpacked: Path) -> dict[str, Any]:
    """The splits of a ``parallel`` source; returns {split: counts}. A split ``{every: n}`` is every n-th pair of each
    training file, which then is not a training pair."""
    listed = {split: parts for split, parts in dataset["source"]["splits"].items() if isinstance(parts, list)}
    every = {split: rule["every"] for split, rule in dataset["source"]["splits"].items() if isinstance(rule, dict)}
    further = dataset["source"].get("references", {})
    named = {file for parts in listed.values() for part in parts for file in part.values()}
    named |= {file for given in further.values() for file in (given if isinstance(given, list) else given.values())}
    paths = locate(named, dataset["source"]["files"], downloads, unpacked)
    counts = {split: 0 for split in SPLITS}
    with ExitStack() as stack:
        write = {split: stack.enter_context(pair_writer(folder, split)) for split in SPLITS}
        for split, parts in listed.items():
            held_out = every if split == "train" else {}
            for part in parts:
                files = [paths[part[language]] for language in dataset["languages"].values()]
                for number, pair in enumerate(aligned({str(file): sentences(file) for file in files}), 1):
                    to = next((held for held, n in held_out.items() if number % n == 0), split)
                    write[to](*pair)
                    counts[to] += 1
    made = {split: {"pairs_out": count} for split, count in counts.items()}
    for split, given in further.items():
        if isinstance(given, list):
            columns = [list(sentences(paths[file])) for file in given]
        else:
            columns = references.aligned(paths[given["labelled"]], folder, split)
        made[split]["references"] = references.write(columns, folder, split)
    return made


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, help="dataset file")
    parser.add_argument("--downloads", required=True, help="folder of fetched files, laid out as host/path")
    parser.add_argument("--out", required=True, help="folder to write: results/corpora/<dataset>/text")


def run(args: argparse.Namespace) -> None:
    extract(load(args.config), args.downloads, args.out)
