"""The page over all runs: what was measured where, and the verdicts."""

import csv
import re
import shutil
from collections import Counter

import pytest
import yaml

from natlab import cli
from natlab.errors import UserError
from natlab.report import overview


def written(whole, *more):
    reports = whole.report.parent
    assert cli.main(["overview", str(reports), "--papers", str(whole.papers), *more]) == 0
    return (reports / "index.html").read_text(encoding="utf-8")


def lines(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_it_counts_the_cells_that_each_run_measured(changed):
    again = changed.report.with_name("again")
    shutil.copytree(changed.report, again)
    (table,) = (path for path in (again / "tables").glob("*.csv") if "table1" in path.name)
    kept = [line | {"measured": ""} if line["row"] == "KD" else line for line in lines(table)]
    with open(table, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, kept[0])
        writer.writeheader()
        writer.writerows(kept)
    page = written(changed)
    for folder in (changed.report, again):
        measured = sum(line["measured"] != "" for line in lines(folder / "tables" / table.name))
        link = re.escape(f'<a href="{folder.name}/index.html#{table.stem}">{folder.name}</a>')
        assert re.search(rf"{link} {measured}\b", page)


def test_its_verdicts_are_those_of_the_claims(whole):
    page = written(whole)
    (claims,) = (whole.report / "claims").glob("*.csv")
    row = page.split(f'index.html#{claims.stem}">')[1].split("</tr>")[0]
    shown = dict(re.findall(r">(holds|undecided|refuted|not measured) (\d+)<", row))
    assert shown == {verdict: str(n) for verdict, n in Counter(line["verdict"] for line in lines(claims)).items()}


def test_what_no_run_measured_stands_there_too(changed):
    (name, spec) = next(iter(overview.read(changed.report, changed.papers).of.tables.items()))
    other = changed.papers / f"{name}.yaml"
    other.with_name("table99.yaml").write_text(
        yaml.safe_dump(dict(spec) | {"table": "Table 99", "title": "Of <nobody>"}), encoding="utf-8"
    )
    row = written(changed).split("Table 99: Of &lt;nobody&gt;")[1].split("</tr>")[0]
    assert "nowhere yet" in row and "href" not in row


def test_a_folder_without_reports_is_refused_in_one_line(tmp_path, whole, capsys):
    assert cli.main(["overview", str(tmp_path), "--papers", str(whole.papers)]) == 2
    assert re.fullmatch(r"natlab overview: \S+: no report, no \*/run\.json; [^\n]+\n", capsys.readouterr().err)


def test_a_report_without_provenance_is_refused(changed):
    (changed.report / "provenance.json").unlink()
    with pytest.raises(UserError, match="provenance.json: no such file; make the run's provenance first"):
        overview.read(changed.report, changed.papers)


def test_tables_stand_before_figures_and_2_before_10(tmp_path):
    names = ["figure3", "table10", "speed", "table2", "figure12"]
    ordered = sorted((tmp_path / f"{name}.yaml" for name in names), key=overview._in_order)
    assert [path.stem for path in ordered] == ["table2", "table10", "figure3", "figure12", "speed"]
