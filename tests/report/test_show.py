"""A table in the terminal, and where its run's report lies."""

import argparse

import pytest

from natlab.errors import UserError
from natlab.report import show


def test_it_prints_the_table_and_where_the_report_lies(changed, capsys):
    path = changed.report / "tables/p.table1.md"
    show.run(argparse.Namespace(table=str(path)))
    printed = capsys.readouterr().out
    assert printed.startswith("Table 1: Losses of NATs ") and "| KD " in printed
    assert printed.endswith(f"Report: {changed.report}/index.html\n")
    (changed.report / "index.html").unlink()
    show.run(argparse.Namespace(table=str(path)))
    assert "Report:" not in capsys.readouterr().out


def test_no_table_is_shown_with_what_to_do(tmp_path):
    with pytest.raises(UserError) as refused:
        show.run(argparse.Namespace(table=f"{tmp_path}/none.md"))
    problem = "no such table; run the workflow first, or see reports/ for those there are"
    assert str(refused.value) == f"{tmp_path}/none.md: {problem}"


def test_the_arguments():
    parser = argparse.ArgumentParser()
    show.add_arguments(parser)
    assert vars(parser.parse_args(["t.md"])) == {"table": "t.md"}
