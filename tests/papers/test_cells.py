"""Which measurements a table's cells ask for."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from natlab.errors import UserError
from natlab.measuring import revealed
from natlab.metrics import by_length, positions
from natlab.papers import cells as metrics
from natlab.papers import spec
from natlab.papers.cells import BRACKET, bracket, cells, corpora, sources, value
from natlab.papers.cells import resolved as resolved_description
from natlab.schema import read_yaml

RUN = {"run": "r", "scale": "demo", "seeds": [1, 2], "corpora": {"wmt14_ende": "grammar_ende"}}
PAPERS = Path(__file__).resolve().parents[2] / "config" / "papers"
TABLE = {
    "cell": {"corpus": "wmt14_ende", "decoding": "argmax", "split": "test"},
    "columns": [
        {"key": "bleu", "label": "BLEU", "cell": {"metric": "bleu_tok"}},
        {"key": "zh", "label": "Zh-En", "cell": {"metric": "bleu_tok", "corpus": "wmt17_zhen", "decoding": "lpd3"}},
        {"key": "loss", "label": "L", "cell": {"metric": "loss"}},
        {"key": "speed", "label": "speed", "cell": {"metric": "speedup"}},
        {"key": "exact", "label": "exact", "cell": {"metric": "exact/conditional_tc"}},
        {"key": "target", "label": "no metric yet"},
        {"key": "gap", "label": "gap", "minus": ["bleu", "zh"]},
    ],
    "rows": [
        {"label": "vanilla", "cell": {"system": "vanilla_raw"}},
        {"label": "teacher", "cell": {"system": "transformer", "decoding": "beam5"}, "reference": ["speed"]},
        {"label": "not built", "cell": {"system": "glat_kd"}},
        {"label": "no system", "published": {"bleu": 20.0}},
        {"label": "quoted", "quoted": True, "cell": {"system": "vanilla_raw"}, "published": {"bleu": 20.0}},
    ],
}


def resolved(run=RUN):
    return {(cell.row, cell.column): cell for cell in cells(TABLE, run)}


def test_table_then_column_then_row():
    found = resolved()
    decodings = {key: cell.readings[0].decoding for key, cell in found.items() if cell.readings}
    assert decodings[0, "bleu"] == "argmax" and decodings[0, "zh"] == "lpd3"
    assert decodings[1, "bleu"] == decodings[1, "zh"] == "beam5"
    assert found[0, "bleu"].dataset == "grammar_ende" and found[0, "bleu"].systems == ["vanilla_raw"]


def test_a_rows_own_cell_comes_last():
    row = {**TABLE["rows"][1], "cells": {"zh": {"decoding": "greedy"}}}
    found = {cell.column: cell for cell in cells(TABLE | {"rows": [row]}, RUN)}
    assert found["zh"].readings[0].decoding == "greedy" and found["bleu"].readings[0].decoding == "beam5"


def test_a_corpus_that_the_run_does_not_map_stays_empty():
    cell = resolved()[0, "zh"]
    assert cell.corpus == "wmt17_zhen" and cell.dataset is None and sources(cell, "demo", 1) == []


def test_what_models_score_stays_empty_unless_the_run_names_theirs():
    table = {**TABLE, "columns": [{"key": key, "label": key, "cell": {"metric": key}} for key in ("comet", "bleurt")]}
    found = {cell.column: cell for cell in cells(table, RUN | {"weights": {"comet": "folder"}}) if cell.row == 0}
    assert found["bleurt"].dataset is None and sources(found["bleurt"], "demo", 1) == []
    assert sources(found["comet"], "demo", 1) == ["grammar_ende/demo/vanilla_raw/seed1.comet/argmax.test.json"]
    assert found["comet"].readings[0].key == "comet"


def test_a_system_that_the_run_does_not_build_stays_empty():
    found = resolved(RUN | {"systems": ["vanilla_raw", "transformer"]})
    assert found[2, "bleu"].dataset is None
    assert found[0, "bleu"].dataset == "grammar_ende"
    assert found[2, "exact"].dataset == "grammar_ende"


def test_rows_without_a_system_quoted_rows_and_derived_columns_ask_for_nothing():
    quantity = set(resolved())
    assert {column for row, column in quantity if row == 3} == {"exact"}
    assert not [column for row, column in quantity if row == 4]
    assert not {column for _, column in quantity} & {"target", "gap"}


def test_the_reference_is_not_measured_against_itself():
    assert (1, "speed") not in resolved() and (0, "speed") in resolved()


def test_sources_by_metric():
    found = resolved()
    assert sources(found[0, "bleu"], "demo", 2) == ["grammar_ende/demo/vanilla_raw/seed2/argmax.test.json"]
    assert sources(found[0, "loss"], "demo", 1) == ["grammar_ende/demo/vanilla_raw/seed1/loss.json"]
    assert sources(found[0, "speed"], "demo", 1) == ["grammar_ende/demo/vanilla_raw/seed1.latency.json"]
    assert sources(found[0, "exact"], "demo", 1) == []


def test_losses_are_of_the_validation_set_and_decode_nothing():
    (reading,) = resolved()[0, "loss"].readings
    assert reading.split == "valid" and reading.decoding is None


def test_the_estimate_of_c_reads_two_systems():
    systems = {"at": "transformer", "nat": "vanilla_raw"}
    table = {
        "columns": [{"key": "c", "label": "C", "cell": {"metric": "conditional_tc", "systems": systems}}],
        "rows": [{"label": "WMT14 En-De", "cell": {"corpus": "wmt14_ende"}}],
    }
    (cell,) = cells(table, RUN)
    assert cell.systems == ["transformer", "vanilla_raw"]
    assert sources(cell, "demo", 1) == [
        "grammar_ende/demo/transformer/seed1/loss.json",
        "grammar_ende/demo/vanilla_raw/seed1/loss.json",
    ]
    (half,) = cells(table, RUN | {"systems": ["transformer"]})
    assert half.dataset is None


def quantity(metric, **more):
    description = {"metric": metric, "corpus": "wmt14_ende", "system": "vanilla_kd", "decoding": "argmax", **more}
    return resolved_description(description, RUN)


@pytest.mark.parametrize(
    ("metric", "source", "key"),
    [
        ("confidence", "argmax.test.json", "confidence"),
        ("l_input", "loss.json", "l_input"),
        ("parameters", "loss.json", "parameters"),
        ("target_bleu", "target.json", "target_bleu"),
        ("l_target", "target.json", "target_bleu"),
        ("l_target_exact", "target.json", "target_bleu_exact"),
        ("reference_bleu/3", "target.json", "reference_bleu/3"),
    ],
)
def test_where_mples_measures_lie(metric, source, key):
    found = quantity(metric)
    assert sources(found, "demo", 1) == [f"grammar_ende/demo/vanilla_kd/seed1/{source}"]
    assert [reading.key for reading in found.readings] == [key]


def test_l_target_is_minus_beta_times_bleu():
    assert value(quantity("l_target", beta=0.2), [35.4]) == pytest.approx(-7.08)
    assert value(quantity("l_target", beta=0.25), [22.88]) == pytest.approx(-5.72)


def test_parameters_in_millions_and_their_ratio_in_percent():
    assert value(quantity("parameters"), [62_600_000]) == pytest.approx(62.6)
    found = quantity("parameter_ratio", against={"systems": ["transformer"]})
    assert [reading.system for reading in found.readings] == ["vanilla_kd", "transformer"]
    assert value(found, [1.3e6, 62.6e6]) == pytest.approx(100 * 1.3 / 62.6)


TABLE_6 = [("a", 1.3, 4.60), ("b", 2.0, 11.88), ("c", 62.6, 27.11)]  # the ATs of Table 6 by Table 5's first row


@pytest.mark.parametrize(
    ("bleu", "expected"),
    [
        (11.79, [2.0, 3.2, 4.60, 11.88]),
        (11.88, [2.0, 3.2, 4.60, 11.88]),
        (3.0, [None, 2.0, None, 4.60]),
        (30.0, [97.8, None, 27.11, None]),
    ],
)
def test_the_bracket_of_table_5(bleu, expected):
    """Between which of the ATs, whatever their order, one as good as the NAT lies; the NAT has 64 M parameters."""
    ladder = {"systems": [name for name, *_ in TABLE_6][::-1], "decoding": "beam5"}
    measured = {("vanilla_kd", "parameters"): 64e6, ("vanilla_kd", "bleu_tok"): bleu}
    for name, parameters, of in TABLE_6:
        measured |= {(name, "parameters"): parameters * 1e6, (name, "bleu_tok"): of}
    for metric, wanted in zip(BRACKET, expected, strict=True):
        found = quantity(metric, against=ladder)
        decodings = {reading.system: reading.decoding for reading in found.readings if reading.metric == "bleu_tok"}
        assert decodings == {"vanilla_kd": "argmax", "a": "beam5", "b": "beam5", "c": "beam5"}
        got = value(found, [measured[reading.system, reading.metric] for reading in found.readings])
        assert got == (None if wanted is None else pytest.approx(wanted, abs=0.1))


def test_the_bracket_is_searched_among_the_models_that_the_run_builds():
    description = {
        "metric": "bracket/ratio_to",
        "corpus": "wmt14_ende",
        "system": "vanilla_kd",
        "against": {"systems": ["a", "b"], "decoding": "beam5"},
    }
    found = resolved_description(description, RUN | {"systems": ["vanilla_kd", "a"]})
    assert found.dataset == "grammar_ende" and {reading.system for reading in found.readings} == {"vanilla_kd", "a"}


@given(
    st.floats(0, 50), st.lists(st.tuples(st.integers(1, 100), st.floats(0, 50)), unique_by=lambda m: m[0], max_size=8)
)
def test_a_bracket_has_neighbours_and_none_smaller_is_as_good(bleu, ladder):
    below, above = bracket(bleu, ladder)
    ranked = sorted(ladder)
    worse = ranked[: ranked.index(above)] if above else ranked
    assert all(model[1] < bleu for model in worse) and (above is None or above[1] >= bleu)
    assert below == (worse[-1] if worse else None)


@pytest.mark.parametrize(
    "path",
    [p for p in sorted(PAPERS.glob("*/*.yaml")) if spec.kind(read_yaml(p)) != "claims"],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_shipped_tables_are_valid_and_ask_for_measurements(path):
    table = spec.load(path)
    corpora = {cell.corpus: "some_dataset" for cell in cells(table, RUN)}
    found = cells(table, RUN | {"corpora": corpora, "weights": {"comet": "a", "bleurt": "b"}})
    assert found and all(cell.dataset == "some_dataset" for cell in found)


def test_where_a_cell_stands_and_what_it_asks():
    cell = resolved()[1, "bleu"]
    assert cell.where == "row 2, column bleu" and (cell.metric, cell.corpus) == ("bleu_tok", "wmt14_ende")
    (reading,) = cell.readings
    assert reading == ("bleu_tok", "transformer", "beam5", "test", "") and reading.key == "bleu_tok"
    speed = resolved()[0, "speed"].readings[0]
    assert speed.key == "speedup/argmax" and speed.source("d", "s", 3) == "d/s/vanilla_raw/seed3.latency.json"


def test_a_speed_is_of_an_engine_beside_all_others_of_the_corpus():
    own, other = (quantity("speed/times/own_beam5", decoding="argmax", **of) for of in ({}, {"engine": "onnx_int8"}))
    assert sources(own, "demo", 2) == sources(other, "demo", 2) == ["grammar_ende/demo/seed2.speed.json"]
    assert own.readings[0].key == "speed/times/own_beam5/vanilla_kd/argmax/natlab"
    assert other.readings[0].key == "speed/times/own_beam5/vanilla_kd/argmax/onnx_int8"


@pytest.mark.parametrize("metric", ["ideal_loss", "ideal_token_loss", "ideal_l_input", "length_raw", "token_loss"])
def test_losses_are_read_from_one_file(metric):
    found = quantity(metric, split="test")
    assert sources(found, "demo", 2) == ["grammar_ende/demo/vanilla_kd/seed2/loss.json"]
    assert found.readings[0] == (metric, "vanilla_kd", None, "valid", "")


def test_conditional_tc_is_what_a_nat_loses_with_its_length_more_than_the_at():
    """MPLE, appendix B: 4.41 bits, of which some say the length, less 1.91."""
    found = quantity("conditional_tc", systems={"at": "a", "nat": "n"})
    assert [tuple(reading) for reading in found.readings] == [
        ("loss_raw", "a", None, "valid", ""), ("loss_raw", "n", None, "valid", ""),
        ("length_raw", "n", None, "valid", ""),
    ]  # fmt: skip
    assert value(found, [1.91, 4.0, 0.41]) == pytest.approx(2.5)


def test_a_metric_that_is_no_corpus_own_asks_for_nothing_without_a_system():
    for metric in ("bleu", "l_target", "parameter_ratio", "bracket/bleu_to", "conditional_tc"):
        assert resolved_description({"metric": metric, "corpus": "wmt14_ende"}, RUN) is None
    assert resolved_description({"metric": "bleu", "system": "a"}, RUN) is None
    found = resolved_description({"metric": "exact/kl", "corpus": "wmt14_ende"}, RUN)
    assert (found.dataset, found.readings, found.beta) == ("grammar_ende", (), 0.0)


def test_how_far_a_model_is_from_the_truth_is_measured_once_on_test():
    found = quantity("kl", decoding="argmax", split="valid")
    assert [tuple(reading) for reading in found.readings] == [("kl", "vanilla_kd", None, "test", "")]
    assert found.readings[0].source("own", "demo", 2) == "own/demo/vanilla_kd/seed2/truth.json"


def test_the_split_is_test_unless_said():
    assert quantity("bleu").readings[0].split == "test" and quantity("bleu", split="valid").readings[0].split == "valid"
    ladder = quantity("bracket/ratio_from", against={"systems": ["a"], "decoding": "beam5"}, split="valid")
    assert [tuple(reading) for reading in ladder.readings] == [
        ("parameters", "vanilla_kd", None, "valid", ""), ("bleu_tok", "vanilla_kd", "argmax", "valid", ""),
        ("parameters", "a", None, "valid", ""), ("bleu_tok", "a", "beam5", "valid", ""),
    ]  # fmt: skip
    assert value(quantity("bleu"), [20.5]) == 20.5


def test_the_corpora_that_a_table_names():
    table = {
        "cell": {"corpus": "a"},
        "columns": [{"cell": {"corpus": "b"}}, {}],
        "rows": [{"cell": {"corpus": "c"}, "cells": {"x": {"corpus": "d"}, "y": {}}}, {}],
    }
    assert sorted(corpora(table)) == ["a", "b", "c", "d"] and list(corpora({"cell": {"system": "x"}})) == []


def test_a_ratio_of_parameters_and_derived_columns():
    found = quantity("parameter_ratio", against={"systems": ["a"]})
    assert {tuple(reading)[0] for reading in found.readings} == {"parameters"}
    for kind in ("minus", "divide", "sum"):
        columns = [{"key": "gap", "label": "gap", kind: ["bleu", "zh"], "cell": {"metric": "bleu_tok"}}]
        assert cells(TABLE | {"columns": columns}, RUN) == []


def test_groups_of_lengths_are_asked_for_by_the_names_they_are_measured_under():
    assert [f"bleu_tok/{bucket}" for bucket in by_length.BUCKETS] == list(metrics.BLEU_BY_LENGTH)
    bands = torch.ones(2, 2 * positions.REACH + 1, 2)
    measured = positions.token_probability(bands, torch.tensor([5, 35]))
    assert [f"token_probability/{name}" for name in measured] == list(metrics.TOKEN_PROBABILITY)


def test_shares_that_are_shown_are_asked_for_by_the_names_they_are_measured_under():
    names = [f"revealed/{value}/{percent}" for percent in revealed.PERCENTS for value in ("bleu", "accuracy")]
    assert names == list(metrics.REVEALED)


def test_a_reading_says_which_sentences_it_is_about():
    for metric, sentences in (
        ("bleu_tok", ""), ("bleu_tok/10-19", "10-19"), ("token_probability/long/-1", "long"), ("loss", ""),
        ("reference_bleu/2", ""), ("speedup", ""),
    ):  # fmt: skip
        assert quantity(metric).readings[0].sentences == sentences


@pytest.mark.parametrize("kind", ["TRANSLATION", "LOSS", "IDEAL", "TARGET", "LATENCY"])
def test_every_metric_may_stand_in_a_table(kind, tmp_path):
    for metric in getattr(metrics, f"{kind}_METRICS"):
        write_table(tmp_path, metric)
        assert spec.load(tmp_path / "table.yaml")


@pytest.mark.parametrize(
    "metric", ["bleu_tok/10-20", "bleu_tok/", "token_probability/long", "token_probability/long/+0", "skipped"]
)
def test_what_nothing_measures_is_refused(metric, tmp_path):
    write_table(tmp_path, metric)
    with pytest.raises(UserError, match="metric"):
        spec.load(tmp_path / "table.yaml")


def write_table(folder, metric):
    columns = [{"key": "a", "label": "a", "cell": {"metric": metric, "sentence": 1, "sample": 1}}]
    table = {"table": "Table 1", "paper": "p", "title": "t", "columns": columns, "rows": [{"label": "r"}]}
    (folder / "table.yaml").write_text(json.dumps(table), encoding="utf-8")


def test_shares_of_what_is_skipped_are_shown_as_they_are_measured():
    assert value(quantity("skipped_targets"), [7.57]) == 7.57
    assert sources(quantity("skipped_predictions", split="test"), "demo", 1) == [
        "grammar_ende/demo/vanilla_kd/seed1/loss.json"
    ]


def test_texts_and_curves_are_read_of_files_of_their_own():
    of = {"corpus": "wmt14_ende", "system": "s", "decoding": "d", "split": "test", "sentence": 2, "sample": 3}
    expected = {
        "sample": ("d.test.samples.json", "sample/2/3"),
        "sample_allowed": ("d.test.samples.json", "sample_allowed/2/3"),
        "source": ("d.test.samples.json", "source/2"),
        "oracle_bleu": ("d.test.json", "oracle_bleu"),
        "ncm_outputs": ("d.test.json", "ncm_outputs"),
        "curve/nll_loss/20": ("curve.json", "curve/nll_loss/20"),
    }
    for metric, (file, key) in expected.items():
        quantity = resolved_description({**of, "metric": metric}, RUN)
        (reading,) = quantity.readings
        assert sources(quantity, "demo", 1) == [f"grammar_ende/demo/s/seed1/{file}"] and reading.key == key
