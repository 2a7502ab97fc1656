"""Claims read from their files: what they are about, and those that are refused, with a line that says why."""

import copy

import pytest
import yaml

from natlab.errors import UserError
from natlab.papers import claims

RUN = {"run": "r", "scale": "demo", "seeds": [1], "corpora": {"one": "ds1"}}
TABLE = {"columns": [{"key": key} for key in ("loss", "bleu", "other")]}
STATED = {
    "paper": "P",
    "title": "Claims",
    "cell": {"corpus": "one", "metric": "bleu_tok", "decoding": "argmax"},
    "claims": [
        {
            "id": "a",
            "claim": "A claim",
            "source": "section 1",
            "parts": [
                {"says": "in order", "order": {"table": "p/table1", "x": "loss", "y": "bleu"}},
                {
                    "says": "correlated",
                    "correlation": {"table": "p/table1", "x": "loss", "y": "bleu", "at_most": -0.9},
                },
                {
                    "says": "weaker",
                    "correlation": {"table": "p/table1", "x": "loss", "y": "other", "weaker_than": "bleu"},
                },
            ],
        },
        {
            "id": "b",
            "claim": "Another claim",
            "source": "section 2",
            "parts": [
                {
                    "says": "better",
                    "comparison": {"higher": {"system": "x"}, "than": [{"system": "y"}, {"system": "z"}]},
                }
            ],
        },
    ],
}


def test_the_cells_that_comparisons_ask_for():
    found = claims.cells(STATED, RUN)
    assert [cell.systems for cell in found] == [["x"], ["y"], ["z"]] and found[0].where == "claim b, part 1"
    assert {cell.dataset for cell in found} == {"ds1"} and claims.tables_named(STATED) == ["p/table1"]


def test_deviations_are_read_from_reports_of_other_runs_that_are_there(tmp_path):
    for run in ("r", "s"):
        (tmp_path / run).mkdir()
        (tmp_path / run / "measurements.csv").touch()
    assert claims.measurements_of(STATED | {"deviation": ["s", "r", "none"]}, tmp_path, "r") == [
        tmp_path / "s/measurements.csv"
    ]
    assert claims.measurements_of(STATED, tmp_path, "r") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["claims"][0].pop("source"), "claims.0: key source is missing"),
        (lambda c: c.update(claim=1), "unknown key claim; allowed keys: .*claims"),
        (lambda c: c["claims"][1]["parts"][0]["comparison"]["than"][0].pop("system"), "claim b, part 1: key system is"),
        (lambda c: c["claims"][0]["parts"][0]["order"].update(x="los"), r"claim a, part 1: x: .*'los'.*loss, bleu"),
        (lambda c: c["claims"][0]["parts"][1]["correlation"].update(weaker_than="bleu"), "claims.0.parts.1"),
        (lambda c: c["claims"][0]["parts"][2]["correlation"].update(swept=True), "claims.0.parts.2.*at_most"),
        (
            lambda c: c["claims"][0]["parts"][1]["correlation"].update(swept=True),
            "part 2: p/table1 sweeps no β of loss",
        ),
        (lambda c: c["claims"][1]["parts"][0]["comparison"].update(lower={"system": "y"}), "claims.1.parts.0"),
        (lambda c: c["claims"][1]["parts"][0]["comparison"].update(times=0), "claims.1.parts.0.comparison.times"),
        (
            lambda c: c["claims"][1]["parts"][0]["comparison"].update(higher=[{"system": "y"}]),
            "comparison.higher.*short",
        ),
        (
            lambda c: c["claims"][1]["parts"][0]["comparison"].update(than=[[{}, {"sys": 1}]]),
            "unknown key sys; allowed",
        ),
        (
            lambda c: c["claims"][1]["parts"][0]["comparison"].update(than=[[{"system": "x"}, {}]]),
            "key system is missing",
        ),
        (lambda c: c["claims"][0]["parts"][0]["order"].update(falls=False), "order.falls"),
    ],
)
def test_refused_in_one_line(tmp_path, change, message):
    stated = copy.deepcopy(STATED)
    change(stated)
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump(stated))
    with pytest.raises(UserError, match=message) as refused:
        claims.check_columns(str(path), claims.load(path), "p/table1", TABLE)
    assert "\n" not in str(refused.value) and "claims.yaml" in str(refused.value)


@pytest.mark.parametrize("part, role", [(1, "x"), (1, "y"), (2, "x"), (2, "y"), (2, "weaker_than")])
def test_a_correlation_of_a_column_that_is_not_there_is_refused(part, role):
    stated = copy.deepcopy(STATED)
    stated["claims"][0]["parts"][part]["correlation"][role] = "blue"
    with pytest.raises(UserError, match=f"f.yaml: claim a, part {part + 1}: {role}: .*'blue'.*loss, bleu, other"):
        claims.check_columns("f.yaml", stated, "p/table1", TABLE)
    claims.check_columns("f.yaml", stated, "p/another", TABLE)


def test_a_swept_correlation_must_be_one_that_the_table_sweeps():
    stated = copy.deepcopy(STATED)
    stated["claims"][0]["parts"][1]["correlation"]["swept"] = True
    claims.check_columns(
        "f.yaml", stated, "p/table1", TABLE | {"correlations": [{"x": "loss", "y": "bleu", "sweep": {}}]}
    )
    for correlations in ([], [{"x": "loss", "y": "bleu"}], [{"x": "loss", "y": "other", "sweep": {}}]):
        with pytest.raises(UserError) as refused:
            claims.check_columns("f.yaml", stated, "p/table1", TABLE | {"correlations": correlations})
        assert str(refused.value) == (
            "f.yaml: claim a, part 2: p/table1 sweeps no β of loss with bleu; "
            "drop swept, or add the sweep to its correlations"
        )
    with pytest.raises(UserError):
        claims.check_columns("f.yaml", stated, "p/table1", TABLE)


@pytest.mark.parametrize("side", ["higher", "lower"])
def test_the_claimed_best_of_a_comparison_comes_first_with_what_all_cells_share(side):
    part = {"comparison": {side: {"system": "x"}, "than": [{"system": "y", "corpus": "two"}]}}
    assert claims.compared({"cell": {"corpus": "one"}}, part) == [
        [{"corpus": "one", "system": "x"}], [{"corpus": "two", "system": "y"}],
    ]  # fmt: skip
    assert claims.compared({}, part) == [[{"system": "x"}], [{"system": "y", "corpus": "two"}]]
    assert claims.compared({}, {"order": {}}) == []


def test_a_difference_of_two_cells_asks_for_both():
    stated = copy.deepcopy(STATED)
    stated["claims"][1]["parts"][0]["comparison"]["than"] = [[{"system": "y"}, {"system": "z", "corpus": "two"}]]
    assert claims.compared(stated, stated["claims"][1]["parts"][0])[1] == [
        {**STATED["cell"], "system": "y"}, {**STATED["cell"], "system": "z", "corpus": "two"},
    ]  # fmt: skip
    found = claims.cells(stated, RUN)
    assert [(cell.systems, cell.corpus) for cell in found] == [(["x"], "one"), (["y"], "one"), (["z"], "two")]
