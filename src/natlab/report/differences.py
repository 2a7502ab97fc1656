"""Two reports' values beside each other, and which differ by more than seeds do. `natlab.report.compare` shows them.

A report is a folder with ``measurements.csv`` and, where they were kept, ``run.json`` and ``provenance.json``, on disk
or in a commit of git.
"""

import csv
import io
import json
import os
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from math import inf, isclose, isnan, sqrt
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from natlab.errors import UserError
from natlab.report import samples

# By what factor a speed may differ between two runs of code that gives the same values, by unit. mple_grammar is one
# (its reports at 470ec99 and b927284): 87 latencies differed by up to 1.90, 26 speedups, whose two sides are timed one
# after the other, by up to 1.12. Memory has not been measured twice.
FACTORS = {"ms": 2.0, "sentences/s": 2.0, "x": 1.25, "MB": 1.25}
# float32 has 7 digits: two runs of the same code differ in the 8th.
ROUNDING = 1e-6
MEASURED_BY = ("unit", "sentences", "signature")


class Key(NamedTuple):
    """What was measured."""

    dataset: str
    scale: str
    system: str
    decoding: str
    split: str
    metric: str


class Kind(Enum):
    """How two values differ: as a phrase that follows their number."""

    BEYOND = "beyond the seeds' deviation"
    WITHIN = "within it"
    UNKNOWN = "of unknown deviation"
    ROUNDING = "apart by rounding"
    MACHINE = "of speed or memory"
    SAME = "the same"


@dataclass(frozen=True)
class Report:
    """A report as read.

    ``name``: as it was asked for; ``text``: its measurements.csv; ``measured``: the lines of that by key and seed,
    their ``value`` a number; ``settings``: by the file that tells, which may lack: "run.json" and "provenance.json".
    """

    name: str
    text: str
    measured: dict[Key, dict[str, dict]]
    settings: dict[str, dict]

    def distinct(self, field: str) -> list[str]:
        """The values of a column, none twice."""
        found = dict.fromkeys(line.get(field, "") for seeds in self.measured.values() for line in seeds.values())
        return [value for value in found if value]

    @property
    def models(self) -> dict[tuple[str, ...], str]:
        """Fingerprints by (dataset, scale, system, seed)."""
        return {
            (*key[:3], seed): line["fingerprint"]
            for key, seeds in self.measured.items()
            for seed, line in seeds.items()
            if line.get("fingerprint")
        }


@dataclass(frozen=True)
class Difference:
    """One value of two reports.

    ``a``, ``b``: means over the seeds that both have, or over each one's own where they share none; ``deviation``: that
    of single seeds, times √((1/m + 1/n) / 2) where they are means of m and n, so that 2.8 deviations are the
    repeatability limit of any (ISO 5725-6); None where it is not known; ``elsewhere``: it is known from another dataset
    only.
    """

    key: Key
    unit: str
    a: float
    b: float
    deviation: float | None = None
    elsewhere: bool = False

    @property
    def difference(self) -> float:
        """B less A."""
        return self.b - self.a

    @property
    def deviations(self) -> float:
        """How many deviations A and B lie apart."""
        apart = abs(self.difference) / self.deviation
        return inf if isnan(apart) else apart

    @property
    def factor(self) -> float:
        """How many times the lesser the greater is."""
        low, high = sorted((self.a, self.b))
        return high / low if low > 0 else inf

    @property
    def far(self) -> bool:
        """Whether a speed differs by more than from run to run."""
        return self.factor > FACTORS[self.unit]

    @property
    def whole(self) -> bool:
        """Whether A and B are whole numbers, such as counts."""
        return self.a.is_integer() and self.b.is_integer()

    @property
    def kind(self) -> Kind:
        """How A and B differ."""
        if self.a == self.b or isnan(self.a) and isnan(self.b):
            return Kind.SAME
        if self.unit in FACTORS:
            return Kind.MACHINE
        if isclose(self.a, self.b, rel_tol=ROUNDING) and not self.whole:
            return Kind.ROUNDING
        if self.deviation is None:
            return Kind.UNKNOWN
        return Kind.BEYOND if self.deviations > samples.REPEATABILITY else Kind.WITHIN


@dataclass(frozen=True)
class Comparison:
    """Two reports: values in both, the keys of one only, and how often ("unit", "sentences" or "signature", A's, B's)
    says that a value was measured in another way."""

    a: Report
    b: Report
    values: list[Difference]
    only_a: list[Key]
    only_b: list[Key]
    ways: Counter[tuple[str, str, str]]

    def of(self, kind: Kind) -> list[Difference]:
        """The values that differ in this way, the greatest difference first."""
        order = {
            Kind.BEYOND: lambda value: -value.deviations,
            Kind.MACHINE: lambda value: -value.factor,
        }.get(kind, lambda value: value.key)
        return sorted((value for value in self.values if value.kind is kind), key=order)

    @property
    def settings(self) -> list[tuple[str, str]]:
        """What differs in settings, packages, models in both and data: key paths, and how."""
        both = [file for file in self.a.settings if file in self.b.settings]
        of_a, of_b = ({file: report.settings[file] for file in both} for report in (self.a, self.b))
        return [
            *_changes(_merged(of_a), _merged(of_b)),
            *_other_models(_specs(of_a), _specs(of_b)),
            *_other_files(_data(of_a), _data(of_b)),
        ]


def read(name: str, reports: str | Path) -> Report:
    """The report of a folder, of a run that has one under ``reports``, or of ``<commit>:`` and either of them.

    UserError where there is none, or where its files are not a report's.
    """
    folders = [Path(name), Path(reports) / name]
    there = next((folder for folder in folders if folder.is_dir()), None)
    commit, colon, place = name.partition(":")
    if there is not None:
        texts = map(_kept, folders)
        lacking = f"{there}: no measurements.csv; give the folder of a run's report"
    elif not colon:
        raise UserError(f"{name}: no such folder, nor {folders[1]}; give a report's folder, its run, or COMMIT:RUN")
    elif not commit or _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}") is None:
        raise UserError(f"{name}: no such commit here; see git log -- {reports}")
    else:
        folders = [Path(place), Path(reports) / place]
        texts = (_committed(commit, folder) for folder in folders)
        lacking = (
            f"{name}: that commit has no measurements.csv in {folders[0]} or {folders[1]}; see git log -- {reports}"
        )
    for text_of in texts:
        text = text_of("measurements.csv")
        if text is not None:
            return Report(name, text, _by_key(text, name), _settings(text_of, name))
    raise UserError(lacking)


def compare(a: Report, b: Report, reports: str | Path) -> Comparison:
    """All values of two reports. How far seeds deviate is known from both and from all that lie under ``reports``.

    UserError where they have no value in common.
    """
    both = [key for key in a.measured if key in b.measured]
    if not both:
        says = "; ".join(
            f"{report.name} has {', '.join(report.distinct('dataset'))} at {', '.join(report.distinct('scale'))}"
            for report in (a, b)
        )
        raise UserError(f"no value in common: {says}; compare runs that measured the same systems on the same datasets")
    known = samples.pooled(_of_seeds(text, where) for text, where in _texts(a, b, Path(reports)).items())
    values, ways = [], Counter()
    for key in both:
        sides = _alike(a.measured[key], b.measured[key])
        deviation = samples.deviation(known, key.dataset, key.metric)
        if deviation is not None:
            deviation *= sqrt(sum(1 / len(side) for side in sides) / 2)
        means = (mean(line["value"] for line in side.values()) for side in sides)
        unit = next(iter(sides[0].values()))["unit"]
        values.append(Difference(key, unit, *means, deviation, (key.dataset, key.metric) not in known))
        for field in MEASURED_BY:
            ways_of = [", ".join(dict.fromkeys(line.get(field, "") for line in side.values())) for side in sides]
            if ways_of[0] != ways_of[1]:
                ways[field, *ways_of] += 1
    only_a, only_b = ([key for key in one.measured if key not in other.measured] for one, other in ((a, b), (b, a)))
    return Comparison(a, b, values, only_a, only_b, ways)


def _alike(a: dict[str, dict], b: dict[str, dict]) -> tuple[dict[str, dict], dict[str, dict]]:
    """Of two values by seed the seeds that both have, so that one more seed is no difference; all where they share
    none."""
    shared = [seed for seed in a if seed in b]
    return tuple({seed: side[seed] for seed in shared or side} for side in (a, b))


def _texts(a: Report, b: Report, reports: Path) -> dict[str, str]:
    """The measurements of all reports, each but once, and where they are from."""
    found = sorted(path.parent for path in reports.glob("*/measurements.csv"))
    return {_kept(folder)("measurements.csv"): str(folder) for folder in found} | {a.text: a.name, b.text: b.name}


def _of_seeds(text: str, where: str) -> Iterator[dict]:
    """The lines that say how far seeds deviate: speeds do not, which differ all the time."""
    return (line for line in _lines(text, where) if line["unit"] not in FACTORS)


def _kept(folder: Path) -> Callable[[str], str | None]:
    """Reads the files of a folder; None for one that is not there."""

    def text_of(name: str) -> str | None:
        path = folder / name
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None

    return text_of


def _committed(commit: str, folder: Path) -> Callable[[str], str | None]:
    """The same of a folder of a commit."""
    return lambda name: _git("show", f"{commit}:./{os.path.relpath(folder / name)}")


def _git(*arguments: str) -> str | None:
    """What git says in this folder; None where it refuses, and without git."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, encoding="utf-8", errors="replace")
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def _lines(text: str, where: str) -> Iterator[dict]:
    """The lines of a measurements.csv, their values numbers; UserError where it is none."""
    reader = csv.DictReader(io.StringIO(text))
    lacking = [field for field in (*Key._fields, "seed", "value", "unit") if field not in (reader.fieldnames or ())]
    if lacking:
        raise UserError(f"{where}: its measurements.csv has no column {', '.join(lacking)}; make the report again")
    for line in reader:
        try:
            yield line | {"value": float(line["value"])}
        except (TypeError, ValueError):
            raise UserError(
                f"{where}: line {reader.line_num} of its measurements.csv has no number as value; make the report again"
            ) from None


def _by_key(text: str, where: str) -> dict[Key, dict[str, dict]]:
    found = defaultdict(dict)
    for line in _lines(text, where):
        found[Key(*(line[field] for field in Key._fields))][line["seed"]] = line
    return dict(found)


def _settings(text_of: Callable[[str], str | None], where: str) -> dict[str, dict]:
    found = {}
    for name in ("run.json", "provenance.json"):
        text = text_of(name)
        if text is not None:
            try:
                found[name] = json.loads(text)
            except json.JSONDecodeError as error:
                raise UserError(f"{where}: its {name} is not JSON ({error}); make the report again") from None
    return found


def _merged(settings: Mapping[str, dict]) -> dict:
    """What the files say of a run's settings and packages, by what it is of."""
    provenance = settings.get("provenance.json", {})
    configuration = provenance.get("configuration", {})
    of_run = settings.get("run.json", {}) | configuration.get("run", {})
    return configuration | {"run": of_run, "packages": provenance.get("packages", {})}


def _specs(settings: Mapping[str, dict]) -> dict[tuple[str, str, int], dict]:
    """Models' specifications by (system, dataset, seed)."""
    specs = (model["spec"] for model in settings.get("provenance.json", {}).get("models", []))
    return {(spec["system"], spec["dataset"], spec["seed"]): spec for spec in specs}


def _other_models(a: Mapping[tuple, dict], b: Mapping[tuple, dict]) -> Iterator[tuple[str, str]]:
    """What differs in the specifications of models, and in which systems'."""
    systems = defaultdict(dict)
    for model in (model for model in a if model in b):
        for change in _changes(a[model], b[model], "models"):
            systems[change][model[0]] = None
    for (path, how), of in systems.items():
        yield path, f"{how} ({', '.join(of)})"


def _data(settings: Mapping[str, dict]) -> dict[str, dict[str, str]]:
    """Checksums by folder and file, but for marks of the workflow."""
    return {
        folder: {name: checksum for name, checksum in files.items() if not name.startswith(".")}
        for folder, files in settings.get("provenance.json", {}).get("data", {}).items()
    }


def _other_files(a: Mapping[str, dict], b: Mapping[str, dict]) -> Iterator[tuple[str, str]]:
    for folder in dict.fromkeys([*a, *b]):
        if folder in a and folder in b:
            names = sorted({*a[folder], *b[folder]})
            others = sum(a[folder].get(name) != b[folder].get(name) for name in names)
            if others:
                yield folder, f"{others} of {len(names)} files differ"
        else:
            yield folder, f"only in {'A' if folder in a else 'B'}"


def _changes(a: Any, b: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """What differs in two trees: key paths, and how."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys([*a, *b]):
            inner = f"{path}.{key}" if path else str(key)
            if key in a and key in b:
                yield from _changes(a[key], b[key], inner)
            else:
                side, value = ("A", a[key]) if key in a else ("B", b[key])
                yield inner, f"only in {side}" + ("" if isinstance(value, dict) else f": {_plain(value)}")
    elif a != b:
        sides = []
        if isinstance(a, list) and isinstance(b, list):
            for side, one, other in (("A", a, b), ("B", b, a)):
                if alone := [_plain(item) for item in one if item not in other]:
                    sides.append(f"only in {side}: {', '.join(alone)}")
        yield path, "; ".join(sides) or f"{_plain(a)} → {_plain(b)}"


def _plain(value: Any) -> str:
    """A value in words: a text as it is, others as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
