"""Table specs that are refused, with a line that says why."""

import copy

import pytest
import yaml

from natlab.errors import UserError
from natlab.papers import spec

GOOD = {
    "table": "Table 1",
    "paper": "A paper",
    "title": "A title",
    "columns": [
        {"key": "a", "label": "A", "cell": {"metric": "bleu"}},
        {"key": "b", "label": "B"},
        {"key": "c", "label": "C", "minus": ["a", "b"]},
        {"key": "d", "label": "D", "measured_only": True, "note": "ours"},
    ],
    "rows": [{"label": "x", "published": {"a": 1.0, "b": "L"}}, {"label": "y", "ours": True}],
}


def written(tmp_path, change):
    table = copy.deepcopy(GOOD)
    change(table)
    path = tmp_path / "table1.yaml"
    path.write_text(yaml.safe_dump(table))
    return path


def test_a_good_one_loads(tmp_path):
    assert spec.load(written(tmp_path, lambda table: None)) == GOOD


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(colour="red"), r"table1.yaml: unknown key colour; allowed keys: .*columns"),
        (lambda t: t["columns"][0].update(with_=1), r"columns.0: unknown key with_; allowed keys: .*label"),
        (lambda t: t["columns"][0]["cell"].update(metric="blue"), r"columns.a.cell.metric: nothing measures 'blue'"),
        (lambda t: t["columns"][0]["cell"].update(metric="parameter_ratio"), r"columns.0.cell: key against is missing"),
        (
            lambda t: t["columns"][0]["cell"].update(metric="bracket/bleu_to", against={"systems": ["x"]}),
            r"columns.0.cell.against: key decoding is missing",
        ),
        (lambda t: t["columns"][2].update(sum=["a", "b"]), r"columns.c: has minus and sum"),
        (lambda t: t["rows"][0].update(cells={"z": {}}), r"rows.0.cells: .*'z'"),
        (lambda t: t["rows"][0].update(by_definition={"z": 0}), r"rows.0.by_definition: .*'z'"),
        (lambda t: t.update(correlations=[{"x": "a", "y": "z"}]), r"correlations.0: .*'z'.*a, b, c, d"),
        (lambda t: t.update(draw={"kind": "pie"}), r"draw.kind: 'pie' .*bars, groups, lines, scatter, surface"),
        (lambda t: t.update(draw={"kind": "bars"}), r"draw: key value is missing"),
        (lambda t: t.update(draw={"kind": "scatter", "x": "a", "y": "z"}), r"draw: .*'z'.*a, b, c, d"),
        (lambda t: t["columns"][0]["cell"].update(split="train"), r"columns.0.cell.split: .*allowed: valid, test"),
        (lambda t: t.pop("rows"), r"key rows is missing"),
        (
            lambda t: t["columns"][0]["cell"].update(metric="sample", sentence=1),
            r"rows.0, column a: sample needs the key sample; add it",
        ),
        (lambda t: t["columns"][0]["cell"].update(metric="source"), r"rows.0, column a: source needs the key sentence"),
        (lambda t: t["columns"][0]["cell"].update(metric="curve/nll_loss/55"), r"nothing measures 'curve/nll_loss/55'"),
        (lambda t: t["columns"][0].update(text=True), r"columns.c.minus: unknown name 'a'"),
        (lambda t: t["columns"][3].update(text=True) or t.update(draw={"kind": "bars", "value": "d"}), r"draw: .*'d'"),
        (lambda t: t["columns"][3].pop("note"), r"columns.3: key note is missing"),
        (lambda t: t["columns"][1].update(key="a"), r"columns.a: the key stands twice"),
        (lambda t: t["columns"][2].update(divide=["a", "b"]), r"columns.c: has minus and divide"),
        (lambda t: t["columns"][2].update(minus=["a", "z"]), r"columns.c.minus: .*'z'.*a, b, c, d"),
        (lambda t: t["rows"][0]["published"].update(z=1), r"rows.0.published: .*'z'.*a, b, c"),
        (lambda t: t["rows"][0]["published"].update(d=1), r"rows.0.published: .*'d'"),
        (lambda t: t["rows"][0].update(reference=["z"]), r"rows.0.reference: .*'z'"),
        (lambda t: t["rows"][1].update(published={"a": 1}), r"rows.1: a row of ours"),
    ],
)
def test_refused_in_one_line(tmp_path, change, message):
    with pytest.raises(UserError, match=message) as refused:
        spec.load(written(tmp_path, change))
    assert "\n" not in str(refused.value) and "table1.yaml" in str(refused.value)


def test_missing_and_malformed_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="none.yaml"):
        spec.load(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("table: [")
    with pytest.raises(UserError, match="bad.yaml: not YAML"):
        spec.load(tmp_path / "bad.yaml")


def test_a_run_with_an_unknown_key_is_refused(tmp_path):
    run = {"run": "r", "scale": "demo", "seeds": [1], "corpora": {"a": "b"}, "tables": ["mple/table1"]}
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(run))
    assert spec.load_run(path) == run
    path.write_text(yaml.safe_dump(run | {"sedes": [1]}))
    with pytest.raises(UserError, match="run.yaml: unknown key sedes"):
        spec.load_run(path)


@pytest.mark.parametrize("kind", ["minus", "divide", "sum"])
def test_derived_columns_are_of_columns_that_are_there(tmp_path, kind):
    def change(table, of):
        table["columns"][2] = {"key": "c", "label": "C", kind: of}

    assert spec.load(written(tmp_path, lambda table: change(table, ["a", "b"])))["columns"][2][kind] == ["a", "b"]
    with pytest.raises(UserError, match=rf"columns.c.{kind}: .*'z'.*a, b, c, d"):
        spec.load(written(tmp_path, lambda table: change(table, ["a", "z"])))


@pytest.mark.parametrize(
    "draw, role",
    [
        ({"kind": "bars", "value": "a", "line": "b"}, "value"), ({"kind": "bars", "value": "a", "line": "b"}, "line"),
        ({"kind": "scatter", "x": "a", "y": "b"}, "x"), ({"kind": "scatter", "x": "a", "y": "b"}, "y"),
        ({"kind": "groups", "series": ["a", "b"]}, "series"),
    ],
)  # fmt: skip
def test_figures_draw_columns_that_are_there(tmp_path, draw, role):
    assert spec.load(written(tmp_path, lambda table: table.update(draw=draw)))["draw"] == draw
    wrong = draw | {role: ["a", "z"] if role == "series" else "z"}
    with pytest.raises(UserError, match=r"draw: .*'z'.*a, b, c, d"):
        spec.load(written(tmp_path, lambda table: table.update(draw=wrong)))


def test_what_a_file_is_and_whether_a_table_is_the_papers():
    assert [spec.kind(of) for of in ({"claims": []}, {"draw": {}}, {})] == ["claims", "figures", "tables"]
    ours, theirs = {"measured_only": True}, {}
    assert spec.of_paper({"columns": [ours, theirs]}) and not spec.of_paper({"columns": [ours, ours]})
