"""What each value of the tables was measured of: models, seeds, files and what made them. And ``measurements.csv``."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from natlab.files import read_json, written_aside
from natlab.papers import cells as resolve
from natlab.papers.labels import Labels
from natlab.report.page.html import dotted

FIELDS = (
    "dataset scale system seed decoding split metric value unit sentences signature commit dirty device fingerprint"
).split()


def rows(paths: Iterable[Path]) -> Iterable[dict]:
    """One row a number: the keys of FIELDS, and ``packages``. A latency's mean, median … are rows each; a text has
    none."""
    for path in paths:
        file = read_json(path)
        origin = file["provenance"]
        shared = {
            key: file.get(key) for key in ("dataset", "scale", "system", "seed", "decoding", "split", "sentences")
        }
        shared |= {key: origin.get(key) for key in ("commit", "dirty", "device", "fingerprint", "packages")}
        for metric, value in file["values"].items():
            if isinstance(value.get("value"), str):
                continue
            named = {metric: value["value"]} if "value" in value else _statistics(metric, value)
            for name, number in named.items():
                yield {
                    **shared,
                    "metric": name,
                    "value": number,
                    "unit": value.get("unit", ""),
                    "signature": value.get("signature", ""),
                }


def _statistics(metric: str, value: Mapping) -> dict[str, float]:
    return {f"{metric}/{key}": number for key, number in value.items() if isinstance(number, int | float)}


def write_csv(found: Iterable[dict], path: Path) -> None:
    """Write ``rows`` as one tidy CSV."""
    with written_aside(path) as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(found)


class Evidence:
    """Collects, for the page's script, the readings behind cells.

    texts: all that readings say, each once; readings: ``seeds``, values by seed, and ``of``, places in ``texts`` of
    dataset, system, decoding, split, metric, sentences, signature, model, commit, device and file; cells: by table, the
    readings of each cell, by ``<row>|<column>``.
    """

    def __init__(self, settings: Mapping, measurements: Path, labels: Labels):
        self._settings, self._measurements, self._labels = settings, measurements, labels
        self._texts, self._numbers, self._readings, self._cells = {"": 0}, {}, [], {}
        self._files: dict[str, dict] = {}

    def add(self, name: str, spec: Mapping) -> set[tuple[int, str]]:
        """Take in a table's cells; the (row, column) of those that something measured."""
        known = {}
        for cell in resolve.cells(spec, self._settings):
            if cell.dataset is None or cell.metric.startswith(resolve.EXACT):
                continue
            numbers = [self._number(cell.dataset, reading) for reading in cell.readings]
            if numbers and None not in numbers:
                known[cell.row, cell.column] = numbers
        self._cells[dotted(name)] = {f"{row}|{column}": numbers for (row, column), numbers in known.items()}
        return set(known)

    def value(self) -> dict:
        """All of it, as JSON can have it."""
        return {"texts": list(self._texts), "readings": self._readings, "cells": self._cells}

    def _number(self, dataset: str, reading: resolve.Reading) -> int | None:
        """A reading's place among all; None where nothing was measured."""
        if (dataset, reading) not in self._numbers:
            made = self._made(dataset, reading)
            self._numbers[dataset, reading] = None if made is None else len(self._readings)
            if made is not None:
                self._readings.append(made)
        return self._numbers[dataset, reading]

    def _made(self, dataset: str, reading: resolve.Reading) -> dict | None:
        seeds, said = {}, None
        for seed in self._settings["seeds"]:
            source = reading.source(dataset, self._settings["scale"], seed)
            file = self._file(source)
            if reading.key in file["values"]:
                value, origin = file["values"][reading.key], file["provenance"]
                seeds[seed] = value["value"]
                said = said or (
                    dataset, *self._named(reading), reading.split, reading.key,
                    file.get("sentences"), value.get("signature"), origin.get("fingerprint"),
                    f"{origin.get('commit') or ''}{' with uncommitted changes' if origin.get('dirty') else ''}",
                    origin.get("device"), source,
                )  # fmt: skip
        if said is None:
            return None
        texts = ("" if text is None else str(text) for text in said)
        return {"seeds": seeds, "of": [self._texts.setdefault(text, len(self._texts)) for text in texts]}

    def _named(self, reading: resolve.Reading) -> tuple[str, str | None]:
        """Its system and decoding by their labels, with the names that commands take where these are others."""
        system, decoding = reading.system, reading.decoding
        both = (self._labels.system(system), system), (decoding and self._labels.decoding(decoding), decoding)
        return tuple(label if label == name else f"{label} ({name})" for label, name in both)

    def _file(self, source: str) -> dict:
        if source not in self._files:
            path = self._measurements / source
            self._files[source] = read_json(path) if path.exists() else {"values": {}}
        return self._files[source]
