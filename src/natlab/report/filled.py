"""A table's spec filled with what a run measured.

A cell's measured value is the mean over the run's seeds with the sample standard deviation; its difference is measured
less published. What nothing measured stays empty: published values never stand in for measured ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import mean, stdev

from natlab.files import read_json
from natlab.papers import cells as resolve


@dataclass(frozen=True)
class Entry:
    """One cell as shown: the paper's value, ours, and where ours comes from.

    ``published``: number, text (shown, not compared) or None. ``measured``: mean over ``seeds``, or the text of one
    seed; None when nothing was measured; ``std``: sample standard deviation, None with fewer than two seeds and for
    what no seed changes. ``above``: in which share of resamples it is above its row's ``baseline``
    (`natlab.report.significance`), None where that is not known.
    """

    published: float | str | None = None
    measured: float | str | None = None
    std: float | None = None
    seeds: tuple[int, ...] = ()
    dataset: str = ""
    system: str = ""
    decoding: str = ""
    split: str = ""
    metric: str = ""
    sentences: int | None = None
    signature: str = ""
    baseline: str = ""
    above: float | None = None

    @property
    def difference(self) -> float | None:
        """Measured less published, None unless both are numbers."""
        if not isinstance(self.measured, int | float) or not isinstance(self.published, int | float):
            return None
        return self.measured - self.published


@dataclass(frozen=True)
class Table:
    """A spec, the run that fills it, and its entries by (row number, column key)."""

    spec: dict
    run: dict
    entries: dict[tuple[int, str], Entry]


@dataclass(frozen=True)
class Measured:
    """Values by seed; ``fixed`` ones do not depend on it. A text is that of the run's first seed that has one."""

    by_seed: dict[int, float | str]
    fixed: bool = False
    sentences: int | None = None
    signature: str = ""


def build(spec: dict, run: dict, measurements: str | Path, corpora: str | Path) -> Table:
    """Fill ``spec`` with what ``run`` measured below ``measurements`` (and the exact values below ``corpora``)."""
    cells = {(cell.row, cell.column): cell for cell in resolve.cells(spec, run)}
    entries = {}
    for number, row in enumerate(spec["rows"]):
        measured = {}
        for column in spec["columns"]:
            if cell := cells.get((number, column["key"])):
                of_corpus = cell.metric.startswith(resolve.EXACT)
                measured[column["key"]] = (
                    exact(cell.quantity, run, Path(corpora)) if of_corpus else read(cell.quantity, run, measurements)
                )
        for key, value in row.get("by_definition", {}).items():
            measured[key] = Measured(dict.fromkeys(run["seeds"], value), fixed=True)
        for column in spec["columns"]:
            key = column["key"]
            if any(kind in column for kind in resolve.DERIVED):
                measured[key] = _derive(column, measured, run)
            published = row.get("published", {}).get(key)
            entries[number, key] = _entry(published, measured.get(key), cells.get((number, key)))
    return Table(spec, run, entries)


def exact(quantity: resolve.Quantity, run: dict, corpora: Path) -> Measured | None:
    """A corpus' own value; None where it has none."""
    if quantity.dataset is None:
        return None
    path = corpora / quantity.dataset / "text" / "exact.json"
    of, _, key = quantity.metric.removeprefix(resolve.EXACT).rpartition("/")
    found = read_json(path) if path.exists() else {}
    value = (found.get(of, {}) if of else found).get(key)
    return None if value is None else Measured(dict.fromkeys(run["seeds"], value), fixed=True)


def read(quantity: resolve.Quantity, run: Mapping, measurements: str | Path) -> Measured | None:
    """What the run's seeds measured for one cell; None when no file holds it."""
    if quantity.dataset is None:
        return None
    by_seed, last = {}, {}
    for seed in run["seeds"]:
        files = {}
        for source in resolve.sources(quantity, run["scale"], seed):
            path = Path(measurements) / source
            files[source] = measured(path) if path.exists() else {"values": {}}
        held = [files[reading.source(quantity.dataset, run["scale"], seed)] for reading in quantity.readings]
        values = [file["values"].get(reading.key) for file, reading in zip(held, quantity.readings, strict=True)]
        if None in values:
            continue
        value = resolve.value(quantity, [value["value"] for value in values])
        if value is not None:
            by_seed[seed] = value
            last = {"sentences": held[0].get("sentences"), "signature": values[0].get("signature", "")}
            if isinstance(value, str):
                break
    return Measured(by_seed, **last) if by_seed else None


def measured(path: Path) -> dict:
    """A measurement file; a cell's neighbours often read the same one, so the last few are kept. Not to be changed."""
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _read(path: Path, changed: int) -> dict:
    return read_json(path)


def _derive(column: dict, measured: dict[str, Measured | None], run: dict) -> Measured | None:
    """``minus``, ``divide``, ``sum`` or ``mean`` of columns of one row, over the seeds that all of them have."""
    (kind,) = (kind for kind in resolve.DERIVED if kind in column)
    parts = [measured.get(key) for key in column[kind]]
    if None in parts:
        return None
    by_seed = {}
    for seed in run["seeds"]:
        if all(seed in part.by_seed for part in parts):
            values = [part.by_seed[seed] for part in parts]
            if kind == "sum":
                by_seed[seed] = sum(values)
            elif kind == "mean":
                by_seed[seed] = mean(values)
            elif kind == "minus":
                by_seed[seed] = values[0] - values[1]
            elif values[1] != 0:
                by_seed[seed] = values[0] / values[1]
    fixed = all(part.fixed for part in parts)
    return Measured(by_seed, fixed=fixed, sentences=parts[0].sentences) if by_seed else None


def _entry(published: float | str | None, measured: Measured | None, cell: resolve.Cell | None) -> Entry:
    if measured is None:
        return Entry(published=published)
    values = list(measured.by_seed.values())
    source = {}
    if cell is not None:
        source = {
            "dataset": cell.dataset,
            "system": " and ".join(cell.systems),
            "decoding": " and ".join(dict.fromkeys(reading.decoding for reading in cell.readings if reading.decoding)),
            "split": cell.readings[0].split if cell.readings else "",
            "metric": cell.metric,
        }
    return Entry(
        published=published,
        measured=values[0] if isinstance(values[0], str) else mean(values),
        std=stdev(values) if len(values) > 1 and not measured.fixed else None,
        seeds=() if measured.fixed else tuple(measured.by_seed),
        sentences=measured.sentences,
        signature=measured.signature,
        **source,
    )
