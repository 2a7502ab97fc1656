"""Pearson's r below a table: what the paper's printed values give, the interval, the sweep of β."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from natlab.papers import spec
from natlab.report import correlation
from natlab.report.correlation import (
    Correlation,
    confidence_at_most,
    interval,
    of_columns,
    pearson,
    sweep,
    weaker,
    williams,
)
from natlab.report.filled import Entry, Table, build

PAPERS = Path(__file__).resolve().parents[2] / "config" / "papers" / "mple"
RUN = {"run": "r", "scale": "demo", "seeds": [1], "corpora": {"none": "none"}}


def shipped(name, tmp_path):
    return build(spec.load(PAPERS / f"{name}.yaml"), RUN, tmp_path, tmp_path)


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
    (spec,) = table.spec["correlations"]
    found = sweep(table, spec, "published")
    assert min(found) == 0.1 and max(found) == 0.5
    assert all(result.r <= -0.8 for result in found.values())
    # with the paper's own β nothing changes but by rounding
    assert found[0.2].r == pytest.approx(of_columns(table, "l_mple", "bleu", "published").r, abs=1e-3)


def test_the_papers_values_on_zh_en_do_not_correlate_so_over_all_betas(tmp_path):
    """What claim b_beta says of them."""
    table = shipped("table7", tmp_path)
    found = sweep(table, table.spec["correlations"][0], "published")
    assert found[0.5].r == pytest.approx(-0.575, abs=1e-3) and found[0.1].r == pytest.approx(-0.655, abs=1e-3)


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
        entries |= {(number, key): Entry(measured=value) for key, value in values.items()}
    return Table({"columns": columns, "rows": [{"label": "x"} for _ in rows]}, RUN, entries)


def test_a_sweep_of_measured_values_weighs_their_bleu_anew():
    rows = [(4.4, 32.0, 12.0), (2.4, 35.0, 21.0), (0.8, 26.0, 18.0), (1.1, 31.0, 22.0), (1.0, 22.0, 15.0)]
    spec = {"x": "l_mple", "y": "bleu", "sweep": {"target": "l_target", "bleu": "target_bleu", "betas": [0, 0.2, 0.4]}}
    found = sweep(measured_table(rows), spec, "measured")
    for beta, result in found.items():
        assert result.r == pytest.approx(pearson([(l_nat - beta * t, bleu) for l_nat, t, bleu in rows]).r)
    assert len({round(result.r, 6) for result in found.values()}) == 3


def test_rows_of_ours_and_quoted_ones_do_not_count():
    table = measured_table([(4.0, 30.0, 10.0), (3.0, 30.0, 13.0), (2.0, 30.0, 15.0), (1.0, 30.0, 99.0)])
    all_rows = of_columns(table, "l_mple", "bleu", "measured")
    table.spec["rows"][3]["ours"] = True
    assert all_rows.n == 4 and of_columns(table, "l_mple", "bleu", "measured").n == 3
    table.spec["rows"][3] = {"label": "x", "quoted": True}
    assert of_columns(table, "l_mple", "bleu", "measured").n == 3


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


def test_confidence_is_fishers():
    """A limit at the end of a 90 % interval leaves 5 % on the other side of it."""
    low, high = interval(-0.7, 12, 0.9)
    assert confidence_at_most(Correlation(-0.7, 12, None), high) == pytest.approx(0.95)
    assert confidence_at_most(Correlation(-0.7, 12, None), low) == pytest.approx(0.05)
    assert confidence_at_most(Correlation(-0.7, 3, None), 0.0) is None
    assert confidence_at_most(Correlation(-1.0, 5, None), -0.9) == 1
    assert confidence_at_most(Correlation(1.0, 5, None), -0.9) == 0


def test_a_correlation_of_the_wrong_sign_is_not_strong():
    assert confidence_at_most(Correlation(0.95, 8, None), -0.9) < 1e-6
    assert confidence_at_most(Correlation(-0.95, 8, None), -0.9) > 0.7


def test_at_the_limit_a_twentieth_of_samples_are_called_beyond_it():
    """Eight rows of two normal variables of correlation −0.9; Fisher's z is near, not exact, with so few."""
    rng = np.random.default_rng(3)
    sure = 0
    for _ in range(2000):
        x, noise = rng.standard_normal((2, 8))
        found = pearson(list(zip(x, -0.9 * x + math.sqrt(1 - 0.81) * noise, strict=True)))
        sure += confidence_at_most(found, -0.9) >= 0.95
    assert 0.03 < sure / 2000 < 0.08


def test_williams_t_by_hand():
    """Steiger (1980), 103 cases with 0.4, 0.5 and 0.1: |R| = 1 − 0.16 − 0.25 − 0.01 + 0.04 = 0.62, the mean r 0.45,
    t = −0.1 sqrt(102 · 1.1 / (2 · 102 / 100 · 0.62 + 0.2025 · 0.729)); R's psych::r.test prints −0.89 for it."""
    t = williams(0.4, 0.5, 0.1, 103)
    assert t == pytest.approx(-0.1 * math.sqrt(112.2 / (1.2648 + 0.14762)), rel=1e-4) == pytest.approx(-0.891, abs=1e-3)
    assert williams(0.5, 0.4, 0.1, 103) == pytest.approx(-t)
    assert williams(0.4, 0.4, 0.1, 103) == 0 and williams(0.4, 0.5, 0.1, 3) is None


def two_columns(rows):
    """A table of rows (x, y, z)."""
    rows = list(rows)
    entries = {(n, key): Entry(measured=v) for n, row in enumerate(rows) for key, v in zip("xyz", row, strict=True)}
    return Table({"columns": [], "rows": [{"label": "r"} for _ in rows]}, RUN, entries)


def test_the_weaker_correlation_is_the_one_that_is_less_negative():
    xs = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    strong = [-x + e for x, e in zip(xs, (0.1, -0.2, 0.1, 0.1, -0.1, 0.1, -0.1), strict=True)]
    loose = [3.0, -2.0, 2.5, -3.0, 1.0, -1.0, 0.5]
    found = weaker(two_columns(zip(xs, loose, strong, strict=True)), "x", "y", "z")
    assert found.confidence > 0.99 and found.t > 0 and found.other.r < -0.99
    found = weaker(two_columns(zip(xs, strong, loose, strict=True)), "x", "y", "z")
    assert found.confidence < 0.01


def test_a_correlation_of_the_wrong_sign_is_weaker_however_large():
    xs = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    wrong = [x + e for x, e in zip(xs, (0.1, -0.2, 0.1, 0.1, -0.1, 0.1, -0.1), strict=True)]
    loose = [0.0, 1.0, -2.0, 0.5, -1.0, 1.0, -1.5]
    found = weaker(two_columns(zip(xs, wrong, loose, strict=True)), "x", "y", "z")
    assert found.found.r > 0.9 and -0.5 < found.other.r < 0 and found.confidence > 0.95


def test_equal_correlations_are_a_tie():
    rows = [(x, y, y) for x, y in zip((1.0, 2.0, 3.0, 4.0, 5.0), (5.0, 3.0, 4.0, 1.0, 2.0), strict=True)]
    assert weaker(two_columns(rows), "x", "y", "z").confidence == pytest.approx(0.5)


def test_of_two_equal_correlations_a_twentieth_of_samples_call_one_the_weaker():
    rng = np.random.default_rng(6)
    sure = 0
    for _ in range(1500):
        x, e, f = rng.standard_normal((3, 7))
        sure += weaker(two_columns(zip(x, e - x, f - x, strict=True)), "x", "y", "z").confidence >= 0.95
    assert sure / 1500 == pytest.approx(0.05, abs=0.02)


def test_notes_word_by_word():
    table = measured_table([(4.4, 32.0, 12.0), (2.4, 35.0, 21.0), (0.8, 26.0, 18.0)])
    swept = {"target": "l_target", "bleu": "target_bleu", "betas": [0, 0.2], "published_beta": 0.2}
    table.spec["correlations"] = [
        {"x": "l_mple", "y": "bleu", "printed": 0.9, "sweep": swept},
        {"x": "l_target", "y": "l_mple"},
    ]
    r, besides = (of_columns(table, *keys, "measured").r for keys in (("l_mple", "bleu"), ("l_target", "l_mple")))
    without = sweep(table, table.spec["correlations"][0], "measured")[0].r
    r, besides, without = (f"{value:.3f}".replace("-", "−") for value in (r, besides, without))
    assert correlation.notes(table) == [
        f"Pearson's r of l_mple with bleu: measured {r} (3 rows), published –; the paper prints |r| = 0.9.",
        f"The same r, measured, with β of 0: {without}, 0.2: {r}.",
        f"Pearson's r of l_target with l_mple: measured {besides} (3 rows), published –.",
    ]
    assert correlation.said(Correlation(-0.5, 9, (-0.8, 0.1))) == "−0.500 (9 rows; 95% CI −0.800 to 0.100)"
