"""One page over all committed reports: what was measured where, at which scale, with which verdicts. The verb
``overview``."""

import argparse
import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from natlab.errors import UserError
from natlab.files import written_aside
from natlab.papers import spec as specs
from natlab.report import asked, page, record
from natlab.report.asked import Asked
from natlab.report.claims import read_csv
from natlab.report.page import claims, html, summary, words

PAPERS = ("mple", "axe", "oaxe", "codat", "aeqa", "natlab")  # as the page lists them
OURS = "natlab's own: what no paper has"


@dataclass(frozen=True)
class Report:
    """A run's report, as the page over all runs sees it.

    folder: its name; of: what it asks for; provenance: what its numbers rest on; cells: how many cells of each table
    and figure were measured; verdicts: how many parts of each paper's claims have which verdict.
    """

    folder: str
    of: Asked
    provenance: Mapping
    cells: dict[str, int]
    verdicts: dict[str, Counter]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``overview``."""
    parser.add_argument("reports", nargs="?", type=Path, default=Path("reports"), help="the folder of reports")
    parser.add_argument("--papers", type=Path, default=Path("config/papers"), help="the folder of table specs")


def run(args: argparse.Namespace) -> None:
    """Write ``index.html`` to the folder of reports."""
    found = [read(path.parent, args.papers) for path in sorted(args.reports.glob("*/run.json"))]
    if not found:
        raise UserError(f"{args.reports}: no report, no */run.json; run the workflow first, or name another folder")
    titles = {
        f"{paper}/{path.stem}": specs.load(path)
        for paper in PAPERS
        for path in sorted((args.papers / paper).glob("*.yaml"), key=_in_order)
        if "claims" not in path.stem
    }
    with written_aside(args.reports / page.NAME) as file:
        file.write(html.document("natlab: all runs", _contents(found, titles), _body(found, titles)))
    print(args.reports / page.NAME)


def read(folder: Path, papers: Path) -> Report:
    """A run's report, of its folder."""
    of = asked.read(specs.load_run(folder / "run.json"), papers)
    cells = {}
    for kind, named in (("tables", of.tables), ("figures", of.figures)):
        for name in named:
            with open(f"{html.path(folder, kind, name)}.csv", encoding="utf-8", newline="") as file:
                cells[name] = sum(line["measured"] != "" for line in csv.DictReader(file))
    verdicts = {name: claims.counted(read_csv(f"{html.path(folder, 'claims', name)}.csv")) for name in of.claims}
    return Report(folder.name, of, record.provenance(folder), cells, verdicts)


def _in_order(path: Path) -> tuple[str, int, str]:
    """Tables before figures, 2 before 10."""
    digits = "".join(filter(str.isdigit, path.stem))
    kind = "1" if path.stem.startswith("table") else "2" if path.stem.startswith("figure") else "3"
    return kind, int(digits or 0), path.stem


def _body(found: list[Report], titles: Mapping[str, Mapping]) -> str:
    body = f"""<section id="claims">
<h1>natlab: all runs</h1>
<p class="lead">Published results of non-autoregressive text generation, measured again. Each run has a report: tables
and figures with the published values beside the measured ones, and a verdict on each part of the papers' claims.</p>
<h2 class="part">What became of the papers' claims</h2>
{_claims(found)}</section>
<section id="measured">
<h2>What was measured where</h2>
<p class="soft">Behind each run the number of cells it measured of a table or figure.</p>
{"".join(_paper(name, found, of) for name, of in _by_paper(titles).items())}</section>
<section id="runs">
<h2>Runs</h2>
{_runs(found)}</section>
"""
    return body + words.section(body)


def _contents(found: list[Report], titles: Mapping[str, Mapping]) -> html.Contents:
    return {
        "": {"#claims": "Claims and verdicts", "#runs": "Runs", "#words": "Words"},
        "What was measured where": {f"#{paper}": _short(name) for paper, name in _anchors(titles).items()},
        "Reports": {f"{report.folder}/{page.NAME}": report.folder for report in found},
    }


def _by_paper(titles: Mapping[str, Mapping]) -> dict[str, dict[str, Mapping]]:
    """Specs by name, by the paper as it is named in full; ours all under one."""
    found: dict[str, dict[str, Mapping]] = defaultdict(dict)
    for name, spec in titles.items():
        found[spec["paper"] if specs.of_paper(spec) else OURS][name] = spec
    return found


def _anchors(titles: Mapping[str, Mapping]) -> dict[str, str]:
    """Papers by where they stand on the page."""
    return {_anchor(paper): paper for paper in _by_paper(titles)}


def _anchor(paper: str) -> str:
    return f"of-{_short(paper)}".lower().replace(" ", "-")


def _short(paper: str) -> str:
    return paper.split(":")[0]


def _link(report: Report, name: str) -> str:
    return f'<a href="{report.folder}/{page.NAME}#{html.dotted(name)}">{escape(report.folder)}</a>'


def _claims(found: Iterable[Report]) -> str:
    """The verdicts on each paper's claims, run by run."""
    lines = sorted(
        (PAPERS.index(name.partition("/")[0]), _short(report.of.claims[name]["paper"]), _link(report, name), counts)
        for report in found
        for name, counts in report.verdicts.items()
    )
    cells = ((words.marked(paper), link, claims.badges(counts)) for _, paper, link, counts in lines)
    return html.listing("Verdicts", ("paper", "run", "parts of its claims"), cells)


def _runs(found: Iterable[Report]) -> str:
    lines = (
        (
            f'<a href="{report.folder}/{page.NAME}">{escape(report.folder)}</a>',
            escape("; ".join(summary.data(report.of.settings, report.provenance))),
            escape(summary.scale(report.provenance)),
            str(len(report.provenance["models"]) or ""),
            str(len(report.of.settings["seeds"])),
        )
        for report in found
    )
    return html.listing("Runs", ("run", "data", "size and training", "models", "seeds"), lines)


def _paper(paper: str, found: list[Report], titles: Mapping[str, Mapping]) -> str:
    """The tables and figures of a paper, and where they were measured."""
    lines = []
    for name, spec in titles.items():
        where = [f"{_link(report, name)} {report.cells[name]}" for report in found if report.cells.get(name)]
        title = f"{escape(spec['table'])}: {words.marked(spec['title'])}"
        lines.append((title, ", ".join(where) or '<span class="none">nowhere yet</span>'))
    listing = html.listing(f"Tables and figures of {paper}", ("table or figure", "runs"), lines)
    return f'<h3 class="part" id="{_anchor(paper)}">{words.marked(paper)}</h3>\n{listing}'
