"""Which measurements a table's cells ask for."""

from pathlib import Path

import pytest

from natlab.report import spec
from natlab.report.cells import cells, sources

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
    assert found[0, "bleu"].decoding == "argmax" and found[0, "zh"].decoding == "lpd3"
    assert found[1, "bleu"].decoding == found[1, "zh"].decoding == "beam5"
    assert found[0, "bleu"].dataset == "grammar_ende" and found[0, "bleu"].system == "vanilla_raw"


def test_a_corpus_that_the_run_does_not_map_stays_empty():
    cell = resolved()[0, "zh"]
    assert cell.corpus == "wmt17_zhen" and cell.dataset is None and sources(cell, "demo", 1) == []


def test_a_system_that_the_run_does_not_build_stays_empty():
    found = resolved(RUN | {"systems": ["vanilla_raw", "transformer"]})
    assert found[2, "bleu"].dataset is None
    assert found[0, "bleu"].dataset == "grammar_ende"
    assert found[2, "exact"].dataset == "grammar_ende"


def test_rows_without_a_system_quoted_rows_and_derived_columns_ask_for_nothing():
    asked = set(resolved())
    assert {column for row, column in asked if row == 3} == {"exact"}
    assert not [column for row, column in asked if row == 4]
    assert not {column for _, column in asked} & {"target", "gap"}


def test_the_reference_is_not_measured_against_itself():
    assert (1, "speed") not in resolved() and (0, "speed") in resolved()


def test_sources_by_metric():
    found = resolved()
    assert sources(found[0, "bleu"], "demo", 2) == ["grammar_ende/demo/vanilla_raw/seed2/argmax.test.json"]
    assert sources(found[0, "loss"], "demo", 1) == ["grammar_ende/demo/vanilla_raw/seed1/loss.json"]
    assert sources(found[0, "speed"], "demo", 1) == ["grammar_ende/demo/vanilla_raw/seed1.latency.json"]
    assert sources(found[0, "exact"], "demo", 1) == []


def test_losses_are_of_the_validation_set_and_decode_nothing():
    cell = resolved()[0, "loss"]
    assert cell.split == "valid" and cell.decoding is None


def test_the_estimate_of_c_reads_two_systems():
    systems = {"at": "transformer", "nat": "vanilla_raw"}
    table = {
        "columns": [{"key": "c", "label": "C", "cell": {"metric": "conditional_tc", "systems": systems}}],
        "rows": [{"label": "WMT14 En-De", "cell": {"corpus": "wmt14_ende"}}],
    }
    (cell,) = cells(table, RUN)
    assert cell.systems == systems and cell.system is None and cell.decoding is None
    assert sources(cell, "demo", 1) == [
        "grammar_ende/demo/transformer/seed1/loss.json",
        "grammar_ende/demo/vanilla_raw/seed1/loss.json",
    ]
    (half,) = cells(table, RUN | {"systems": ["transformer"]})
    assert half.dataset is None


@pytest.mark.parametrize("path", sorted(PAPERS.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_shipped_tables_are_valid_and_ask_for_measurements(path):
    table = spec.load(path)
    corpora = {cell.corpus: "some_dataset" for cell in cells(table, RUN)}
    asked = cells(table, RUN | {"corpora": corpora})
    assert asked and all(cell.dataset == "some_dataset" for cell in asked)
