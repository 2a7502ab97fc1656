"""Pearson's r below a table: what the paper's printed values give, the interval, the sweep of β."""

import math
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from natlab.report import correlation, spec, tables
from natlab.report.correlation import interval, of_columns, pearson, sweep

PAPERS = Path(__file__).resolve().parents[2] / "config" / "papers" / "mple"
RUN = {"run": "r", "scale": "demo", "seeds": [1], "corpora": {"none": "none"}}


def shipped(name, tmp_path):
    return tables.build(spec.load(PAPERS / f"{name}.yaml"), RUN, tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("name", "y", "r"),
    [
        ("table2", "bleu", 0.991),
        ("table3", "sample", 0.994),
        ("table3", "default", 0.338),  # printed as 0.37
        ("table7", "bleu", 0.960),
        ("table8", "sample", 0.992),
        ("table8", "default", 0.354),
    ],
)
def test_the_papers_rounded_values_give_the_papers_correlations(name, y, r, tmp_path):
    found = of_columns(shipped(name, tmp_path), "l_mple", y, "published")
    assert found.r == pytest.approx(-r, abs=0.001)
    assert found.n == {"table2": 8, "table3": 7, "table7": 8, "table8": 7}[name]


def test_the_papers_values_correlate_over_the_betas_of_section_4_2(tmp_path):
    table = shipped("table2", tmp_path)
    (asked,) = table.spec["correlations"]
    found = sweep(table, asked, "published")
    assert min(found) == 0.1 and max(found) == 0.5
    assert all(result.r <= -0.8 for result in found.values())
    # with the paper's own β nothing changes but by rounding
    assert found[0.2].r == pytest.approx(of_columns(table, "l_mple", "bleu", "published").r, abs=1e-3)


def test_notes_say_what_was_measured_and_what_the_paper_prints(tmp_path):
    first, *further = correlation.notes(shipped("table3", tmp_path))
    assert "L_MPLE with Sample: measured –, published −0.994 (7 rows; 95% CI −0.999 to −0.956)" in first
    assert "|r| = 0.99" in first and len(further) == 1 and "|r| = 0.37" in further[0]


def measured_table(rows):
    """A table of rows (l_nat, BLEU of the target, BLEU of the system), measured with β = 0.2."""
    columns = [{"key": key, "label": key} for key in ("l_mple", "l_target", "target_bleu", "bleu")]
    entries = {}
    for number, (l_nat, target, bleu) in enumerate(rows):
        values = {"l_mple": l_nat - 0.2 * target, "l_target": -0.2 * target, "target_bleu": target, "bleu": bleu}
        entries |= {(number, key): tables.Entry(measured=value) for key, value in values.items()}
    return tables.Table({"columns": columns, "rows": [{"label": "x"} for _ in rows]}, RUN, entries)


def test_a_sweep_of_measured_values_weighs_their_bleu_anew():
    rows = [(4.4, 32.0, 12.0), (2.4, 35.0, 21.0), (0.8, 26.0, 18.0), (1.1, 31.0, 22.0), (1.0, 22.0, 15.0)]
    asked = {"x": "l_mple", "y": "bleu", "sweep": {"target": "l_target", "bleu": "target_bleu", "betas": [0, 0.2, 0.4]}}
    found = sweep(measured_table(rows), asked, "measured")
    for beta, result in found.items():
        assert result.r == pytest.approx(pearson([(l_nat - beta * t, bleu) for l_nat, t, bleu in rows]).r)
    assert len({round(result.r, 6) for result in found.values()}) == 3


def test_rows_of_ours_and_quoted_ones_do_not_count():
    table = measured_table([(4.0, 30.0, 10.0), (3.0, 30.0, 13.0), (2.0, 30.0, 15.0), (1.0, 30.0, 99.0)])
    all_rows = of_columns(table, "l_mple", "bleu", "measured")
    table.spec["rows"][3]["ours"] = True
    assert all_rows.n == 4 and of_columns(table, "l_mple", "bleu", "measured").n == 3


@pytest.mark.parametrize("pairs", [[], [(1, 2), (3, 4)], [(1, 1), (1, 2), (1, 3)], [(1, 5), (2, 5), (3, 5)]])
def test_no_correlation_of_too_few_pairs_or_of_constants(pairs):
    assert pearson(pairs) is None


def test_interval_is_fishers():
    # Fisher's z of 0.5 is 0.5493; with 28 pairs its standard error is a fifth
    low, high = interval(0.5, 28)
    assert math.atanh(low) == pytest.approx(0.5493 - 1.96 / 5, abs=1e-3)
    assert math.atanh(high) == pytest.approx(0.5493 + 1.96 / 5, abs=1e-3)
    assert interval(0.5, 3) is None


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=12))
def test_r_is_symmetric_bounded_and_within_its_interval(pairs):
    found = pearson(pairs)
    assume(found is not None)
    assert found.r == pytest.approx(pearson([(y, x) for x, y in pairs]).r) and -1 <= found.r <= 1
    assert pearson([(-x, 3 * y + 1) for x, y in pairs]).r == pytest.approx(-found.r)
    if found.interval:
        low, high = found.interval
        assert -1 <= low <= found.r <= high <= 1
