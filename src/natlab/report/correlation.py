"""Pearson's r between two columns of a table, over its rows, with a confidence interval; and how it changes with β.

What a table's ``correlations`` ask for; the result stands below the table. Rows of ours and quoted ones do not count.
"""

from collections.abc import Sequence
from math import atanh, copysign, inf, sqrt, tanh
from statistics import NormalDist, correlation
from typing import NamedTuple

from scipy.special import stdtr

from natlab.papers.spec import of_paper
from natlab.report.filled import Table

CONFIDENCE = 0.95


class Correlation(NamedTuple):
    """Pearson's ``r`` over ``n`` rows and its confidence interval, None with fewer than four rows."""

    r: float
    n: int
    interval: tuple[float, float] | None


def pearson(pairs: Sequence[tuple[float, float]]) -> Correlation | None:
    """Pearson's r of (x, y) pairs; None with fewer than three or where x or y is the same in all."""
    if len(pairs) < 3 or any(len(set(values)) == 1 for values in zip(*pairs, strict=True)):
        return None
    r = max(-1.0, min(1.0, correlation(*zip(*pairs, strict=True))))
    return Correlation(r, len(pairs), interval(r, len(pairs)))


def interval(r: float, n: int, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """The confidence interval of a correlation over n pairs by Fisher's z: atanh r ± q / sqrt(n - 3)."""
    if n < 4:
        return None
    if abs(r) == 1:
        return r, r
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) / sqrt(n - 3)
    return tanh(atanh(r) - reach), tanh(atanh(r) + reach)


def confidence_at_most(found: Correlation, limit: float) -> float | None:
    """How sure it is that the correlation of which r is a sample is at most ``limit``, from 0 to 1, by Fisher's z; None
    with fewer than four rows."""
    if found.n < 4:
        return None
    if abs(found.r) == 1 or abs(limit) == 1:
        return float(found.r <= limit)
    return NormalDist().cdf((atanh(limit) - atanh(found.r)) * sqrt(found.n - 3))


def williams(r_xy: float, r_xz: float, r_yz: float, n: int) -> float | None:
    """Williams' t of r_xy - r_xz, two correlations over the same n rows, with n - 3 degrees of freedom (Williams 1959;
    Steiger 1980, equation 7); None with fewer than four rows."""
    if n < 4:
        return None
    determinant = 1 - r_xy**2 - r_xz**2 - r_yz**2 + 2 * r_xy * r_xz * r_yz
    mean = (r_xy + r_xz) / 2
    square = 2 * (n - 1) / (n - 3) * max(determinant, 0.0) + mean**2 * (1 - r_yz) ** 3
    difference = r_xy - r_xz
    if difference == 0:
        return 0.0
    return difference * sqrt((n - 1) * (1 + r_yz) / square) if square else copysign(inf, difference)


class Weaker(NamedTuple):
    """``found``, r of x with y, against ``other``, r of x with another column, and whether the first is the weaker one:
    Williams' ``t`` and the confidence that it gives, None where there are too few rows."""

    found: Correlation
    other: Correlation
    t: float | None
    confidence: float | None


def weaker(table: Table, x: str, y: str, other: str) -> Weaker | None:
    """Whether x's correlation with y is weaker than that with ``other``, both claimed to be negative: the strength of a
    correlation is then -r, so that one of the wrong sign is weaker than any of the right one."""
    rows = _rows(table, "measured", (x, y, other))
    found, besides, between = (pearson([(row[a], row[b]) for row in rows]) for a, b in ((x, y), (x, other), (y, other)))
    if found is None or besides is None or between is None:
        return None
    t = williams(found.r, besides.r, between.r, len(rows))
    return Weaker(found, besides, t, None if t is None else float(stdtr(len(rows) - 3, t)))


def of_columns(table: Table, x: str, y: str, kind: str) -> Correlation | None:
    """Between two columns' values of one ``kind``, "measured" or "published"."""
    return pearson([(row[x], row[y]) for row in _rows(table, kind, (x, y))])


def sweep(table: Table, spec: dict, kind: str) -> dict[float, Correlation]:
    """r for each β of a correlation's ``sweep`` (MPLE, section 4.2), which changes only x's part -β S (equation 14).

    Of measured values S is a column; of published ones it follows from the β that the paper used.
    """
    swept = spec["sweep"]
    rows = _rows(table, kind, (spec["x"], spec["y"], swept["target"], *([swept["bleu"]] if kind == "measured" else [])))
    found = {}
    for beta in swept["betas"]:
        pairs = []
        for row in rows:
            bleu = row[swept["bleu"]] if kind == "measured" else -row[swept["target"]] / swept["published_beta"]
            pairs.append((row[spec["x"]] - row[swept["target"]] - beta * bleu, row[spec["y"]]))
        if result := pearson(pairs):
            found[beta] = result
    return found


def notes(table: Table) -> list[str]:
    """What a table's correlations come to, a line each, ready to stand below it."""
    labels = {column["key"]: column["label"] for column in table.spec["columns"]}
    kinds = ("measured", "published") if of_paper(table.spec) else ("measured",)
    text = []
    for spec in table.spec.get("correlations", ()):
        parts = [
            f"{kind} {said(result)}" if (result := of_columns(table, spec["x"], spec["y"], kind)) else f"{kind} –"
            for kind in kinds
        ]
        printed = f"; the paper prints |r| = {spec['printed']}" if "printed" in spec else ""
        text.append(f"Pearson's r of {labels[spec['x']]} with {labels[spec['y']]}: {', '.join(parts)}{printed}.")
        for kind in kinds if "sweep" in spec else ():
            if swept := sweep(table, spec, kind):
                values = ", ".join(f"{beta:g}: {number(result.r)}" for beta, result in swept.items())
                text.append(f"The same r, {kind}, with β of {values}.")
    return text


def _rows(table: Table, kind: str, keys: Sequence[str]) -> list[dict[str, float]]:
    """The values of the paper's own rows that have numbers in all of the columns."""
    found = []
    for number, row in enumerate(table.spec["rows"]):
        values = {key: getattr(table.entries[number, key], kind) for key in keys}
        own = not row.get("ours") and not row.get("quoted")
        if own and all(isinstance(value, int | float) for value in values.values()):
            found.append(values)
    return found


def said(result: Correlation) -> str:
    """r with its number of rows and its confidence interval."""
    within = f"; {CONFIDENCE:.0%} CI {' to '.join(map(number, result.interval))}" if result.interval else ""
    return f"{number(result.r)} ({result.n} rows{within})"


def number(r: float) -> str:
    return f"{r:.3f}".replace("-", "−")
