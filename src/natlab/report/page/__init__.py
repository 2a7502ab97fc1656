"""One static HTML page a run, and all its measurements as one tidy CSV beside it. The verb ``report``.

The page shows tables, figures and claims as the folders beside it have them, holds the figures itself, needs no other
file and asks no network for anything.
"""

import argparse
import csv
from base64 import b64encode
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from natlab.errors import UserError
from natlab.files import read_json, written_aside
from natlab.papers import cells as resolve
from natlab.papers import claims as claimed
from natlab.papers import spec as specs
from natlab.report import claims, tables
from natlab.report.claims import Result
from natlab.report.filled import Entry, Table

MEASUREMENT_FIELDS = (
    "dataset scale system seed decoding split metric value unit sentences signature commit dirty device fingerprint"
).split()

STYLE = """
:root { --ink: #1c2128; --soft: #66707c; --line: #d8dde3; --ground: #ffffff; --band: #f5f7f9; --mark: #0b62b0;
  --good: #1a7f37; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e8ee; --soft: #97a2ae; --line: #363e48; --ground: #14181d; --band: #1b2128; --mark: #77b6f2;
    --good: #5fd07f; --bad: #ff8a80; }
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
.results .text { text-align: left; white-space: normal; min-width: 6rem; }
.text .measured { font-weight: 400; }
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
figure { margin: .9rem 0 .6rem; }
figure img { display: block; max-width: 100%; height: auto; background: #ffffff; padding: .5rem; border-radius: 4px; }
.claims { border-bottom: 1px solid var(--line); width: 100%; }
.claims th, .claims td { text-align: left; vertical-align: top; padding: .35rem 1.2rem .35rem 0; font-size: .9rem; }
.claims thead th { color: var(--soft); font-weight: 600; font-size: .8rem; border-bottom: 1px solid var(--line); }
.claims tbody th { font-weight: 400; min-width: 15rem; }
.claims td.number { text-align: right; white-space: nowrap; }
.claim { margin: 1.2rem 0 .3rem; font-weight: 600; }
.verdict { white-space: nowrap; font-weight: 600; }
.holds { color: var(--good); }
.refuted { color: var(--bad); }
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``report``."""
    parser.add_argument("--run", dest="run_file", required=True, help="the run's file, config/runs/<run>.yaml")
    parser.add_argument("--measurements", default="results/measurements", help="the folder of measurements")
    parser.add_argument("--papers", default="config/papers", help="the folder of table specs")
    parser.add_argument(
        "--out", required=True, help="the page to write, beside tables/, figures/ and claims/; so is measurements.csv"
    )


def run(args: argparse.Namespace) -> None:
    """Write the page and ``measurements.csv`` beside it."""
    settings = specs.load_run(args.run_file)
    out, papers = Path(args.out), Path(args.papers)
    shown = {kind: _read(kind, settings, papers, out.parent) for kind in ("tables", "figures")}
    stated = {name: claimed.load(papers / f"{name}.yaml") for name in settings.get("claims", ())}
    results = {name: claims.read_csv(_made(out.parent, "claims", name, "csv")) for name in stated}
    pictures = {name: _made(out.parent, "figures", name, "png").read_bytes() for name in shown["figures"]}
    cells = [cell for of in shown.values() for table in of.values() for cell in resolve.cells(table.spec, settings)]
    for of in stated.values():
        cells += claimed.cells(of, settings)
        for name in claimed.tables_named(of):
            cells += resolve.cells(specs.load(papers / f"{name}.yaml"), settings)
    rows = list(measurement_rows(measurement_files(cells, settings, Path(args.measurements))))
    with written_aside(out.with_name("measurements.csv")) as file:
        writer = csv.DictWriter(file, MEASUREMENT_FIELDS, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    sections = {
        **{_id(name): (_name(table), _section(name, table)) for name, table in shown["tables"].items()},
        **{
            _id(name): (_name(figure), _figure(name, figure, pictures[name]))
            for name, figure in shown["figures"].items()
        },
        **{_id(name): (_claims_name(of), _claims(name, of, results[name], settings)) for name, of in stated.items()},
    }
    with written_aside(out) as file:
        file.write(page(settings, sections, rows))


def _made(folder: Path, kind: str, name: str, ending: str) -> Path:
    """A table's, figure's or claims' file in the run's report; UserError where it has not been made."""
    path = folder / kind / f"{_id(name)}.{ending}"
    if not path.exists():
        raise UserError(f"{path}: no such file; make the run's {kind} first")
    return path


def _read(kind: str, settings: dict, papers: Path, folder: Path) -> dict[str, Table]:
    """The run's tables or figures, by name, as their CSVs have them."""
    return {
        name: tables.read_csv(_made(folder, kind, name, "csv"), specs.load(papers / f"{name}.yaml"), settings)
        for name in settings.get(kind, ())
    }


def measurement_files(cells: Iterable[resolve.Cell], run: Mapping, measurements: Path) -> list[Path]:
    """The measurement files that the cells read and that are there."""
    named = {
        measurements / source
        for cell in cells
        for seed in run["seeds"]
        for source in resolve.sources(cell, run["scale"], seed)
    }
    return sorted(path for path in named if path.exists())


def measurement_rows(paths: Iterable[Path]) -> Iterable[dict]:
    """One row a number: the keys of MEASUREMENT_FIELDS, and ``packages``. A latency's mean, median … are rows each; a
    text has none."""
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


def page(run: Mapping, sections: Mapping[str, tuple[str, str]], rows: list[dict]) -> str:
    """The page as HTML, of ``sections``, (name, HTML) by anchor, and all values."""
    title = f"natlab: {run['run']}"
    links = "".join(f'<a href="#{anchor}">{escape(name)}</a>' for anchor, (name, _) in sections.items())
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
{"".join(section for _, section in sections.values())}<section id="run">
<h2>What was run</h2>
{_facts(run, rows)}
<p class="files">Configuration, checksums of the data, fingerprints of the models and versions of all packages:
<a href="provenance.json">provenance.json</a></p>
</section>
<section id="measurements">
<h2>All measurements</h2>
<p class="soft">Every value that tables, figures and claims were made from, and what stood in the same files; seed by
seed in <a href="measurements.csv">measurements.csv</a>.</p>
<details><summary>{len(rows)} values</summary>
<div class="scroll">{_all(rows)}</div>
</details>
</section>
</body>
</html>
"""


def _id(name: str) -> str:
    """<paper>.<table>: an anchor on the page, and how files are named."""
    return name.replace("/", ".")


def _paper(spec: Mapping) -> str:
    return spec["paper"].split(":")[0]


def _name(table: Table) -> str:
    return f"{_paper(table.spec)} {table.spec['table']}"


def _claims_name(stated: Mapping) -> str:
    return f"{_paper(stated)} claims"


def _files(kind: str, name: str, endings: Mapping[str, str]) -> str:
    links = (f'<a href="{kind}/{_id(name)}.{ending}">{text}</a>' for ending, text in endings.items())
    return f'<p class="files">{" · ".join(links)}</p>'


def _notes(notes: Iterable[str]) -> str:
    return f'<ul class="notes">{"".join(f"<li>{escape(note)}</li>" for note in notes)}</ul>'


def _section(name: str, table: Table) -> str:
    return f"""<section id="{_id(name)}">
{_title(table)}
{_grid(table)}
{_notes(tables.notes(table))}
{_files("tables", name, {"csv": "CSV", "md": "Markdown", "tex": "LaTeX"})}
</section>
"""


def _figure(name: str, figure: Table, picture: bytes) -> str:
    """A figure with the picture in the page, its values folded away below."""
    title = escape(figure.spec["title"])
    return f"""<section id="{_id(name)}">
{_title(figure)}
<figure><img alt="{title}" src="data:image/png;base64,{b64encode(picture).decode()}"></figure>
<details><summary>Its values</summary>
{_grid(figure)}
{_notes(tables.notes(figure))}
</details>
{_files("figures", name, {"png": "PNG", "pdf": "PDF", "csv": "CSV", "md": "Markdown"})}
</section>
"""


def _claims(name: str, stated: Mapping, results: list[Result], run: Mapping) -> str:
    """Each claim with its parts, their verdicts, and what these rest on."""
    style = {claims.HOLDS: "holds", claims.REFUTED: "refuted", claims.UNDECIDED: "none", claims.UNMEASURED: "none"}
    heads = "".join(f"<th>{text}</th>" for text in claims.HEADS)
    parts = []
    for claim in stated["claims"]:
        lines = ""
        for part in results:
            if part.claim == claim["id"]:
                says, verdict, measured, *numbers, rests_on, seeds = map(escape, claims.shown(part))
                numbers = "".join(f'<td class="number">{number}</td>' for number in numbers)
                lines += (
                    f'<tr><th>{says}</th><td class="verdict {style[part.verdict]}">{verdict}</td><td>{measured}</td>'
                    f"{numbers}<td>{rests_on}</td><td>{seeds}</td></tr>\n"
                )
        parts.append(
            f'<p class="claim">({claim["id"]}) {escape(claim["claim"])} <span class="spread">{escape(claim["source"])}'
            f'</span></p>\n<div class="scroll"><table class="claims"><thead><tr>{heads}</tr></thead>\n'
            f"<tbody>\n{lines}</tbody></table></div>\n"
        )
    return f"""<section id="{_id(name)}">
<h2>{escape(stated["title"])}</h2>
<p class="soft">{escape(stated["paper"])}.</p>
{"".join(parts)}{_notes(claims.notes(results, run))}
{_files("claims", name, {"csv": "CSV", "md": "Markdown"})}
</section>
"""


def _title(table: Table) -> str:
    spec = table.spec
    return f"""<h2>{escape(spec["table"])}: {escape(spec["title"])}</h2>
<p class="soft">{escape(spec["paper"])}. {escape(spec.get("caption", ""))}</p>"""


def _grid(table: Table) -> str:
    """A table's head and body."""
    head = "".join(_head(column) for column in table.spec["columns"])
    return f"""<div class="scroll"><table class="results">
<thead><tr><th></th>{head}</tr></thead>
{_body(table)}</table></div>"""


def _head(column: Mapping) -> str:
    return (
        f'<th{_text(column)}>{escape(column["label"])}<span class="unit">{escape(column.get("unit", ""))}</span></th>'
    )


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
    text = tables.measured_text(row, column, entry, run)
    value, plus_minus, spread = (text, "", "") if column.get("text") else text.partition(" ± ")
    measured = f'<span class="{"none" if entry.measured is None else "measured"}">{escape(value)}</span>'
    if plus_minus:
        measured += f'<span class="spread"> ± {escape(spread)}</span>'
    digits = column.get("digits", 2)
    below = "" if entry.published is None else escape(tables.number(entry.published, digits))
    if entry.difference is not None:
        below += f'<span class="difference">{tables.number(entry.difference, digits, signed=True)}</span>'
    if column.get("descriptive"):
        return f"<td{_text(column)}>{below}</td>"
    return f'<td{_text(column)}>{measured}<span class="published">{below}</span></td>'


def _text(column: Mapping) -> str:
    return ' class="text"' if column.get("text") else ""


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
