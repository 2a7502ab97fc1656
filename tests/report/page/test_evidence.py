"""What each value was measured of, and all measurements as one tidy CSV."""

import csv

from tests.report.whole import COMMIT, FIGURE5, RUN, SENTENCE, TABLE1, TABLE2

from natlab.files import read_json, write_json
from natlab.papers.labels import UNLABELLED, Labels
from natlab.report.page import evidence


def lines_of(whole):
    with open(whole.report / "measurements.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_measurements_are_one_tidy_csv_of_what_the_run_reads(whole):
    lines = lines_of(whole)
    assert list(lines[0]) == list(evidence.FIELDS)
    assert b"\r" not in (whole.report / "measurements.csv").read_bytes()
    models = {(line["dataset"], line["system"]) for line in lines}
    assert models == {*(("ds", system) for system in ("transformer", "kd", "axe", "oaxe")), ("own", "kd")}
    # file by file in the files' order, each file's values in its own
    first = [(line["system"], line["seed"], line["decoding"], line["metric"]) for line in lines[:4]]
    assert first == [
        ("axe", "1", "argmax", "bleu_tok"), ("axe", "1", "argmax", "chrf"),
        ("axe", "1", "", "speedup/argmax"), ("axe", "1", "", "latency/argmax/mean"),
    ]  # fmt: skip
    kd = {line["metric"] for line in lines if (line["dataset"], line["system"], line["seed"]) == ("ds", "kd", "1")}
    assert kd == {
        "bleu_tok",
        "chrf",
        "speedup/argmax",
        *(f"latency/argmax/{name}" for name in ("mean", "median", "p95")),
    }


def test_a_line_says_all_that_its_value_rests_on(whole):
    lines = lines_of(whole)
    (found,) = [
        line
        for line in lines
        if (line["system"], line["decoding"], line["seed"], line["metric"]) == ("kd", "lpd3", "2", "bleu_tok")
    ]
    assert found == {
        "dataset": "ds", "scale": "demo", "system": "kd", "seed": "2", "decoding": "lpd3", "split": "test",
        "metric": "bleu_tok", "value": "22.2", "unit": "BLEU", "sentences": "40", "signature": "nrefs:1|tok:none",
        "commit": COMMIT, "dirty": "True", "device": "Some CPU", "fingerprint": "kd-2",
    }  # fmt: skip
    (found,) = [
        line
        for line in lines
        if (line["system"], line["seed"], line["metric"]) == ("axe", "2", "latency/argmax/median")
    ]
    assert (found["value"], found["unit"], found["signature"], found["decoding"]) == ("4.5", "ms", "", "")


def test_texts_are_no_numbers(whole):
    lines = [line for line in lines_of(whole) if line["dataset"] == "own"]
    assert [(line["seed"], line["metric"], line["value"]) for line in lines] == [
        (seed, "sample_score/1/1", "-1.5") for seed in "12"
    ]


def found(whole, *specs, labels=UNLABELLED):
    """The readings behind cells: {table: {cell: [{what: text} with values by seed]}}."""
    collected = evidence.Evidence(RUN, whole.results / "measurements", labels)
    known = {name: collected.add(name, spec) for name, spec in specs}
    value = collected.value()
    names = "dataset system decoding split metric sentences signature model commit device file".split()

    def told(number):
        reading = value["readings"][number]
        assert len(reading["of"]) == len(names)
        said = {name: value["texts"][place] for name, place in zip(names, reading["of"], strict=True)}
        return said | {"seeds": reading["seeds"]}

    cells = {
        table: {cell: list(map(told, of)) for cell, of in all_of.items()} for table, all_of in value["cells"].items()
    }
    return known, cells, value


def test_a_cell_leads_to_what_its_seeds_measured_and_of_what(whole):
    known, cells, _ = found(whole, ("mple/table1", TABLE1))
    assert known["mple/table1"] == {
        (0, "bleu"), (1, "bleu"), (1, "speed"), (2, "bleu"), (2, "speed"), (4, "bleu"), (6, "bleu"),
    }  # fmt: skip
    assert cells["mple.table1"].keys() == {f"{row}|{column}" for row, column in known["mple/table1"]}
    (reading,) = cells["mple.table1"]["1|bleu"]
    assert reading == {
        "dataset": "ds", "system": "kd", "decoding": "argmax", "split": "test", "metric": "bleu_tok", "sentences": "40",
        "signature": "nrefs:1|tok:none", "model": "kd-1", "commit": f"{COMMIT} with uncommitted changes",
        "device": "Some CPU", "file": "ds/demo/kd/seed1/argmax.test.json", "seeds": {1: 21.1, 2: 21.2},
    }  # fmt: skip
    (reading,) = cells["mple.table1"]["2|speed"]
    assert (reading["metric"], reading["signature"], reading["seeds"]) == ("speedup/argmax", "", {1: 10.0, 2: 11.0})


def test_a_text_leads_to_the_text_of_each_seed_and_exact_values_to_none(whole):
    known, cells, _ = found(whole, ("natlab/table2", TABLE2))
    assert known["natlab/table2"] == {(0, "says")}
    assert cells["natlab.table2"]["0|says"][0]["seeds"] == {1: SENTENCE, 2: SENTENCE}


def test_a_label_stands_with_the_name_that_commands_take(whole):
    labels = Labels({"kd": "NAT, KD"}, {"lpd3": "LPD, 3 lengths"})
    _, cells, _ = found(whole, ("mple/table1", TABLE1), labels=labels)
    said = [(of["system"], of["decoding"]) for row in (1, 6) for of in cells["mple.table1"][f"{row}|bleu"]]
    assert said == [("NAT, KD (kd)", "argmax"), ("NAT, KD (kd)", "LPD, 3 lengths (lpd3)")]
    assert cells["mple.table1"]["2|bleu"][0]["system"] == "axe"


def test_what_several_cells_read_stands_once(whole):
    _, cells, one = found(whole, ("mple/table1", TABLE1))
    _, both, two = found(whole, ("mple/table1", TABLE1), ("mple/figure5", FIGURE5))
    assert both["mple.figure5"].items() <= both["mple.table1"].items() and both["mple.table1"] == cells["mple.table1"]
    assert one["readings"] == two["readings"] and one["texts"] == two["texts"]
    assert len(one["texts"]) == len(set(one["texts"]))


def test_a_cell_of_which_a_reading_is_missing_leads_nowhere(changed):
    spec = TABLE1 | {"rows": TABLE1["rows"][:2], "columns": [
        {"key": "c", "label": "C", "cell": {"metric": "conditional_tc", "systems": {"at": "transformer", "nat": "kd"}}}
    ]}  # fmt: skip
    loss = changed.results / "measurements/ds/demo/transformer/seed1/loss.json"
    write_json(loss, {"values": {"loss_raw": {"value": 2.0}}, "provenance": {}})
    known, cells, _ = found(changed, ("mple/table1", spec))
    assert known["mple/table1"] == set() and cells == {"mple.table1": {}}
    values = {"loss_raw": {"value": 3.0}, "length_raw": {"value": 0.5}}
    write_json(changed.results / "measurements/ds/demo/kd/seed2/loss.json", {"values": values, "provenance": {}})
    known, cells, _ = found(changed, ("mple/table1", spec))
    assert known["mple/table1"] == {(0, "c"), (1, "c")}
    assert [(reading["system"], reading["metric"], reading["seeds"]) for reading in cells["mple.table1"]["0|c"]] == [
        ("transformer", "loss_raw", {1: 2.0}), ("kd", "loss_raw", {2: 3.0}), ("kd", "length_raw", {2: 0.5}),
    ]  # fmt: skip
    assert read_json(loss)["provenance"] == {} and cells["mple.table1"]["0|c"][0]["commit"] == ""
