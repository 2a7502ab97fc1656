"""A committed report made again of its record: without its models, without torch, in seconds. The verb ``rebuild``."""

import argparse
from functools import partial
from pathlib import Path

from natlab.errors import UserError
from natlab.papers import spec as specs
from natlab.report import asked, claims, figures, page, record, significance, tables
from natlab.report.filled import build
from natlab.report.page import html


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``rebuild``."""
    parser.add_argument("reports", nargs="+", type=Path, metavar="report", help="a run's report, reports/<run>")
    parser.add_argument("--papers", type=Path, default=Path("config/papers"), help="the folder of table specs")


def run(args: argparse.Namespace) -> None:
    """Make each of the reports again."""
    for folder in args.reports:
        rebuild(folder, args.papers)
        print(folder / page.NAME)


def rebuild(folder: Path, papers: Path) -> None:
    """Make a report's tables, figures, claims and page again, in place, of its record and the specs below ``papers``;
    how seeds deviate say the reports beside it. UserError where it is no report, or has no record."""
    if not (folder / "run.json").exists():
        raise UserError(f"{folder}: no run.json; name a run's report, reports/<run>")
    of = asked.read(specs.load_run(folder / "run.json"), papers)
    with record.unpacked(folder) as results:
        measurements, corpora = results / "measurements", results / "corpora"
        filled = partial(build, run=of.settings, measurements=measurements, corpora=corpora)
        for name, spec in of.tables.items():
            table = significance.compared(filled(spec), measurements, corpora)
            tables.write(table, html.path(folder, "tables", name))
        for name, spec in of.figures.items():
            figures.write(filled(spec), html.path(folder, "figures", name), asked.surface(spec, of.settings, results))
        for name, stated in of.claims.items():
            about = of.about(stated)
            tested = claims.tested(stated, about, of.settings, of.labels, measurements, corpora, folder.parent)
            claims.write(stated, tested, of.settings, html.path(folder, "claims", name))
        page.write(of, results, folder, results)
