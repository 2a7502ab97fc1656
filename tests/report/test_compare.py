"""Two reports beside each other: which values differ by more than seeds do, and how that is told."""

import csv
import io
import json
import subprocess
import sys
from html.parser import HTMLParser
from math import sqrt

import pytest

from natlab import cli
from natlab.errors import UserError
from natlab.report import compare as shown
from natlab.report.differences import Kind, compare, read
from natlab.report.page.evidence import FIELDS

BASE = {
    "dataset": "ds",
    "scale": "demo",
    "system": "nat",
    "seed": 1,
    "decoding": "argmax",
    "split": "test",
    "metric": "bleu",
    "unit": "BLEU",
    "sentences": 100,
    "signature": "nrefs:1",
    "commit": "c0ffee0000",
    "dirty": "False",
    "device": "Some CPU",
    "fingerprint": "f1",
}
RUN = {"run": "r", "scale": "demo", "seeds": [1]}
# seeds of this one differ by 2 in BLEU: a standard deviation of √2
SEEDS = [{"value": 10.0}, {"value": 12.0, "seed": 2}]
S = sqrt(2)


def csv_of(values):
    file = io.StringIO()
    writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(BASE | value for value in values)
    return file.getvalue()


@pytest.fixture
def reports(tmp_path, monkeypatch):
    """Writes a report of these values, in the folder of reports where the test works."""

    def write(name, values, run=RUN, provenance=None):
        folder = tmp_path / "reports" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "measurements.csv").write_text(csv_of(values), encoding="utf-8")
        (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
        if provenance is not None:
            (folder / "provenance.json").write_text(json.dumps(provenance), encoding="utf-8")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return write


def compared(a="a", b="b"):
    return compare(read(a, "reports"), read(b, "reports"), "reports")


def kinds(found):
    return {value.key.metric: value.kind for value in found.values}


def printed(capsys, *arguments):
    assert cli.main(["compare", *arguments]) == 0
    return capsys.readouterr().out


def test_nothing_differs_between_a_report_and_itself(reports, capsys):
    reports("a", SEEDS, provenance={"configuration": {"scale": {"updates": 5}}})
    first, *others = printed(capsys, "a", "reports/a").splitlines()
    assert first == "Nothing differs: 1 values in both."
    assert [line[:3] for line in others] == ["A  ", "B  ", "Mod"]


@pytest.mark.parametrize(
    ("apart", "kind"), [(2.79 * S, Kind.WITHIN), (2.81 * S, Kind.BEYOND), (-2.81 * S, Kind.BEYOND)]
)
def test_single_values_differ_beyond_2_8_deviations_of_seeds(reports, apart, kind):
    reports("of_seeds", SEEDS)
    reports("a", [{"value": 30.0}])
    reports("b", [{"value": 30.0 + apart}])
    [value] = compared().values
    assert value.kind is kind and value.deviation == pytest.approx(S) and not value.elsewhere


def test_means_of_seeds_differ_beyond_1_96_standard_errors(reports):
    """Of 2 and 3 seeds that is 1.96 s √(1/2 + 1/3), for one s over all that was measured: 1 within A, 4 within B."""
    a, b = [30.0, 31.0], [40.0, 42.0, 44.0]
    reports("a", [{"value": value, "seed": seed} for seed, value in enumerate(a)])
    reports("b", [{"value": value, "seed": seed} for seed, value in enumerate(b, start=10)])
    [value] = compared().values
    s = sqrt((0.5 + 8) / 3)
    assert (value.a, value.b) == (30.5, 42.0)
    assert value.deviation * 2.8 == pytest.approx(1.96 * s * sqrt(1 / 2 + 1 / 3), rel=0.02)
    assert value.deviations == pytest.approx(11.5 / (s * sqrt(5 / 12)))


def test_one_more_seed_is_no_difference(reports, capsys):
    """Both have seeds 2 and 3, of which B's third one, though far off, says nothing."""
    both = [{"value": 10.0, "seed": 2}, {"value": 12.0, "seed": 3}]
    reports("a", [*both, {"value": 50.0, "seed": 1}])
    reports("b", [*both, {"value": 90.0, "seed": 10}])
    [value] = compared().values
    assert (value.a, value.b, value.kind) == (11.0, 11.0, Kind.SAME)
    out = printed(capsys, "a", "b")
    assert "seeds 1, 2, 3;" in out and "seeds 2, 3, 10;" in out and "means over those that both have" in out


def test_a_deviation_of_another_dataset_stands_in_with_a_mark(reports, capsys):
    reports("of_seeds", SEEDS)
    reports("a", [{"value": 30.0, "dataset": "other"}])
    reports("b", [{"value": 40.0, "dataset": "other"}])
    assert compared().values[0].elsewhere
    out = printed(capsys, "a", "b")
    assert " 1.4*" in out and "*: the largest s of other datasets" in out


def test_a_report_counts_once_for_the_deviation(reports):
    """Of three, two are the same: their pooled variance is (2 + 32) / 2."""
    reports("a", SEEDS)
    reports("same", SEEDS)
    reports("b", [{"value": 10.0}, {"value": 18.0, "seed": 2}])
    assert compared().values[0].deviation == pytest.approx(sqrt(17 / 2))


def test_what_differs_is_told_apart(reports):
    reports("of_seeds", SEEDS)
    one = {
        "same": (5.25, 5.25, "BLEU"),
        "rounding": (5.25, 5.25 * (1 + 1e-8), "BLEU"),
        "parameters": (83_712_512.0, 83_712_513.0, "parameters"),
        "no_deviation": (5.25, 5.26, "BLEU"),
        "latency/argmax/mean": (5.25, 5.26, "ms"),
        "no_number": (5.25, float("nan"), "BLEU"),
        "neither_a_number": (float("nan"), float("nan"), "BLEU"),
    }
    for name, side in (("a", 0), ("b", 1)):
        values = [{"metric": metric, "value": of[side], "unit": of[2]} for metric, of in one.items()]
        values.append({"value": (30.0, float("nan"))[side]})
        reports(name, values)
    found = compared()
    assert kinds(found) == {
        "same": Kind.SAME,
        "rounding": Kind.ROUNDING,
        "parameters": Kind.UNKNOWN,
        "no_deviation": Kind.UNKNOWN,
        "latency/argmax/mean": Kind.MACHINE,
        "no_number": Kind.UNKNOWN,
        "neither_a_number": Kind.SAME,
        "bleu": Kind.BEYOND,
    }
    assert shown.summary(found) == (
        "8 values in both: 1 beyond the seeds' deviation, 3 of unknown deviation, 1 apart by rounding, 1 of speed or "
        "memory, 2 the same; 0 only in A, 0 only in B."
    )
    assert "83712512  83712513       +1" in shown.text(found, 100)


def test_the_greatest_difference_in_deviations_comes_first(reports, capsys):
    """ROUGE differs by less than BLEU does, but its seeds hardly do."""
    rouge = {"metric": "rouge", "unit": "ROUGE"}
    reports("of_seeds", [*SEEDS, rouge | {"value": 0.1}, rouge | {"value": 0.2, "seed": 2}])
    reports("a", [{"value": 30.0}, {"value": 30.0, "split": "valid"}, rouge | {"value": 1.0}])
    reports("b", [{"value": 40.0}, {"value": 50.0, "split": "valid"}, rouge | {"value": 5.0}])
    lines = printed(capsys, "a", "b").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("split"))
    assert [line.split()[:2] for line in lines[start + 1 : start + 4]] == [
        ["test", "rouge"],
        ["valid", "bleu"],
        ["test", "bleu"],
    ]
    assert lines[start + 1].split()[2:] == ["1.000", "5.000", "+4.000", "0.071", "+56.6"]
    assert lines[start].index("metric") == lines[start + 1].index("rouge") == lines[start + 2].index("bleu")


def test_speeds_are_listed_by_factor_and_only_beyond_that_of_runs_alike(reports, capsys):
    speeds = {
        "latency/a/mean": ("ms", 10.0, 19.0),
        "latency/b/mean": ("ms", 10.0, 4.0),
        "latency/c/mean": ("ms", 10.0, 30.0),
        "speedup/a": ("x", 10.0, 8.1),
        "speedup/b": ("x", 10.0, 7.9),
    }
    for name, side in (("a", 1), ("b", 2)):
        reports(name, [{"metric": metric, "unit": of[0], "value": of[side]} for metric, of in speeds.items()])
    out = printed(capsys, "a", "b")
    assert "5 values in both: 0 beyond the seeds' deviation, 5 of speed or memory; 0 only" in out
    assert "Listed are 3 of 5" in " ".join(out.split())
    rows = [line.split() for line in out.splitlines() if line.startswith(("latency", "speedup"))]
    assert rows == [
        ["latency/c/mean", "ms", "10.0", "30.0", "3.00"],
        ["latency/b/mean", "ms", "10.0", "4.00", "0.400"],
        ["speedup/b", "x", "10.0", "7.90", "0.790"],
    ]


def test_settings_that_differ_are_named_by_their_paths(reports, capsys):
    scale = {"updates": 5, "student": {"lr": 0.1, "size": "tiny"}}
    configuration = {"scale": scale, "datasets": {"ds": {"licence": "free"}}, "run": {"tracking": "comet"}}
    data = {"bin": {"train.bin": "aa", "test.bin": "bb", ".snakemake_timestamp": "cc"}, "more": {"x": "dd"}}
    of_a = {"configuration": configuration, "packages": {"torch": "2.11"}, "data": data, "commit": "1"}
    configuration = configuration | {"scale": scale | {"student": {"lr": 0.2, "size": "tiny"}}, "datasets": {}}
    data = {"bin": {"train.bin": "aa", "test.bin": "ee"}}
    of_b = {"configuration": configuration, "packages": {"torch": "2.13"}, "data": data, "commit": "2"}
    reports("a", SEEDS, RUN | {"seeds": [1, 2], "tables": ["p/t1", "p/t2"]}, of_a)
    reports("b", SEEDS, RUN | {"seeds": [1, 3], "tables": ["p/t1"]}, of_b)
    out = printed(capsys, "a", "b")
    assert out.startswith("1 values in both: 0 beyond")
    assert set(out.partition("Settings that differ\n")[2].splitlines()) == {
        "run.seeds: only in A: 2; only in B: 3",
        "run.tables: only in A: p/t2",
        "scale.student.lr: 0.1 → 0.2",
        "datasets.ds: only in A",
        "packages.torch: 2.11 → 2.13",
        "bin: 1 of 2 files differ",
        "more: only in A",
    }


def test_models_that_are_trained_otherwise_are_named_once_a_change(reports):
    """Whatever the dataset; one that is in one report only is no change."""

    def specs(**warmup):
        of = [{"system": system, "training": {"warmup": number, "lr": 0.1}} for system, number in warmup.items()]
        of = [spec | {"dataset": dataset, "seed": 1} for spec in of for dataset in ("one", "two")]
        return {"models": [{"fingerprint": "f", "spec": spec} for spec in of]}

    reports("a", SEEDS, provenance=specs(kd=100, big=100, raw=100, gone=1))
    reports("b", SEEDS, provenance=specs(kd=23, big=23, raw=100))
    assert compared().settings == [("models.training.warmup", "100 → 23 (kd, big)")]


def test_a_list_in_another_order_is_a_difference(reports):
    reports("a", SEEDS, RUN | {"tables": ["x", "y"]})
    reports("b", SEEDS, RUN | {"tables": ["y", "x"]})
    assert compared().settings == [("run.tables", '["x", "y"] → ["y", "x"]')]


def test_reports_are_described(reports, capsys):
    """Whose models they have, how they were measured, and what they do not tell."""
    reports("a", [*SEEDS, {"value": 3.0, "system": "at", "fingerprint": "f2", "dirty": "True"}], provenance={})
    newer = {"signature": "nrefs:2", "sentences": 50}
    reports("b", [SEEDS[0] | newer, {"value": 3.0, "system": "at", "fingerprint": "f3"}])
    lines = " ".join(printed(capsys, "a", "b").split())
    assert "A a, 3 values; scale demo; seeds 1, 2; measured by commit c0ffee0, c0ffee0 with uncommitted" in lines
    assert "B b, 2 values; scale demo; seeds 1; measured by commit c0ffee0; on Some CPU" in lines
    assert "Models: of 2 in both, 1 are the same" in lines
    assert "the signature of 1 values, nrefs:1 → nrefs:2." in lines and "the sentences of 1 values, 100 → 50." in lines
    assert "Without provenance.json: B;" in lines


def test_values_of_one_report_only_are_counted_by_system(reports, capsys):
    reports("a", [*SEEDS, {"value": 1.0, "system": "at"}, {"value": 1.0, "system": "at", "split": "valid"}])
    reports("b", [*SEEDS, {"value": 1.0, "system": "", "dataset": "other"}])
    out = printed(capsys, "a", "b")
    assert "1 values in both: 0 beyond the seeds' deviation, 1 the same; 2 only in A, 1 only in B." in out
    assert "Only in A\nds, demo: at 2\n" in out and "Only in B\nother, demo: no system 1\n" in out


@pytest.mark.parametrize("width", [50, 75, 90, 140])
def test_a_text_is_as_wide_as_the_terminal(reports, width):
    names = [{"dataset": f"grammar_ende_{n}", "system": f"vanilla_{n}", "decoding": f"lpd{n}"} for n in range(9)]
    reports("a", [name | {"value": 30.0 + seed, "seed": seed} for name in names for seed in (1, 2)])
    reports("b", [name | {"value": 12345.0 + seed, "seed": seed} for name in names for seed in (1, 2)])
    out = shown.text(compared(), width)
    assert max(map(len, out.splitlines())) <= width
    assert all(name["system"] in out for name in names) and out.count("+12315.00") == 9


def git(*arguments):
    names = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *names, *arguments], check=True, capture_output=True)


def test_a_run_is_compared_at_two_commits(reports, tmp_path, monkeypatch, capsys):
    git("init", "-q")
    for value in (30.0, 40.0):
        reports("a", [{"value": value}], RUN | {"lr": value})
        reports("of_seeds", SEEDS)
        git("add", "-A")
        git("commit", "-qm", "a report")
    reports("a", [{"value": 1.0}])
    out = printed(capsys, "HEAD~1:a", "HEAD:reports/a")
    assert out.startswith("1 values in both: 1 beyond") and "run.lr: 30.0 → 40.0" in out
    assert "ds" in out and "30.0  40.0  +10.0" in out
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert read("HEAD:../reports/a", "reports").text == read("HEAD:a", "../reports").text == csv_of([{"value": 40.0}])


def test_input_at_fault_is_one_line(reports, tmp_path, capsys):
    git("init", "-q")
    reports("a", SEEDS)
    git("add", "-A")
    git("commit", "-qm", "a report")
    reports("other", [{"value": 1.0, "dataset": "else"}])
    for name, text in (("no_value", csv_of([{"value": "?"}])), ("no_csv", None), ("no_columns", "x,y\n1,2\n")):
        folder = tmp_path / "reports" / name
        folder.mkdir()
        if text:
            (folder / "measurements.csv").write_text(text)
    reports("no_json", SEEDS)
    (tmp_path / "reports/no_json/run.json").write_text("{")
    complaints = {
        "nowhere": "nowhere: no such folder, nor reports/nowhere; ",
        "no_csv": "reports/no_csv: no measurements.csv; ",
        "no_value": "no_value: line 2 of its measurements.csv has no number as value; ",
        "no_columns": "no_columns: its measurements.csv has no column dataset, ",
        "no_json": "no_json: its run.json is not JSON",
        "other": "no value in common: a has ds at demo; other has else at demo; ",
        "v9:a": "v9:a: no such commit here; ",
        ":a": ":a: no such commit here; ",
        "--all:a": "--all:a: no such commit here; ",
        "HEAD:b": "HEAD:b: that commit has no measurements.csv in b or reports/b; ",
    }
    for other, complaint in complaints.items():
        assert cli.main(["compare", "--out", "page.html", "--", "a", other]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith(f"natlab compare: {complaint}"), line
    assert not (tmp_path / "page.html").exists()


def test_without_git_there_is_no_commit(reports, monkeypatch):
    reports("a", SEEDS)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="no such commit here"):
        read("HEAD:a", "reports")


class Page(HTMLParser):
    """Its elements, and its text by rows of tables."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.rows, self.open = [], [], None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open = tag
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag):
        self.open = None

    def handle_data(self, data):
        if self.open in ("th", "td", "span"):
            self.rows[-1].append(data)


def test_the_page_says_the_same_and_needs_nothing_else(reports, tmp_path, capsys):
    bad = {"system": "<b>nat</b>", "device": "CPU & <i>more</i>"}
    reports("of_seeds", SEEDS)
    reports("a", [bad | {"value": 30.0}], RUN | {"note": "<script>1</script>"})
    reports("b", [bad | {"value": 40.0}, {"value": 1.0, "metric": "chrf"}])
    out = printed(capsys, "a", "b", "--out", "pages/page.html")
    assert out.endswith("Page: pages/page.html\n")
    html = (tmp_path / "pages/page.html").read_text(encoding="utf-8")
    page = Page(html)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"img", "b", "i"} and "<script>1" not in html and "url(" not in html and "http" not in html
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.tags
    assert "prefers-color-scheme: dark" in html
    assert ["bleu", "30.0", "40.0", "+10.0", "1.4", "+7.1"] in page.rows
    assert ["run.note", "only in A: <script>1</script>"] in page.rows
    assert ["ds, demo", "nat 1"] in page.rows
    assert "All of dataset ds, scale demo, system &lt;b&gt;nat&lt;/b&gt;, decoding argmax, split test." in html


def test_a_row_of_the_page_names_what_varies_below_its_metric(reports):
    reports("a", [{"value": 1.0}, {"value": 1.0, "split": "valid", "system": "at"}])
    reports("b", [{"value": 2.0}, {"value": 3.0, "split": "valid", "system": "at"}])
    page = Page(shown.page(compared()))
    assert ["bleu", "at · valid", "1", "3", "+2"] in page.rows


def test_it_starts_without_what_pages_and_models_need():
    blocked = ["torch", "fairseq", "scipy", "pandas", "matplotlib", "yaml", "jsonschema"]
    program = f"import sys; sys.modules.update(dict.fromkeys({blocked})); import natlab.report.compare"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
