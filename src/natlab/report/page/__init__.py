"""A run's report: one static HTML page, and all its measurements as one tidy CSV beside it. The verb ``report``.

The page shows tables, figures and claims as the folders beside it have them, needs no network, and holds all but what
grows with the test set: sentences and training curves lie in files beside it, loaded when asked for.
"""

import argparse
from pathlib import Path

from natlab import jobs
from natlab.errors import UserError
from natlab.files import written_aside
from natlab.papers import spec as specs
from natlab.report import asked, record, tables
from natlab.report.asked import Asked
from natlab.report.claims import read_csv
from natlab.report.page import claims, corpora, curves, evidence, grids, html, sentences, summary, words

NAME = "index.html"
STYLES, SCRIPTS = ("sentences.css", "corpora.css"), ("sentences.js",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``report``."""
    parser.add_argument("--run", dest="run_file", required=True, help="the run's file, config/runs/<run>.yaml")
    parser.add_argument("--results", default="results", help="the folder of measurements, models and corpora")
    parser.add_argument("--papers", default="config/papers", help="the folder of table specs")
    parser.add_argument(
        "--out", required=True, help="the report's folder, with tables/, figures/, claims/ and provenance.json"
    )


def run(args: argparse.Namespace) -> None:
    """Write the page, what it loads, ``measurements.csv`` and the record that all of it can be made from again."""
    of, results, folder = (
        asked.read(specs.load_run(args.run_file), Path(args.papers)),
        Path(args.results),
        Path(args.out),
    )
    record.pack(of, results, folder)
    with record.unpacked(folder) as kept:
        write(of, kept, folder, results)


def write(of: Asked, results: Path, folder: Path, texts: Path) -> None:
    """Write a run's page to its report's folder, of the tables, figures and claims that lie there, and of what lies
    below ``results``; its sentences of what lies below ``texts``, since a record has not all. UserError where a table,
    figure or claims have not been made."""
    settings, measurements = of.settings, results / "measurements"
    shown = {
        name: tables.read_csv(_made(folder, kind, name, "csv"), spec, settings)
        for kind, specs_of in (("tables", of.tables), ("figures", of.figures))
        for name, spec in specs_of.items()
    }
    verdicts = {name: read_csv(_made(folder, "claims", name, "csv")) for name in of.claims}
    provenance = record.provenance(folder)
    files = sorted(path for path in (measurements / source for source in of.keys()) if path.exists())
    evidence.write_csv(evidence.rows(files), folder / "measurements.csv")
    origins = evidence.Evidence(settings, measurements, of.labels)
    known = {name: origins.add(name, table.spec) for name, table in shown.items()}
    parts = [
        summary.section(
            of,
            shown,
            verdicts,
            provenance,
            jobs.spent(results / jobs.folder(settings["run"])),
            (folder / "README.md").exists(),
        ),
        _group("Claims", [claims.section(name, of.claims[name], verdicts[name], settings) for name in of.claims]),
        _group("Tables", [grids.section(name, shown[name], known[name]) for name in of.tables]),
        _group(
            "Figures",
            [
                grids.figure(name, shown[name], _made(folder, "figures", name, "svg").read_bytes(), known[name])
                for name in of.figures
            ],
        ),
        curves.section(curves.write(record.curves(provenance), results, folder), of.labels),
        sentences.section(list(sentences.outputs_of(of.readings()))),
        corpora.section(settings, of.readings(), results, labels=of.labels),
    ]
    sentences.write(settings, of.readings(), texts, folder, labels=of.labels, claimed=of.subjects())
    body = "".join(parts)
    body += words.section(body) + _dialog()
    body += html.data("evidence", origins.value())
    body += html.data("copies", {html.dotted(name): grids.copies(table) for name, table in shown.items()})
    with written_aside(folder / NAME) as file:
        file.write(html.document(f"natlab: {settings['run']}", _contents(of, body), body, STYLES, SCRIPTS))


def _made(folder: Path, kind: str, name: str, ending: str) -> Path:
    """A table's, figure's or claims' file in the run's report; UserError where it has not been made."""
    path = html.path(folder, kind, name).with_name(f"{html.dotted(name)}.{ending}")
    if not path.exists():
        raise UserError(f"{path}: no such file; make the run's {kind} first")
    return path


def _group(title: str, sections: list[str]) -> str:
    return f'<section id="{title.lower()}">\n<h2>{title}</h2>\n{"".join(sections)}</section>\n' if sections else ""


def _dialog() -> str:
    """Where a value's origin is shown."""
    return """<dialog id="origin" aria-label="Where a value comes from">
<button type="button" class="close">Close</button>
<div id="origin-shown"></div>
</dialog>
"""


def _contents(of: Asked, body: str) -> html.Contents:
    """Links to all parts of the page."""
    shown = {
        title: {
            f"#{html.dotted(name)}": f"{html.paper(spec)} {'claims' if 'claims' in spec else spec['table']}"
            for name, spec in specs_of.items()
        }
        for title, specs_of in (("Claims", of.claims), ("Tables", of.tables), ("Figures", of.figures))
    }
    more = {"curves": "Training curves", "sentences": "Sentences", "data": "Data", "words": "Words"}
    further = {f"#{anchor}": title for anchor, title in more.items() if f'id="{anchor}"' in body}
    return {"": {"#summary": "Summary"}, **shown, "More": {**further, f"../{NAME}": "All runs"}}
