"""One static HTML page a run, and all its measurements as one tidy CSV beside it. The verb ``report``.

The page shows the tables as their CSVs have them, needs no other file and asks no network for anything.
"""

import argparse
import csv
import os
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from natlab.errors import UserError
from natlab.files import read_json, written_aside
from natlab.report import cells as resolve
from natlab.report import spec as specs
from natlab.report import tables
from natlab.report.tables import Entry, Table

MEASUREMENT_FIELDS = (
    "dataset scale system seed decoding split metric value unit sentences signature commit dirty device fingerprint"
).split()

STYLE = """
:root { --ink: #1c2128; --soft: #66707c; --line: #d8dde3; --ground: #ffffff; --band: #f5f7f9; --mark: #0b62b0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e8ee; --soft: #97a2ae; --line: #363e48; --ground: #14181d; --band: #1b2128; --mark: #77b6f2; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 2.5rem 1.25rem 4rem; color: var(--ink); background: var(--ground);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.15rem; margin: 0 0 .2rem; }
p { margin: .3rem 0; max-width: 60rem; }
a { color: var(--mark); text-decoration: none; }
a:hover { text-decoration: underline; }
nav { margin: 1rem 0 0; display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; }
section { margin-top: 2.75rem; }
.soft, .notes, .files { color: var(--soft); font-size: .87rem; }
.notes { padding-left: 1.1rem; margin: .6rem 0 0; max-width: 60rem; }
.scroll { overflow-x: auto; margin-top: .9rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.results { min-width: 42rem; border-top: 2px solid var(--ink); border-bottom: 2px solid var(--ink); }
.results thead th { border-bottom: 1px solid var(--ink); font-weight: 600; }
.results th, .results td { padding: .38rem .9rem; text-align: right; vertical-align: top; white-space: nowrap; }
.results th:first-child { text-align: left; padding-left: .3rem; font-weight: 500; }
.results tbody tr + tr > * { border-top: 1px solid var(--line); }
.results tbody + tbody { border-top: 1px solid var(--ink); }
.results th.group { color: var(--soft); font-size: .78rem; font-weight: 600; padding-top: .5rem; }
.results .unit { display: block; color: var(--soft); font-size: .78rem; font-weight: 400; min-height: 1.2em; }
.ours { background: var(--band); }
.measured { font-weight: 600; }
.spread { color: var(--soft); font-weight: 400; }
.none { color: var(--soft); font-weight: 400; }
.published { display: block; color: var(--soft); font-size: .82rem; min-height: 1.25em; }
.difference { color: var(--mark); }
.published .difference { padding-left: .35rem; }
.facts th { text-align: left; font-weight: 500; color: var(--soft); padding: .2rem 1.6rem .2rem 0; }
.facts th, .facts td { vertical-align: top; }
.facts td { padding: .2rem 0; overflow-wrap: anywhere; }
.all th, .all td { text-align: left; padding: .15rem 1.4rem .15rem 0; white-space: nowrap; font-size: .87rem; }
.all td.value { text-align: right; }
.all thead th { border-bottom: 1px solid var(--line); }
summary { cursor: pointer; color: var(--mark); }
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``report``."""
    parser.add_argument("--run", dest="run_file", required=True, help="the run's file, config/runs/<run>.yaml")
    parser.add_argument("--tables", help="the folder of the run's tables; by default tables/ beside the page")
    parser.add_argument("--measurements", default="results/measurements", help="the folder of measurements")
    parser.add_argument("--papers", default="config/papers", help="the folder of table specs")
    parser.add_argument("--out", required=True, help="the page to write; measurements.csv goes beside it")


def run(args: argparse.Namespace) -> None:
    """Write the page and ``measurements.csv`` beside it."""
    settings = specs.load_run(args.run_file)
    out = Path(args.out)
    folder = Path(args.tables) if args.tables else out.parent / "tables"
    shown = {}
    for name in settings["tables"]:
        path = folder / f"{name.replace('/', '.')}.csv"
        if not path.exists():
            raise UserError(f"{path}: no such table; make the run's tables first")
        spec = specs.load(Path(args.papers) / f"{name}.yaml")
        shown[path.stem] = tables.read_csv(path, spec, settings)
    rows = list(measurement_rows(measurement_files(shown.values(), settings, Path(args.measurements))))
    with written_aside(out.with_name("measurements.csv")) as file:
        writer = csv.DictWriter(file, MEASUREMENT_FIELDS, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    with written_aside(out) as file:
        file.write(page(settings, shown, rows, os.path.relpath(folder, out.parent)))


def measurement_files(shown: Iterable[Table], run: Mapping, measurements: Path) -> list[Path]:
    """The measurement files that the tables' cells read and that are there."""
    asked = {
        measurements / source
        for table in shown
        for cell in resolve.cells(table.spec, run)
        for seed in run["seeds"]
        for source in resolve.sources(cell, run["scale"], seed)
    }
    return sorted(path for path in asked if path.exists())


def measurement_rows(paths: Iterable[Path]) -> Iterable[dict]:
    """One row a value: the keys of MEASUREMENT_FIELDS, and ``packages``. A latency's mean, median … are rows each."""
    for path in paths:
        file = read_json(path)
        origin = file["provenance"]
        shared = {
            key: file.get(key) for key in ("dataset", "scale", "system", "seed", "decoding", "split", "sentences")
        }
        shared |= {key: origin.get(key) for key in ("commit", "dirty", "device", "fingerprint", "packages")}
        for metric, value in file["values"].items():
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


def page(run: Mapping, shown: Mapping[str, Table], rows: list[dict], folder: str) -> str:
    """The page as HTML; ``folder`` is where the tables' files lie, relative to it."""
    title = f"natlab: {run['run']}"
    links = "".join(f'<a href="#{name}">{escape(_name(table))}</a>' for name, table in shown.items())
    sections = "".join(_section(name, table, folder) for name, table in shown.items())
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p class="soft">Published tables of non-autoregressive text generation, measured again. In each cell the large figure
was measured in this run; below it stand the published one and the <span class="difference">difference</span>, measured
less published. {tables.EMPTY} means that nothing was measured.</p>
<nav>{links}<a href="#run">What was run</a><a href="#measurements">All measurements</a></nav>
</header>
{sections}<section id="run">
<h2>What was run</h2>
{_facts(run, rows)}
<p class="files">Configuration, checksums of the data, fingerprints of the models and versions of all packages:
<a href="provenance.json">provenance.json</a></p>
</section>
<section id="measurements">
<h2>All measurements</h2>
<p class="soft">Every value the tables were made from, and what stood in the same files; seed by seed in
<a href="measurements.csv">measurements.csv</a>.</p>
<details><summary>{len(rows)} values</summary>
<div class="scroll">{_all(rows)}</div>
</details>
</section>
</body>
</html>
"""


def _name(table: Table) -> str:
    return f"{table.spec['paper'].split(':')[0]} {table.spec['table']}"


def _section(name: str, table: Table, folder: str) -> str:
    spec = table.spec
    files = " · ".join(
        f'<a href="{escape(folder)}/{name}.{ending}">{text}</a>'
        for ending, text in (("csv", "CSV"), ("md", "Markdown"), ("tex", "LaTeX"))
    )
    below = "".join(f"<li>{escape(note)}</li>" for note in tables.notes(table))
    return f"""<section id="{name}">
<h2>{escape(spec["table"])}: {escape(spec["title"])}</h2>
<p class="soft">{escape(spec["paper"])}. {escape(spec.get("caption", ""))}</p>
<div class="scroll"><table class="results">
<thead><tr><th></th>{"".join(_head(column) for column in spec["columns"])}</tr></thead>
{_body(table)}</table></div>
<ul class="notes">{below}</ul>
<p class="files">{files}</p>
</section>
"""


def _head(column: Mapping) -> str:
    return f'<th>{escape(column["label"])}<span class="unit">{escape(column.get("unit", ""))}</span></th>'


def _body(table: Table) -> str:
    """Rows in one ``tbody`` a group."""
    spec, parts, group = table.spec, [], None
    for number, row in enumerate(spec["rows"]):
        if number == 0 or row.get("group") != group:
            group = row.get("group")
            parts.append(("</tbody>\n" if number else "") + "<tbody>")
            if group:
                parts.append(f'<tr><th class="group" colspan="{len(spec["columns"]) + 1}">{escape(group)}</th></tr>')
        cells = "".join(
            _cell(row, column, table.entries[number, column["key"]], table.run) for column in spec["columns"]
        )
        mark = ' class="ours"' if row.get("ours") else ""
        dataset = f'<span class="published">{escape(tables.standing(row, table.run))}</span>'
        parts.append(f"<tr{mark}><th>{escape(tables.label(row))}{dataset}</th>{cells}</tr>")
    return "\n".join(parts) + "\n</tbody>\n"


def _cell(row: Mapping, column: Mapping, entry: Entry, run: Mapping) -> str:
    value, plus_minus, spread = tables.measured_text(row, column, entry, run).partition(" ± ")
    measured = f'<span class="{"none" if entry.measured is None else "measured"}">{escape(value)}</span>'
    if plus_minus:
        measured += f'<span class="spread"> ± {escape(spread)}</span>'
    digits = column.get("digits", 2)
    below = "" if entry.published is None else escape(tables.number(entry.published, digits))
    if entry.difference is not None:
        below += f'<span class="difference">{tables.number(entry.difference, digits, signed=True)}</span>'
    if column.get("descriptive"):
        return f"<td>{below}</td>"
    return f'<td>{measured}<span class="published">{below}</span></td>'


def _facts(run: Mapping, rows: list[dict]) -> str:
    facts = {
        "Scale": run["scale"],
        "Seeds": ", ".join(map(str, run["seeds"])),
        "Datasets": ", ".join(f"{dataset} for {corpus}" for corpus, dataset in run["corpora"].items()),
        "Systems": _distinct(rows, "system"),
        "Device": _distinct(rows, "device"),
        "Commit": ", ".join(
            dict.fromkeys(
                f"{row['commit']}{' with uncommitted changes' if row['dirty'] else ''}" for row in rows if row["commit"]
            )
        ),
        "Packages": "; ".join(
            dict.fromkeys(
                ", ".join(f"{name} {version}" for name, version in (row["packages"] or {}).items()) for row in rows
            )
        ),
    }
    lines = "".join(
        f"<tr><th>{name}</th><td>{escape(text or tables.EMPTY)}</td></tr>\n" for name, text in facts.items()
    )
    return f'<table class="facts">\n{lines}</table>'


def _distinct(rows: list[dict], key: str) -> str:
    return ", ".join(dict.fromkeys(str(row[key]) for row in rows if row[key] is not None))


def _all(rows: list[dict]) -> str:
    """All values in a plain table, seed by seed."""
    keys = ("dataset", "system", "seed", "decoding", "split", "metric")
    head = "".join(f"<th>{key}</th>" for key in (*keys, "value", "unit"))
    body = "\n".join(
        "<tr>"
        + "".join(f"<td>{escape('' if row[key] is None else str(row[key]))}</td>" for key in keys)
        + f'<td class="value">{tables.number(row["value"], 3)}</td><td>{escape(row["unit"])}</td></tr>'
        for row in rows
    )
    return f'<table class="all"><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>'
