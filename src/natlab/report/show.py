"""A table in the terminal. The verb ``show``."""

import argparse
from pathlib import Path

from natlab.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``show``."""
    parser.add_argument("table", help="a table's Markdown, reports/<run>/tables/<paper>.<table>.md")


def run(args: argparse.Namespace) -> None:
    """Print the table, and where its run's report lies."""
    path = Path(args.table)
    if not path.exists():
        raise UserError(f"{path}: no such table; run the workflow first, or see reports/ for those there are")
    print(path.read_text(encoding="utf-8").removeprefix("## "))
    report = path.parent.parent / "index.html"
    if report.exists():
        print(f"Report: {report}")
