"""A paper's claims, tested on what a run measured, as CSV and Markdown. The verb ``claims``.

A claim's parts are tested one by one: each holds, does not hold, or is not measured. A comparison is of means over
seeds and holds if it comes out so in enough paired bootstrap resamples of the test sentences, too, where the
measurements have the sentences' statistics.
"""

import argparse
import csv
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from statistics import mean

from natlab.errors import UserError
from natlab.files import read_json, written_aside
from natlab.report import bootstrap, correlation, tables
from natlab.report import cells as resolve
from natlab.report import spec as specs
from natlab.schema import known, read_yaml, validate

HOLDS, FAILS, UNMEASURED = "holds", "does not hold", "not measured"
FIELDS = "claim part says verdict measured statistic confidence seeds".split()


@dataclass(frozen=True)
class Tested:
    """One part of a claim, as shown.

    ``claim``: its id; ``part`` counts from 1; ``measured``: the values in words; ``statistic``: the share of pairs in
    order, r, or the difference; ``confidence``: the share of resamples that agree, None where there are none.
    """

    claim: str
    part: int
    says: str
    verdict: str
    measured: str = ""
    statistic: float | None = None
    confidence: float | None = None
    seeds: str = ""


class Compared(resolve.Cell):
    """A cell of a comparison; ``row`` is the part's number, from 0, ``column`` the claim's id."""

    @property
    def where(self) -> str:
        return f"claim {self.column}, part {self.row + 1}"


def load(path: str | Path) -> dict:
    """The claims in ``path``. UserError names the file, the key and what is allowed there."""
    stated = read_yaml(path)
    validate(stated, specs.SCHEMAS / "claims.schema.yaml", str(path))
    for claim in stated["claims"]:
        for number, part in enumerate(claim["parts"], 1):
            for described in _described(stated, part):
                for key in ("metric", "corpus", "system"):
                    if key not in described:
                        raise UserError(f"{path}: claim {claim['id']}, part {number}: key {key} is missing; add it")
    return stated


def cells(stated: Mapping, run: Mapping) -> list[Compared]:
    """All cells that the claims' comparisons ask for, as ``run`` resolves them."""
    return [
        Compared(number, claim["id"], resolve.resolved(described, run))
        for claim in stated["claims"]
        for number, part in enumerate(claim["parts"])
        for described in _described(stated, part)
    ]


def tables_named(stated: Mapping) -> list[str]:
    """The tables that the claims are about, each once."""
    asked = [_of_table(part) for claim in stated["claims"] for part in claim["parts"]]
    return list(dict.fromkeys(of["table"] for of in asked if of))


def check_columns(file: str, stated: Mapping, name: str, table: Mapping) -> None:
    """Refuse claims, the content of ``file``, about columns that the table of this name does not have."""
    keys = [column["key"] for column in table["columns"]]
    for claim in stated["claims"]:
        for number, part in enumerate(claim["parts"], 1):
            of = _of_table(part)
            if of and of["table"] == name:
                for role in ("x", "y", "weaker_than"):
                    if role in of:
                        known(file, f"claim {claim['id']}, part {number}: {role}", of[role], keys)


def tested(stated: Mapping, shown: Mapping[str, tables.Table], run: Mapping, measurements: str | Path) -> list[Tested]:
    """All parts of all claims; ``shown`` are the tables they are about, by name."""
    found = []
    for claim in stated["claims"]:
        for number, part in enumerate(claim["parts"], 1):
            if "comparison" in part:
                result = _comparison(stated, part, run, Path(measurements))
            elif "order" in part:
                result = _order(part["order"], shown[part["order"]["table"]])
            else:
                result = _correlation(part["correlation"], shown[part["correlation"]["table"]])
            found.append(Tested(claim["id"], number, part["says"], **(result or {"verdict": UNMEASURED})))
    return found


def _of_table(part: Mapping) -> Mapping | None:
    return part.get("order") or part.get("correlation")


def _described(stated: Mapping, part: Mapping) -> list[dict]:
    """The descriptions of a comparison's cells, the claimed best first."""
    compared = part.get("comparison")
    given = [compared["better"], *compared["than"]] if compared else []
    return [{**stated.get("cell", {}), **description} for description in given]


def _verdict(holds: bool) -> str:
    return HOLDS if holds else FAILS


def _order(asked: Mapping, table: tables.Table) -> dict | None:
    rows = []
    for number, row in enumerate(table.spec["rows"]):
        x, y = (table.entries[number, asked[axis]] for axis in ("x", "y"))
        if x.measured is not None and y.measured is not None and not row.get("ours"):
            rows.append((x.measured, y.measured, x.dataset or row["label"], y.seeds))
    if len(rows) < 2:
        return None
    pairs = list(combinations(sorted(rows), 2))
    share = sum(left[0] < right[0] and left[1] < right[1] for left, right in pairs) / len(pairs)
    return {
        "verdict": _verdict(share == 1),
        "measured": "; ".join(f"{name}: {tables.number(x)}, {tables.number(y)}" for x, y, name, _ in sorted(rows)),
        "statistic": share,
        "seeds": _seeds(set.intersection(*(set(seeds) for *_, seeds in rows))),
    }


def _correlation(asked: Mapping, table: tables.Table) -> dict | None:
    columns = {column["key"]: column["label"] for column in table.spec["columns"]}
    found = correlation.of_columns(table, asked["x"], asked["y"], "measured")
    if found is None:
        return None
    measured = f"r {correlation.said(found)}"
    if "at_most" in asked:
        holds = found.r <= asked["at_most"]
    else:
        other = correlation.of_columns(table, asked["x"], asked["weaker_than"], "measured")
        if other is None:
            return None
        holds = abs(found.r) < abs(other.r)
        measured += f"; with {columns[asked['weaker_than']]} {correlation.said(other)}"
    seeds = {seed for (_, key), entry in table.entries.items() if key == asked["y"] for seed in entry.seeds}
    return {"verdict": _verdict(holds), "measured": measured, "statistic": found.r, "seeds": _seeds(seeds)}


def _comparison(stated: Mapping, part: Mapping, run: Mapping, measurements: Path) -> dict | None:
    asked = [resolve.resolved(described, run) for described in _described(stated, part)]
    read = [tables.read(cell, run, measurements) for cell in asked]
    lacking = [_name(cell) for cell, values in zip(asked, read, strict=True) if values is None]
    if lacking:
        return {"verdict": UNMEASURED, "measured": f"lacks {', '.join(lacking)}" if len(lacking) < len(asked) else ""}
    seeds = [seed for seed in run["seeds"] if all(seed in values.by_seed for values in read)]
    if not seeds:
        return None
    means = [mean(values.by_seed[seed] for seed in seeds) for values in read]
    share = _resampled(asked, run["scale"], seeds, measurements)
    difference = means[0] - max(means[1:])
    above = share is None or share >= stated.get("confidence", 0.95)
    against = ", ".join(
        f"{_name(cell)} {tables.number(value)}" for cell, value in zip(asked[1:], means[1:], strict=True)
    )
    return {
        "verdict": _verdict(difference > 0 and above),
        "measured": f"{_name(asked[0])} {tables.number(means[0])} against {against}",
        "statistic": difference,
        "confidence": share,
        "seeds": _seeds(seeds),
    }


def _resampled(asked: list[resolve.Asked], scale: str, seeds: list[int], measurements: Path) -> float | None:
    """The bootstrap's confidence; None where a measurement has no statistics of sentences, or of other sentences."""
    systems = []
    for cell in asked:
        (reading,) = cell.readings
        files = [read_json(measurements / reading.source(cell.dataset, scale, seed)) for seed in seeds]
        systems.append([file.get("sentence_statistics", {}).get(reading.key) for file in files])
    sizes = {len(statistics) if statistics else 0 for system in systems for statistics in system}
    if len(sizes) > 1 or 0 in sizes:
        return None
    return bootstrap.share_better(systems[0], systems[1:])


def _name(asked: resolve.Asked) -> str:
    (reading,) = asked.readings
    return f"{reading.system} ({reading.decoding})" if reading.decoding else reading.system


def _seeds(seeds: set[int] | list[int]) -> str:
    return " ".join(map(str, sorted(seeds)))


def statistic(result: Tested) -> str:
    """A part's statistic as text; the dash for none."""
    return tables.number(result.statistic)


def confidence(result: Tested) -> str:
    """A part's confidence as text, in percent; the dash for none."""
    return tables.EMPTY if result.confidence is None else f"{100 * result.confidence:.1f} %"


def notes(stated: Mapping, run: Mapping) -> list[str]:
    """What stands below the claims."""
    return [
        f"Run {run['run']}, scale {run['scale']}; values are means over the seeds named.",
        "Statistic: the share of pairs of rows that are in order; Pearson's r; or how far the first value is above the "
        "highest of the others.",
        f"Confidence: the share of {bootstrap.RESAMPLES} paired bootstrap resamples of the test sentences in which the "
        f"first value is the highest; a comparison holds from {100 * stated.get('confidence', 0.95):g} %. It is about "
        "these models and test sentences; how much models differ among seeds, several seeds show.",
    ]


def markdown(stated: Mapping, results: list[Tested], run: Mapping) -> str:
    """The claims as Markdown, a table each."""
    text = [f"## {stated['title']}", "", f"{stated['paper']}.", ""]
    for claim in stated["claims"]:
        text += [f"### ({claim['id']}) {claim['claim']}", "", f"{claim['source'][0].upper()}{claim['source'][1:]}.", ""]
        text += ["| | verdict | measured | statistic | confidence | seeds |", "|---|---|---|---:|---:|---|"]
        for result in results:
            if result.claim == claim["id"]:
                shown = (result.says, f"**{result.verdict}**", result.measured, statistic(result), confidence(result))
                text.append(" | ".join(["", *(part.replace("|", "\\|") for part in shown), result.seeds, ""]).strip())
        text.append("")
    return "\n".join(text) + "\n".join(f"- {note}" for note in notes(stated, run)) + "\n"


def write_csv(results: list[Tested], path: str | Path) -> None:
    """One line a part, numbers unrounded."""
    with written_aside(path) as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: "" if value is None else value for key, value in asdict(part).items()} for part in results
        )


def read_csv(path: str | Path) -> list[Tested]:
    """The parts that ``write_csv`` wrote."""
    numbers = ("statistic", "confidence")
    with open(path, encoding="utf-8", newline="") as file:
        return [
            Tested(
                **line | {key: float(line[key]) if line[key] else None for key in numbers} | {"part": int(line["part"])}
            )
            for line in csv.DictReader(file)
        ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``claims``."""
    parser.add_argument("--claims", required=True, help="the claims, config/papers/<paper>/<claims>.yaml")
    parser.add_argument("--run", dest="run_file", required=True, help="the run's file, config/runs/<run>.yaml")
    parser.add_argument("--measurements", required=True, help="the folder of measurements, results/measurements")
    parser.add_argument("--corpora", required=True, help="the folder of corpora (exact values), results/corpora")
    parser.add_argument("--papers", default="config/papers", help="the folder of table specs")
    parser.add_argument("--out", required=True, help="where to write, less the endings .csv and .md")


def run(args: argparse.Namespace) -> None:
    """Write ``OUT.csv`` and ``OUT.md``."""
    stated, settings = load(args.claims), specs.load_run(args.run_file)
    shown = {}
    for name in tables_named(stated):
        spec = specs.load(Path(args.papers) / f"{name}.yaml")
        check_columns(args.claims, stated, name, spec)
        shown[name] = tables.build(spec, settings, args.measurements, args.corpora)
    results = tested(stated, shown, settings, args.measurements)
    write_csv(results, f"{args.out}.csv")
    with written_aside(f"{args.out}.md") as file:
        file.write(markdown(stated, results, settings))
