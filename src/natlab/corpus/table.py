"""Columns of tables: ``.csv`` and ``.tsv`` whose first row names them, ``.jsonl`` of one object a line; each also
``.gz``."""

import csv
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from natlab.corpus.text import read
from natlab.errors import UserError


def is_table(path: str | Path) -> bool:
    """Whether a file is a table, by its name."""
    return _reader(path) is not None


def column(path: str | Path, name: str) -> Iterator[str]:
    """The cells of one column, numbers as they are written.

    Raises UserError: a row without this column, one that has more or fewer cells than there are names, or is no JSON.
    """
    reader = _reader(path)
    assert reader is not None
    return reader(path, name)


def _reader(path: str | Path) -> Callable[[str | Path, str], Iterator[str]] | None:
    return READERS.get(Path(str(path).lower().removesuffix(".gz")).suffix)


def _of_rows(path: str | Path, name: str, delimiter: str) -> Iterator[str]:
    rows = csv.reader((f"{line}\n" for line in read(path)), delimiter=delimiter)
    try:
        names = next(rows)
        if names.count(name) != 1:
            raise UserError(f"{path}: has {names.count(name)} columns {name}, not one; name one of {', '.join(names)}")
        at = names.index(name)
        for row in rows:
            if len(row) != len(names):
                found = f"line {rows.line_num} ends a row of {len(row)} cells, not {len(names)}"
                raise UserError(f"{path}: {found}; check the file")
            yield row[at]
    except csv.Error as error:  # a quote that nothing closes makes a cell longer than csv allows
        raise UserError(f"{path}: line {rows.line_num}: {error}; check the file") from None


def _of_objects(path: str | Path, name: str) -> Iterator[str]:
    for number, line in enumerate(read(path), 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}: line {number} is no JSON ({error}); check the file") from None
        cell = row.get(name) if isinstance(row, dict) else None
        if not isinstance(cell, (str, int, float)):
            what = f"name one of {', '.join(row)}" if isinstance(row, dict) else "check the file"
            raise UserError(f"{path}: line {number} is no object with text or a number as {name}; {what}")
        yield cell if isinstance(cell, str) else json.dumps(cell)


READERS = {
    ".csv": partial(_of_rows, delimiter=","),
    ".tsv": partial(_of_rows, delimiter="\t"),
    ".jsonl": _of_objects,
}
