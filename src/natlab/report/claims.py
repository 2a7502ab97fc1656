"""A paper's claims, tested on what a run measured, as CSV and Markdown. The verb ``claims``.

A claim's parts are tested one by one. A part holds if at least 95 % of resamples agree with it; it is refuted if at
most 5 % do; it is undecided between them, and where a value that was measured once does not say how it would come out
again; or it was not measured. What is resampled is what the part is about: for comparisons and orders the test
sentences and the seeds (`natlab.report.bootstrap`), for correlations the rows, by Fisher's z and, where two are
compared, Williams' t.
"""

import argparse
import csv
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from math import sqrt
from pathlib import Path

import numpy as np

from natlab.files import written_aside
from natlab.papers import cells as resolve
from natlab.papers import claims as claimed
from natlab.papers import labels as labelled
from natlab.papers import spec as specs
from natlab.papers.labels import Labels
from natlab.report import bootstrap, correlation, markup, tables
from natlab.report.filled import Table, build
from natlab.report.samples import REPEATABILITY, Sample, Sampler, derived, deviations

HOLDS, REFUTED, UNDECIDED, UNMEASURED = "holds", "refuted", "undecided", "not measured"
CONFIDENCE = 0.95
NUMBERS = ("statistic", "confidence", "low", "high")
FIELDS = "claim part says verdict measured statistic confidence low high rests_on seeds tests false_holds".split()


@dataclass(frozen=True)
class Result:
    """One part of a claim, as shown.

    ``claim``: its id; ``part`` counts from 1; ``measured``: the values in words; ``statistic``: the share of pairs in
    order, r, or the difference; ``confidence``: the share of resamples that agree, None where there are none; ``low``,
    ``high``: the middle 90 % of the statistic's resamples, which lie on the claimed side, or on the other one, where
    the verdict is clear; ``rests_on``: what was resampled.
    """

    claim: str
    part: int
    says: str
    verdict: str
    measured: str = ""
    statistic: float | None = None
    confidence: float | None = None
    low: float | None = None
    high: float | None = None
    rests_on: str = ""
    seeds: str = ""


def results_of(stated: Mapping, shown: Mapping[str, Table], sampler: Sampler, labels: Labels) -> list[Result]:
    """All parts of all claims; ``shown`` are the tables they are about, by name; ``labels``: what systems and decodings
    are called."""
    found = []
    for claim in stated["claims"]:
        for number, part in enumerate(claim["parts"], 1):
            if "comparison" in part:
                result = _comparison(stated, part, sampler, labels)
            elif "order" in part:
                result = _order(part["order"], shown[part["order"]["table"]], sampler)
            else:
                result = _correlation(part["correlation"], shown[part["correlation"]["table"]])
            found.append(Result(claim["id"], number, part["says"], **(result or {"verdict": UNMEASURED})))
    return found


def _verdict(confidence: float | None) -> str:
    if confidence is None or 1 - CONFIDENCE < confidence < CONFIDENCE:
        return UNDECIDED
    return HOLDS if confidence >= CONFIDENCE else REFUTED


def _judged(samples: list[Sample], seeds: list[int], margins: np.ndarray, statistic: np.ndarray) -> dict:
    """What resamples of the samples over these seeds say of a part that claims ``margins`` [1 + RESAMPLES] above 0.

    One seed decides nothing where it is not known how far others lie, nor does a value without statistics of sentences.
    """
    resampled = ["test sentences"] if all(sample.sentences for sample in samples) else []
    if len(seeds) > 1:
        resampled.append(f"{len(seeds)} seeds")
    confidence, interval = None, {}
    if resampled:
        confidence = bootstrap.share(margins[1:])
        # there is nothing between two infinite ones
        method = "linear" if np.isfinite(statistic).all() else "inverted_cdf"
        low, high = np.quantile(statistic[1:], [1 - CONFIDENCE, CONFIDENCE], method=method)
        interval = {"low": float(low), "high": float(high)}
    known = len(seeds) > 1 or all(sample.noise is not None for sample in samples)
    if not resampled:
        resampled.append("one value each, not resampled")
    elif len(seeds) == 1:
        resampled.append(f"one seed, {'with the deviation' if known else 'no deviation known'} of other runs' seeds")
    return {
        "verdict": _verdict(confidence if known else None),
        "statistic": float(statistic[0]),
        "confidence": confidence,
        **interval,
        "rests_on": "; ".join(resampled),
        "seeds": _seeds(seeds),
    }


def _order(spec: Mapping, table: Table, sampler: Sampler) -> dict | None:
    rows = []
    for number, row in enumerate(table.spec["rows"]):
        pair = [sampler.column(table.spec, number, spec[axis]) for axis in ("x", "y")]
        if None not in pair and not row.get("ours"):
            dataset = table.entries[number, spec["x"]].dataset
            rows.append((dataset or row["label"], pair))
    samples = [sample for _, pair in rows for sample in pair]
    seeds = _common(samples, table.run)
    if len(rows) < 2 or not seeds:
        return None
    values = [tuple(sample.over(seeds) for sample in pair) for _, pair in rows]
    sign = -1 if spec.get("falls") else 1
    concordant = np.sign([sign * (a[0] - b[0]) * (a[1] - b[1]) for a, b in combinations(values, 2)])
    share = (concordant > 0).mean(axis=0)
    points = sorted((x[0], y[0], name) for (x, y), (name, _) in zip(values, rows, strict=True))
    return {
        "measured": "; ".join(f"{name}: {tables.number(x)}, {tables.number(y)}" for x, y, name in points),
        **_judged(samples, seeds, concordant.min(axis=0), share),
    }


def _correlation(spec: Mapping, table: Table) -> dict | None:
    if "weaker_than" in spec:
        result = _weaker(spec, table)
    else:
        result = _at_most(spec, table)
    if result is None:
        return None
    seeds = {seed for (_, key), entry in table.entries.items() if key == spec["y"] for seed in entry.seeds}
    return {"verdict": _verdict(result["confidence"]), **result, "seeds": _seeds(seeds)}


def _at_most(spec: Mapping, table: Table) -> dict | None:
    """Of several r, one a β, the confidence is that of the least sure: all must be at most the limit."""
    if spec.get("swept"):
        (swept,) = (of for of in table.spec["correlations"] if "sweep" in of and of["x"] == spec["x"])
        found = correlation.sweep(table, swept, "measured")
    else:
        found = {None: correlation.of_columns(table, spec["x"], spec["y"], "measured")}
    if not found or None in found.values():
        return None
    beta, worst = max(found.items(), key=lambda of: of[1].r)
    low, high = correlation.interval(worst.r, worst.n, 2 * CONFIDENCE - 1) or (None, None)
    measured = f"r {correlation.number(worst.r)}"
    if beta is not None:
        measured = f"{measured} at β {beta:g}, the weakest; " + ", ".join(
            f"{beta:g}: {correlation.number(of.r)}" for beta, of in found.items()
        )
    return {
        "measured": measured,
        "statistic": worst.r,
        "confidence": correlation.confidence_at_most(worst, spec["at_most"]),
        "low": low,
        "high": high,
        "rests_on": f"{worst.n} rows",
    }


def _weaker(spec: Mapping, table: Table) -> dict | None:
    columns = {column["key"]: column["label"] for column in table.spec["columns"]}
    found = correlation.weaker(table, spec["x"], spec["y"], spec["weaker_than"])
    if found is None:
        return None
    rows = f"{found.found.n} rows"
    return {
        "measured": f"r {correlation.number(found.found.r)}; with {columns[spec['weaker_than']]} "
        f"{correlation.number(found.other.r)}",
        "statistic": found.found.r - found.other.r,
        "confidence": found.confidence,
        "rests_on": rows if found.t is None else f"{rows}; Williams' t {tables.number(found.t)}",
    }


def _comparison(stated: Mapping, part: Mapping, sampler: Sampler, labels: Labels) -> dict | None:
    compared, run = part["comparison"], sampler.run
    quantities = [
        [resolve.resolved(description, run) for description in value] for value in claimed.compared(stated, part)
    ]
    samples = [_value(cells, sampler) for cells in quantities]
    lacking = [_name(cells, labels) for cells, sample in zip(quantities, samples, strict=True) if sample is None]
    if lacking:
        return {
            "verdict": UNMEASURED,
            "measured": f"lacks {'; '.join(lacking)}" if len(lacking) < len(quantities) else "",
        }
    seeds = _common(samples, run)
    if not seeds:
        return None
    values = [sample.over(seeds) for sample in samples]
    higher, by, times = "higher" in compared, compared.get("by", 0.0), compared.get("times")
    # the lower side is taken so many times
    scaled = [sample.times(times or 1) if (n == 0) != higher else sample for n, sample in enumerate(samples)]
    first, *others = (sample.over(seeds) for sample in scaled)
    differences = (1 if higher else -1) * (first - np.stack(others))
    nearest = differences.min(axis=0)
    statistic = nearest
    if times is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = values[0] / np.stack(values[1:])
            statistic = (ratios if higher else 1 / ratios).min(axis=0)
    result = _judged(samples, seeds, nearest - by, statistic)
    if len(seeds) == 1 and result["confidence"] is not None and all(sample.noise is not None for sample in samples):
        least = np.array([_least(scaled[0], other) for other in scaled[1:]])
        over = differences[:, 0] - by
        if not ((over > least).all() if result["verdict"] == HOLDS else (over < -least).any()):
            result["verdict"] = UNDECIDED
        of_nearest = tables.number(least[differences[:, 0].argmin()])
        result["rests_on"] += f": a difference below {of_nearest} is undecided"
    named = (_name(cells, labels) for cells in quantities)
    shown = [f"{name} {tables.number(value[0])}" for name, value in zip(named, values, strict=True)]
    # labels have commas of their own
    return {"measured": f"{shown[0]} against {'; '.join(shown[1:])}", **result}


def _value(quantities: list[resolve.Quantity], sampler: Sampler) -> Sample | None:
    """That of a cell, or of the first of two less the second; None where one was not measured."""
    parts = [sampler.cell(quantity) for quantity in quantities]
    if None in parts:
        return None
    return derived("minus", parts) if len(parts) == 2 else parts[0]


def _least(first: Sample, other: Sample) -> float:
    """The least difference of two values of one seed that is more than what lies between seeds."""
    return REPEATABILITY * sqrt((first.noise[1:].var() + other.noise[1:].var()) / 2)


def _common(samples: list[Sample], run: Mapping) -> list[int]:
    """The seeds of the run that all samples have."""
    return [seed for seed in run["seeds"] if all(seed in sample.by_seed for sample in samples)]


def _name(quantities: list[resolve.Quantity], labels: Labels) -> str:
    """A value's cell; of two cells the first, and in what the second differs."""
    first, *less = quantities
    name = _cell_name(first, labels)
    for second in less:
        other = _cell_name(second, labels)
        differs = [other] if other != name else []
        differs += [b for a, b in ((first.corpus, second.corpus), (first.metric, second.metric)) if a != b]
        name += f" less {', '.join(differs)}"
    return name


def _cell_name(quantity: resolve.Quantity, labels: Labels) -> str:
    if len(quantity.readings) > 1:
        systems = " and ".join(dict.fromkeys(labels.system(reading.system) for reading in quantity.readings))
        return f"{'C' if quantity.metric == resolve.CONDITIONAL_TC else quantity.metric} of {systems}"
    (reading,) = quantity.readings
    return labels.output(reading.system, reading.decoding)


def _seeds(seeds: set[int] | list[int]) -> str:
    return " ".join(map(str, sorted(seeds)))


def tests(results: list[Result]) -> int:
    """How many parts were tested."""
    return sum(result.verdict != UNMEASURED for result in results)


def false_holds(results: list[Result]) -> float:
    """How many of the parts that were tested one expects to hold if no claim were true."""
    return (1 - CONFIDENCE) * tests(results)


HEADS = ("", "verdict", "measured", "statistic", "agree", "90 % interval", "rests on", "seeds")


def shown(result: Result) -> tuple[str, ...]:
    """A part as texts under ``HEADS``; dashes for what there is not."""
    agree = tables.EMPTY if result.confidence is None else f"{100 * result.confidence:.1f} %"
    interval = tables.EMPTY
    if result.low is not None:
        interval = f"{tables.number(result.low)} to {tables.number(result.high)}"
    statistic = tables.number(result.statistic)
    return result.says, result.verdict, result.measured, statistic, agree, interval, result.rests_on, result.seeds


def notes(results: list[Result], run: Mapping) -> list[str]:
    """What stands below the claims."""
    return [
        f"Run {run['run']}, scale {run['scale']}; values are means over the seeds named.",
        f"{tests(results)} of {len(results)} parts were tested. Were all these claims mere ties, {1 - CONFIDENCE:.0%} "
        f"of the tests or fewer, {false_holds(results):.1f}, would still be expected to come out as “{HOLDS}”.",
        f"A part {HOLDS} if at least {CONFIDENCE:.0%} of resamples agree, is {REFUTED} if at most {1 - CONFIDENCE:.0%} "
        f"do, and else {UNDECIDED}; ties count half.",
        "Statistic: the share of pairs of rows that are in order; Pearson's r, or by how much it is above the other; "
        "how far the first value is above the highest of the others, or below the lowest, or how many times as high or "
        "as low it is where that is claimed.",
        f"Agree: the share of {bootstrap.RESAMPLES} resamples of the test sentences (paired bootstrap) and the seeds "
        "(Student's t); for r the confidence by Fisher's z over the rows, for a weaker r by Williams' t.",
        f"One seed: a difference below {REPEATABILITY} times the deviation that runs with several seeds have had on its"
        " dataset is undecided; where none has had one there, below the largest on another; where none has, all are.",
    ]


def markdown(stated: Mapping, results: list[Result], run: Mapping) -> str:
    """The claims as Markdown, a table each."""
    text = [f"## {markup.markdown(stated['title'])}", "", f"{markup.markdown_line(stated['paper'])}.", ""]
    for claim in stated["claims"]:
        source = markup.markdown_line(f"{claim['source'][:1].upper()}{claim['source'][1:]}.")
        text += [f"### ({claim['id']}) {markup.markdown(claim['claim'])}", "", source, ""]
        text += [f"| {' | '.join(HEADS)} |", "|---|---|---|---:|---:|---:|---|---|"]
        for result in results:
            if result.claim == claim["id"]:
                says, verdict, *rest = map(markup.markdown_cell, shown(result))
                text.append(f"| {' | '.join([says, f'**{verdict}**', *rest])} |")
        text.append("")
    return "\n".join(text) + "\n".join(f"- {markup.markdown_line(note)}" for note in notes(results, run)) + "\n"


def write_csv(results: list[Result], path: str | Path) -> None:
    """One line a part, numbers to 12 digits: the order in which a machine adds up resamples shows in later ones.
    ``tests`` and ``false_holds``, of the whole file, stand in each."""
    of_all = {"tests": tests(results), "false_holds": f"{false_holds(results):g}"}
    with written_aside(path) as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        for part in results:
            numbers = {key: float(f"{value:.12g}") for key in NUMBERS if (value := getattr(part, key)) is not None}
            writer.writerow(asdict(part) | numbers | of_all)


def read_csv(path: str | Path) -> list[Result]:
    """The parts that ``write_csv`` wrote."""
    with open(path, encoding="utf-8", newline="") as file:
        lines = [
            {key: line[key] for key in FIELDS if key not in ("tests", "false_holds")} for line in csv.DictReader(file)
        ]
    return [
        Result(**line | {key: float(line[key]) if line[key] else None for key in NUMBERS} | {"part": int(line["part"])})
        for line in lines
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``claims``."""
    parser.add_argument("--claims", required=True, help="the claims, config/papers/<paper>/<claims>.yaml")
    parser.add_argument("--run", dest="run_file", required=True, help="the run's file, config/runs/<run>.yaml")
    parser.add_argument("--measurements", required=True, help="the folder of measurements, results/measurements")
    parser.add_argument("--corpora", required=True, help="the folder of corpora (exact values), results/corpora")
    parser.add_argument("--papers", default="config/papers", help="the folder of table specs")
    parser.add_argument("--reports", default="reports", help="the folder of reports, whose runs say how seeds deviate")
    parser.add_argument("--out", required=True, help="where to write, less the endings .csv and .md")


def run(args: argparse.Namespace) -> None:
    """Write ``OUT.csv`` and ``OUT.md``."""
    stated, settings = claimed.load(args.claims), specs.load_run(args.run_file)
    about = {name: specs.load(Path(args.papers) / f"{name}.yaml") for name in claimed.tables_named(stated)}
    for name, spec in about.items():
        claimed.check_columns(args.claims, stated, name, spec)
    labels = labelled.load(Path(args.papers))
    results = tested(stated, about, settings, labels, Path(args.measurements), Path(args.corpora), Path(args.reports))
    write(stated, results, settings, Path(args.out))


def tested(
    stated: Mapping,
    about: Mapping[str, dict],
    settings: Mapping,
    labels: Labels,
    measurements: Path,
    corpora: Path,
    reports: Path,
) -> list[Result]:
    """All parts of all claims on what a run measured. ``about``: the specs of the tables they are about, by name;
    ``labels``: what systems and decodings are called; ``reports``: the folder of reports, whose runs say how seeds
    deviate."""
    shown = {name: build(spec, settings, measurements, corpora) for name, spec in about.items()}
    apart = deviations(claimed.measurements_of(stated, reports, settings["run"]))
    return results_of(stated, shown, Sampler(settings, measurements, corpora, apart), labels)


def write(stated: Mapping, results: list[Result], settings: Mapping, out: Path) -> None:
    """Write the claims as ``out`` with the endings ``.csv`` and ``.md``."""
    write_csv(results, f"{out}.csv")
    with written_aside(f"{out}.md") as file:
        file.write(markdown(stated, results, settings))
