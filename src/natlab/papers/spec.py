"""A table's spec and a run's file, read and held to their schemas in ``workflow/schemas``."""

from pathlib import Path

from natlab.errors import UserError
from natlab.papers.cells import DERIVED, check_metric, check_places
from natlab.schema import known, one_line, read_yaml, validate

SCHEMAS = Path(__file__).resolve().parents[3] / "workflow" / "schemas"


def load(path: str | Path) -> dict:
    """The table spec in ``path``. UserError names the file, the key and what is allowed there."""
    spec = one_line(read_yaml(path))
    validate(spec, SCHEMAS / "table.schema.yaml", str(path))
    _check_columns(str(path), spec)
    _check_metrics(str(path), spec)
    check_places(str(path), spec)
    return spec


def kind(value: dict) -> str:
    """What a file of config/papers is: tables, figures or claims, as a run names it."""
    if "claims" in value:
        return "claims"
    return "figures" if "draw" in value else "tables"


def of_paper(spec: dict) -> bool:
    """Whether a table is one of the paper: one of ours has no column that the paper prints."""
    return not all(column.get("measured_only") for column in spec["columns"])


def load_run(path: str | Path) -> dict:
    """The run's file in ``path``; whether what it names exists is ``natlab check``'s concern."""
    run = read_yaml(path)
    validate(run, SCHEMAS / "run.schema.yaml", str(path))
    return run


def _check_metrics(path: str, spec: dict) -> None:
    """Something measures what the cells ask for."""
    check_metric(path, "cell", spec.get("cell", {}))
    for column in spec["columns"]:
        check_metric(path, f"columns.{column['key']}.cell", column.get("cell", {}))
    for number, row in enumerate(spec["rows"]):
        check_metric(path, f"rows.{number}.cell", row.get("cell", {}))
        for key, cell in row.get("cells", {}).items():
            check_metric(path, f"rows.{number}.cells.{key}", cell)


def _check_columns(path: str, spec: dict) -> None:
    """What a schema cannot say: keys are unique, and whatever refers to a column refers to one that is there."""
    keys = [column["key"] for column in spec["columns"]]
    printed = [column["key"] for column in spec["columns"] if not column.get("measured_only")]
    numbers = [column["key"] for column in spec["columns"] if not column.get("text")]
    for column in spec["columns"]:
        where = f"columns.{column['key']}"
        if keys.count(column["key"]) > 1:
            raise UserError(f"{path}: {where}: the key stands twice; every column needs its own")
        kinds = [kind for kind in ("cell", *DERIVED) if kind in column]
        if len(kinds) > 1:
            raise UserError(f"{path}: {where}: has {' and '.join(kinds)}; give one of them")
        for kind in DERIVED:
            for key in column.get(kind, ()):
                known(path, f"{where}.{kind}", key, numbers)
    for number, row in enumerate(spec["rows"]):
        for key in row.get("published", ()):
            known(path, f"rows.{number}.published", key, printed)
        for part in ("reference", "by_definition", "cells"):
            for key in row.get(part, ()):
                known(path, f"rows.{number}.{part}", key, keys)
        if row.get("ours") and "published" in row:
            raise UserError(f"{path}: rows.{number}: a row of ours has no published values; drop ours or published")
    for number, correlation in enumerate(spec.get("correlations", ())):
        swept = correlation.get("sweep", {})
        for key in (correlation["x"], correlation["y"], *(swept[name] for name in ("target", "bleu") if swept)):
            known(path, f"correlations.{number}", key, numbers)
    for label in spec.get("baseline", ()):
        known(path, "baseline", label, [row["label"] for row in spec["rows"]])
    draw = spec.get("draw", {})
    several = [key for name in ("series", "right", "across") for key in draw.get(name, ())]
    for key in (*several, *(draw[name] for name in ("value", "line", "x", "y") if name in draw)):
        known(path, "draw", key, numbers)
