"""Claims tested on measurements: what holds, what does not, what was not measured; and claims that are refused."""

import argparse
import copy

import pytest
import yaml

from natlab.errors import UserError
from natlab.files import write_json
from natlab.report import claims
from natlab.report.claims import FAILS, HOLDS, UNMEASURED

RUN = {
    "run": "r",
    "scale": "demo",
    "seeds": [1, 2],
    "corpora": {"one": "ds1", "two": "ds2", "three": "ds3"},
    "tables": ["p/table1"],
}
TABLE = {
    "table": "Table 1",
    "paper": "P",
    "title": "T",
    "columns": [
        {"key": "loss", "label": "L", "cell": {"metric": "loss", "system": "nat"}},
        {"key": "bleu", "label": "BLEU", "cell": {"metric": "bleu_tok", "system": "nat", "decoding": "argmax"}},
        {"key": "other", "label": "other", "cell": {"metric": "bleu_tok", "system": "nat", "decoding": "lpd3"}},
    ],
    "rows": [{"label": name, "cell": {"corpus": name}} for name in ("one", "two", "three", "four")],
}
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
                    "comparison": {"better": {"system": "x"}, "than": [{"system": "y"}, {"system": "z"}]},
                }
            ],
        },
    ],
}


def measure(folder, dataset, system, seed, name, values, statistics=None):
    file = {"sentences": 40, "values": {key: {"value": value} for key, value in values.items()}}
    if statistics is not None:
        file["sentence_statistics"] = {"bleu_tok": statistics}
    write_json(folder / "m" / dataset / "demo" / system / f"seed{seed}" / f"{name}.json", file)


def rows(folder, losses, bleus, others=(1.0, 2.0, 4.0)):
    for dataset, loss, bleu, other in zip(("ds1", "ds2", "ds3"), losses, bleus, others, strict=False):
        for seed in (1, 2):
            measure(folder, dataset, "nat", seed, "loss", {"loss": loss})
            measure(folder, dataset, "nat", seed, "argmax.test", {"bleu_tok": bleu + seed})
            measure(folder, dataset, "nat", seed, "lpd3.test", {"bleu_tok": other + seed})


def results(folder, stated=STATED):
    (folder / "papers/p").mkdir(parents=True, exist_ok=True)
    (folder / "papers/p/table1.yaml").write_text(yaml.safe_dump(TABLE))
    (folder / "papers/p/claims.yaml").write_text(yaml.safe_dump(stated))
    (folder / "run.yaml").write_text(yaml.safe_dump(RUN))
    parser = argparse.ArgumentParser()
    claims.add_arguments(parser)
    given = f"--claims {folder}/papers/p/claims.yaml --run {folder}/run.yaml --measurements {folder}/m"
    claims.run(
        parser.parse_args(
            [*given.split(), *f"--corpora {folder}/c --papers {folder}/papers --out {folder}/out".split()]
        )
    )
    return {(part.claim, part.part): part for part in claims.read_csv(folder / "out.csv")}


def test_nothing_measured(tmp_path):
    found = results(tmp_path)
    assert len(found) == 4 and {part.verdict for part in found.values()} == {UNMEASURED}
    assert all(part.statistic is None and part.confidence is None for part in found.values())


def test_an_order_holds_when_all_pairs_are_in_order(tmp_path):
    rows(tmp_path, [1.0, 3.0, 2.0], [10.0, 30.0, 20.0])
    part = results(tmp_path)["a", 1]
    assert (part.verdict, part.statistic, part.seeds) == (HOLDS, 1, "1 2")
    assert part.measured == "ds1: 1.00, 11.50; ds3: 2.00, 21.50; ds2: 3.00, 31.50"
    rows(tmp_path, [1.0, 3.0, 2.0], [10.0, 19.0, 20.0])
    part = results(tmp_path)["a", 1]
    assert part.verdict == FAILS and part.statistic == pytest.approx(2 / 3)


def test_a_correlation_must_have_the_claimed_sign(tmp_path):
    rows(tmp_path, [1.0, 2.0, 3.0], [30.0, 20.0, 11.0])
    found = results(tmp_path)
    assert found["a", 2].verdict == HOLDS and found["a", 2].statistic < -0.99
    assert found["a", 3].verdict == HOLDS and "with BLEU" in found["a", 3].measured
    rows(tmp_path, [1.0, 2.0, 3.0], [11.0, 20.0, 30.0], others=(1.0, 2.0, 3.0))
    found = results(tmp_path)
    assert found["a", 2].verdict == FAILS and found["a", 2].statistic > 0.99
    assert found["a", 3].verdict == FAILS


def compared(folder, x, y, z, spread=0.0):
    """Test BLEU of the three systems, with statistics of as good sentences; of x every other sentence is worse."""
    for system, value in (("x", x), ("y", y), ("z", z)):
        for seed in (1, 2):
            off = [spread if system == "x" and n % 2 else -spread if system == "x" else 0 for n in range(40)]
            sentences = [[round(value + o)] * 4 + [100] * 4 + [100, 100] for o in off]
            measure(folder, "ds1", system, seed, "argmax.test", {"bleu_tok": value}, sentences)


def test_a_comparison_is_with_the_best_of_the_others(tmp_path):
    compared(tmp_path, 30, 20, 10)
    part = results(tmp_path)["b", 1]
    assert (part.verdict, part.confidence, part.seeds) == (HOLDS, 1, "1 2")
    assert part.statistic == 10 and part.measured == "x (argmax) 30.00 against y (argmax) 20.00, z (argmax) 10.00"
    compared(tmp_path, 30, 20, 31)
    part = results(tmp_path)["b", 1]
    assert (part.verdict, part.confidence, part.statistic) == (FAILS, 0, -1)


def test_a_difference_that_resamples_do_not_confirm_does_not_hold(tmp_path):
    compared(tmp_path, 31, 30, 10, spread=30)
    part = results(tmp_path)["b", 1]
    assert part.statistic == 1 and 0.5 < part.confidence < 0.95 and part.verdict == FAILS
    assert results(tmp_path, STATED | {"confidence": 0.5})["b", 1].verdict == HOLDS


def test_without_statistics_of_sentences_the_means_decide(tmp_path):
    for system, value in (("x", 2.0), ("y", 1.0), ("z", 1.5)):
        measure(tmp_path, "ds1", system, 1, "argmax.test", {"bleu_tok": value})
    part = results(tmp_path)["b", 1]
    assert (part.verdict, part.confidence, part.statistic, part.seeds) == (HOLDS, None, 0.5, "1")


def test_a_comparison_with_a_system_that_was_not_measured_says_which(tmp_path):
    measure(tmp_path, "ds1", "x", 1, "argmax.test", {"bleu_tok": 2.0})
    measure(tmp_path, "ds1", "z", 1, "argmax.test", {"bleu_tok": 1.0})
    part = results(tmp_path)["b", 1]
    assert (part.verdict, part.measured) == (UNMEASURED, "lacks y (argmax)")


def test_markdown_has_each_claim_with_its_parts(tmp_path):
    compared(tmp_path, 30, 20, 10)
    results(tmp_path)
    text = (tmp_path / "out.md").read_text()
    assert "### (a) A claim" in text and "### (b) Another claim" in text
    assert "| better | **holds** | x (argmax) 30.00 against" in text and "10.00 | 100.0 % | 1 2 |" in text


def test_the_cells_that_comparisons_ask_for():
    found = claims.cells(STATED, RUN)
    assert [cell.systems for cell in found] == [["x"], ["y"], ["z"]] and found[0].where == "claim b, part 1"
    assert {cell.dataset for cell in found} == {"ds1"} and claims.tables_named(STATED) == ["p/table1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["claims"][0].pop("source"), "claims.0: key source is missing"),
        (lambda c: c.update(claim=1), "unknown key claim; allowed keys: .*claims"),
        (lambda c: c["claims"][1]["parts"][0]["comparison"]["than"][0].pop("system"), "claim b, part 1: key system is"),
        (lambda c: c["claims"][0]["parts"][0]["order"].update(x="los"), r"claim a, part 1: x: .*'los'.*loss, bleu"),
        (lambda c: c["claims"][0]["parts"][1]["correlation"].update(weaker_than="bleu"), "claims.0.parts.1"),
    ],
)
def test_refused_in_one_line(tmp_path, change, message):
    stated = copy.deepcopy(STATED)
    change(stated)
    with pytest.raises(UserError, match=message) as refused:
        results(tmp_path, stated)
    assert "\n" not in str(refused.value) and "claims.yaml" in str(refused.value)
