"""Values of a run's cells with what they could have been (`natlab.report.bootstrap`): what verdicts rest on."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from statistics import variance

import numpy as np

from natlab.papers import cells as resolve
from natlab.report import bootstrap, filled

# Two single results of standard deviation s differ by less than 1.96 √2 s = 2.8 s in 95 % of cases: the repeatability
# limit of ISO 5725-6.
REPEATABILITY = 2.8


@dataclass(frozen=True)
class Sample:
    """One value and its resamples.

    by_seed: arrays [1 + RESAMPLES], what was measured and then what other draws of the sentences give; noise: the same
    of how another seed would differ, by a deviation known from other runs, None where none is known; sentences: whether
    all of it was resampled by sentences, as far as it depends on any.
    """

    by_seed: dict[int, np.ndarray]
    noise: np.ndarray | None
    sentences: bool

    def over(self, seeds: Iterable[int]) -> np.ndarray:
        """The value over these seeds, [1 + RESAMPLES]: their mean, and then their weighted means; of one seed, its own
        resamples with the noise of seeds, if that is known."""
        values = np.stack([self.by_seed[seed] for seed in seeds], axis=1)
        if values.shape[1] == 1:
            return values[:, 0] + (0 if self.noise is None else self.noise)
        weights = bootstrap.seed_weights(values.shape[1])
        return np.concatenate([values[:1].mean(axis=1), (values[1:] * weights).sum(axis=1)])

    def times(self, factor: float) -> "Sample":
        """So many times the value."""
        noise = None if self.noise is None else factor * self.noise
        return Sample({seed: factor * values for seed, values in self.by_seed.items()}, noise, self.sentences)


@dataclass(frozen=True)
class Sampler:
    """Reads samples of ``run``'s cells from its measurements.

    ``deviations``: pooled standard deviations over seeds by (dataset, metric), as `deviations` reads them.
    """

    run: Mapping
    measurements: Path
    corpora: Path
    deviations: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def cell(self, quantity: resolve.Quantity) -> Sample | None:
        """What the run's seeds measured for a cell; None where nothing did."""
        if quantity.dataset is None:
            return None
        if quantity.metric.startswith(resolve.EXACT):
            exact = filled.exact(quantity, self.run, self.corpora)
            return None if exact is None else self._constant(next(iter(exact.by_seed.values())))
        by_seed, sentences = {}, True
        for seed in self.run["seeds"]:
            read = [self._reading(reading, quantity.dataset, seed) for reading in quantity.readings]
            if None in read:
                continue
            values, resampled = zip(*read, strict=True)
            value = resolve.value(quantity, values)
            if value is None:
                continue
            if quantity.metric in resolve.BRACKET or any(again is None for again in resampled):
                sentences, again = False, np.full(bootstrap.RESAMPLES, value)
            else:
                again = resolve.value(quantity, resampled)
            by_seed[seed] = np.concatenate([[value], again])
        return Sample(by_seed, self._noise(quantity), sentences) if by_seed else None

    def column(self, spec: Mapping, number: int, key: str) -> Sample | None:
        """The same of a table's column in one row, counted from 0; derived columns follow from their parts."""
        row = spec["rows"][number]
        (column,) = (column for column in spec["columns"] if column["key"] == key)
        if key in row.get("by_definition", {}):
            return self._constant(row["by_definition"][key])
        kind = next((kind for kind in resolve.DERIVED if kind in column), None)
        if kind is not None:
            parts = [self.column(spec, number, part) for part in column[kind]]
            return None if None in parts else derived(kind, parts)
        found = (cell.quantity for cell in resolve.cells(spec, self.run) if (cell.row, cell.column) == (number, key))
        return next(map(self.cell, found), None)

    def _constant(self, value: float) -> Sample:
        array = np.full(1 + bootstrap.RESAMPLES, float(value))
        return Sample(dict.fromkeys(self.run["seeds"], array), np.zeros_like(array), sentences=True)

    def _reading(self, reading: resolve.Reading, dataset: str, seed: int) -> tuple[float, np.ndarray | None] | None:
        """(value, resampled values [RESAMPLES] if its sentences' parts were kept); None where nothing was measured."""
        path = self.measurements / reading.source(dataset, self.run["scale"], seed)
        file = filled.measured(path) if path.exists() else {"values": {}}
        if reading.key not in file["values"]:
            return None
        statistics = file.get("sentence_statistics", {}).get(reading.key)
        # all that is measured of the same sentences is resampled alike
        of = "/".join(filter(None, [dataset, reading.split, reading.sentences]))
        again = bootstrap.resampled(statistics, of) if statistics else None
        return file["values"][reading.key]["value"], again

    def _noise(self, quantity: resolve.Quantity) -> np.ndarray | None:
        """[1 + RESAMPLES], 0 and then how far other seeds would lie; of cells that are sums of their readings."""
        known = [deviation(self.deviations, quantity.dataset, reading.key) for reading in quantity.readings]
        if None in known or quantity.metric in (resolve.PARAMETER_RATIO, *resolve.BRACKET):
            return None
        drawn = [
            bootstrap.noise(apart, "/".join([quantity.dataset, *map(str, reading)]))
            for apart, reading in zip(known, quantity.readings, strict=True)
        ]
        return np.concatenate([[0.0], resolve.value(quantity, drawn)])


def derived(kind: str, parts: list[Sample]) -> Sample:
    """``minus``, ``divide``, ``sum`` or ``mean`` of one row's values, seed by seed."""
    seeds = set.intersection(*(set(part.by_seed) for part in parts))
    combine = {
        "sum": lambda *of: sum(of),
        "mean": lambda *of: sum(of) / len(of),
        "minus": np.subtract,
        "divide": np.divide,
    }[kind]
    noises = [part.noise for part in parts]
    linear = kind != "divide" and all(noise is not None for noise in noises)
    return Sample(
        {seed: combine(*(part.by_seed[seed] for part in parts)) for seed in sorted(seeds)},
        combine(*noises) if linear else None,
        all(part.sentences for part in parts),
    )


def deviation(known: Mapping[tuple[str, str], float], dataset: str, metric: str) -> float | None:
    """That of a metric on this dataset; where no run has several seeds there, the largest on another one."""
    others = [value for (_, of), value in known.items() if of == metric]
    return known.get((dataset, metric), max(others, default=None))


def deviations(files: Iterable[str | Path]) -> dict[tuple[str, str], float]:
    """`pooled` of the ``measurements.csv`` of reports."""
    return pooled(map(_lines, files))


def pooled(reports: Iterable[Iterable[Mapping]]) -> dict[tuple[str, str], float]:
    """Standard deviations over seeds by (dataset, metric), pooled over whatever was measured with several seeds alike
    (scale, system, decoding, split), from the lines of each report's ``measurements.csv``.

    Where no seed changes a value (a corpus' own targets, a Transformer's length loss of 0), it says nothing of others.
    """
    groups = defaultdict(list)
    for report, lines in enumerate(reports):
        for line in lines:
            like = tuple(line[key] for key in ("dataset", "metric", "scale", "system", "decoding", "split"))
            groups[report, like].append(float(line["value"]))
    squares, freedom = defaultdict(float), defaultdict(int)
    for (_, like), values in groups.items():
        if len(set(values)) > 1:
            squares[like[:2]] += (len(values) - 1) * variance(values)
            freedom[like[:2]] += len(values) - 1
    return {of: sqrt(squares[of] / freedom[of]) for of in squares}


def _lines(path: str | Path) -> Iterator[dict]:
    with open(path, encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
