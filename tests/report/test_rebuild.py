"""A report made again of its record is what the run's verbs wrote, byte for byte."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.report.whole import HOSTILE, SENTENCE

from natlab import cli
from natlab.report import rebuild, record

# rebuilds reports, and says how that ended and which packages it has imported
PROGRAM = """
import json, sys
from natlab import cli
done = cli.main(["rebuild", "--papers", *sys.argv[1:]])
print(json.dumps([done, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def clone(whole, folder):
    """What git keeps of a run: its report without curves, and the specs. Of what was made only a damaged rest."""
    whole = whole.copy(folder)
    shutil.rmtree(whole.results)
    shutil.rmtree(whole.report / "curves")
    for kind in ("tables", "figures", "claims"):
        for path in (whole.report / kind).iterdir():
            path.write_text("damaged", encoding="utf-8")
    (whole.report / "index.html").unlink()
    (whole.report / "measurements.csv").unlink()
    return whole


def test_it_is_what_the_verbs_wrote_byte_for_byte_and_twice_without_torch(whole, tmp_path):
    copy = clone(whole, tmp_path)
    arguments = [sys.executable, "-c", PROGRAM, str(copy.papers), str(copy.report)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    said, found = done.stdout.splitlines()
    status, imported = json.loads(found)
    assert (status, said) == (0, f"{copy.report}/index.html") and "matplotlib" in imported
    assert not {"torch", "fairseq", "snakemake"} & set(imported)
    for again in (False, True):
        if again:
            rebuild.rebuild(copy.report, copy.papers)
        found, before = copy.files(), whole.files()
        assert found.keys() == before.keys()
        assert [name for name in before if found[name] != before[name]] == []
    assert {path.name for path in copy.root.iterdir()} == {"config", "reports"}


def test_texts_from_outside_stand_as_text(whole):
    page = (whole.report / "index.html").read_text("utf-8")
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;double&quot;" in page
    # within JSON, where quotes are JSON's and no tag may begin
    assert json.dumps(HOSTILE, ensure_ascii=False)[1:-1].replace("<", "\\u003c") in page
    assert "\u2028" in SENTENCE and "\u2028" in page
    assert "\u2028" in (whole.report / "tables/q.table2.csv").read_text("utf-8")


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        ("run.json", "reports/small: no run.json; name a run's report, reports/<run>"),
        (record.NAME, f"{record.NAME}: no such file; the run's measurements were not kept, run it again"),
    ],
)
def test_what_is_no_report_or_has_no_record_is_refused_in_one_line(whole, tmp_path, capsys, gone, says):
    copy = whole.copy(tmp_path)
    page = (copy.report / "index.html").read_bytes()
    (copy.report / gone).unlink()
    assert cli.main(["rebuild", "--papers", str(copy.papers), str(copy.report)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("natlab rebuild: ") and line.endswith(says)
    assert (copy.report / "index.html").read_bytes() == page


def test_several_reports_are_made_again_of_the_specs_of_a_clone(monkeypatch, capsys):
    made = []
    monkeypatch.setattr(rebuild, "rebuild", lambda *given: made.append(given))
    assert cli.main(["rebuild", "reports/a", "reports/b"]) == 0
    assert made == [(Path(f"reports/{name}"), Path("config/papers")) for name in "ab"]
    assert capsys.readouterr().out.splitlines() == ["reports/a/index.html", "reports/b/index.html"]
