"""Whether a row is above or below its table's baseline: the paired bootstrap, cell by cell.

A table names its baseline (``baseline``, rows' labels): of each row the first of these that stands in its own group,
else the first that stands anywhere. Test sentences are resampled, the same for both, and the run's seeds weighed where
it has several (`natlab.report.bootstrap`). Of one seed this says nothing of what others would give: that is for claims.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from natlab.papers import cells as resolve
from natlab.report import bootstrap
from natlab.report.filled import Entry, Table
from natlab.report.samples import Sample, Sampler

SURE = 0.975  # a twentieth of equals would be marked, on either side


def compared(table: Table, measurements: Path, corpora: Path) -> Table:
    """The table with the baseline of each cell that can be compared, and the share of resamples that are above it."""
    spec, entries = table.spec, dict(table.entries)
    sampler = Sampler(table.run, measurements, corpora)
    quantities = {(cell.row, cell.column): cell.quantity for cell in resolve.cells(spec, table.run)}

    @cache
    def sample(place: tuple[int, str]) -> Sample | None:
        quantity = quantities.get(place)
        number = isinstance(table.entries[place].measured, int | float)
        if quantity is None or quantity.metric.startswith(resolve.EXACT) or not number:
            return None
        return sampler.cell(quantity)

    for row, key in quantities:
        base = _baseline(spec, row)
        share = None if base is None else _share(sample((row, key)), sample((base, key)), table.run)
        if share is not None:
            entries[row, key] = replace(entries[row, key], baseline=spec["rows"][base]["label"], above=share)
    return replace(table, entries=entries)


def mark(entry: Entry) -> str:
    """▲ above the baseline, ▼ below it, "" where resamples do not agree."""
    if entry.above is None or 1 - SURE < entry.above < SURE:
        return ""
    return "▲" if entry.above >= SURE else "▼"


def _baseline(spec: Mapping, number: int) -> int | None:
    """The row that a row is compared with; None where it is that itself, or there is none."""
    labels, rows = spec.get("baseline", ()), spec["rows"]
    own = [n for n, row in enumerate(rows) if row["label"] in labels and row.get("group") == rows[number].get("group")]
    found = own or [n for n, row in enumerate(rows) if row["label"] in labels]
    return None if not found or found[0] == number else found[0]


def _share(sample: Sample | None, base: Sample | None, run: Mapping) -> float | None:
    if sample is None or base is None:
        return None
    seeds = [seed for seed in run["seeds"] if seed in sample.by_seed and seed in base.by_seed]
    if not seeds or (len(seeds) == 1 and not (sample.sentences and base.sentences)):
        return None
    return bootstrap.share((sample.over(seeds) - base.over(seeds))[1:])
