"""Specs filled with measurements: means, deviations, differences, and cells that stay empty."""

from statistics import stdev

import pytest
from tests.report.example import AT, NAT, RUN, SPEC, built, measurement

from natlab.files import write_json
from natlab.papers import cells
from natlab.report.filled import build


def test_mean_and_sample_deviation_over_seeds(results):
    entry = built(results).entries[0, "at"]
    assert entry.measured == pytest.approx(94 / 3) and entry.std == pytest.approx(stdev(AT.values()))
    assert entry.seeds == (1, 2, 3) and entry.sentences == 1000 and entry.signature == "nrefs:1|tok:none"
    assert (entry.dataset, entry.system, entry.decoding) == ("grammar_ende", "transformer", "beam5")


def test_difference_is_measured_less_published(results):
    found = built(results).entries
    assert found[0, "at"].difference == pytest.approx(94 / 3 - 27.11) and found[0, "at"].difference > 0
    assert found[0, "c"].difference == pytest.approx(1.7 - 2.5) and found[0, "c"].difference < 0
    assert found[0, "c_exact"].difference is None


def test_conditional_tc_is_nat_with_its_length_less_at(results):
    entry = built(results).entries[0, "c"]
    assert entry.measured == pytest.approx((1.6 + 1.7 + 1.8) / 3) and entry.std == pytest.approx(0.1)
    assert entry.system == "transformer and vanilla_raw"


def test_derived_columns_are_taken_seed_by_seed(results):
    found = built(results).entries
    gaps = [AT[seed] - NAT[seed] for seed in RUN["seeds"]]
    assert found[0, "gap"].measured == pytest.approx(sum(gaps) / 3)
    assert found[0, "gap"].std == pytest.approx(stdev(gaps))
    assert found[0, "ratio"].measured == pytest.approx(1.7 / 1.25)


def test_exact_values_have_no_seeds_and_no_deviation(results):
    entry = built(results).entries[0, "c_exact"]
    assert (entry.measured, entry.std, entry.seeds) == (1.25, None, ())


def test_exact_values_are_of_valid_or_of_the_split_that_is_named(tmp_path):
    spec = {
        "columns": [
            {"key": key, "label": key, "cell": {"metric": metric, "corpus": "own"}}
            for key, metric in (("valid", "exact/entropy"), ("test", "exact/test/entropy"), ("none", "exact/test/c"))
        ],
        "rows": [{"label": "x"}],
    }
    write_json(tmp_path / "c/own/text/exact.json", {"entropy": 1.0, "c": 3.0, "test": {"entropy": 2.0}})
    run = {"scale": "demo", "seeds": [1], "corpora": {"own": "own"}}
    found = build(spec, run, tmp_path / "m", tmp_path / "c").entries
    assert [found[0, key].measured for key in ("valid", "test", "none")] == [1.0, 2.0, None]


def test_a_ratio_to_zero_stays_empty(results):
    write_json(results / "c/grammar_ende/text/exact.json", {"conditional_tc": 0.0})
    found = built(results).entries
    assert found[0, "c_exact"].measured == 0 and found[0, "ratio"].measured is None


def test_a_metric_the_measurement_lacks_stays_empty(results):
    measurement(results / "m", "grammar_ende", "transformer", 1, "beam5.test", {"bleu": {"value": 1.0, "unit": "BLEU"}})
    assert built(results).entries[0, "at"].seeds == (2, 3)


def test_a_sum_takes_what_holds_by_definition_and_beta_weighs_bleu(tmp_path):
    spec = {
        "cell": {"corpus": "own", "system": "x"},
        "columns": [
            {"key": "input", "label": "L_input", "cell": {"metric": "l_input"}},
            {"key": "nat", "label": "L_NAT", "cell": {"metric": "loss"}},
            {"key": "target", "label": "L_target", "cell": {"metric": "l_target", "beta": 0.1}},
            {"key": "mple", "label": "L_MPLE", "sum": ["input", "nat", "target"]},
        ],
        "rows": [{"label": "vanilla", "by_definition": {"input": 0}}, {"label": "cmlm"}],
    }
    for seed, loss in ((1, 2.0), (2, 3.0)):
        values = {"loss": {"value": loss}, **({"l_input": {"value": 0.5}} if seed == 1 else {})}
        measurement(tmp_path / "m", "own", "x", seed, "loss", values)
        measurement(tmp_path / "m", "own", "x", seed, "target", {"target_bleu": {"value": 30.0 + seed}})
    found = build(spec, RUN, tmp_path / "m", tmp_path / "c").entries
    assert found[0, "target"].measured == pytest.approx(-3.15) and found[0, "target"].seeds == (1, 2)
    assert found[0, "mple"].measured == pytest.approx(0 + 2.5 - 3.15) and found[0, "mple"].seeds == (1, 2)
    assert found[1, "mple"].measured == pytest.approx(0.5 + 2.0 - 3.1) and found[1, "mple"].seeds == (1,)
    assert (found[0, "input"].measured, found[0, "input"].seeds) == (0, ())


def test_latency_is_read_by_decoding(tmp_path):
    spec = {
        "rows": [{"label": "x", "cell": {"system": "glat_kd", "decoding": "lpd3", "corpus": "own"}}],
        "columns": [{"key": "speed", "label": "speed", "cell": {"metric": "speedup"}}],
    }
    values = {f"speedup/{name}": {"value": value, "unit": "x"} for name, value in (("argmax", 6.0), ("lpd3", 5.5))}
    write_json(tmp_path / "m/own/demo/glat_kd/seed1.latency.json", {"values": values, "sentences": 100})
    assert built(tmp_path, spec).entries[0, "speed"].measured == 5.5


def test_every_source_of_a_cell_is_read(results):
    """Taking away any file that `sources` names empties a cell's seed: tables read these and no others."""
    for cell in cells.cells(SPEC, RUN):
        for source in cells.sources(cell, "demo", 1):
            path = results / "m" / source
            if path.exists():
                path.rename(path.with_suffix(".away"))
                assert 1 not in built(results).entries[cell.row, cell.column].seeds
                path.with_suffix(".away").rename(path)
