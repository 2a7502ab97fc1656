"""A paper's claims, read and held to their schema; which cells and tables they are about."""

from collections.abc import Mapping
from pathlib import Path

from natlab.errors import UserError
from natlab.papers.cells import CONDITIONAL_TC, TEXTS, Cell, check_metric, resolved
from natlab.papers.spec import SCHEMAS
from natlab.schema import known, one_line, read_yaml, validate


class Compared(Cell):
    """A cell of a comparison; ``row`` is the part's number, from 0, ``column`` the claim's id."""

    @property
    def where(self) -> str:
        return f"claim {self.column}, part {self.row + 1}"


def load(path: str | Path) -> dict:
    """The claims in ``path``. UserError names the file, the key and what is allowed there."""
    stated = one_line(read_yaml(path))
    validate(stated, SCHEMAS / "claims.schema.yaml", str(path))
    for claim in stated["claims"]:
        for number, part in enumerate(claim["parts"], 1):
            for description in _cells(stated, part):
                check_metric(str(path), f"claim {claim['id']}, part {number}", description)
                if description.get("metric") in TEXTS:
                    raise UserError(f"{path}: claim {claim['id']}, part {number}: a text is neither higher nor lower")
                system = "systems" if description.get("metric") == CONDITIONAL_TC else "system"
                for key in ("metric", "corpus", system):
                    if key not in description:
                        raise UserError(f"{path}: claim {claim['id']}, part {number}: key {key} is missing; add it")
    return stated


def cells(stated: Mapping, run: Mapping) -> list[Compared]:
    """All cells that the claims' comparisons ask for, as ``run`` resolves them."""
    return [
        Compared(number, claim["id"], resolved(description, run))
        for claim in stated["claims"]
        for number, part in enumerate(claim["parts"])
        for description in _cells(stated, part)
    ]


def tables_named(stated: Mapping) -> list[str]:
    """The tables that the claims are about, each once."""
    specs = [_of_table(part) for claim in stated["claims"] for part in claim["parts"]]
    return list(dict.fromkeys(spec["table"] for spec in specs if spec))


def check_columns(file: str, stated: Mapping, name: str, table: Mapping) -> None:
    """Refuse claims, the content of ``file``, about columns that the table of this name does not have."""
    keys = [column["key"] for column in table["columns"] if not column.get("text")]
    swept = [(spec["x"], spec["y"]) for spec in table.get("correlations", ()) if "sweep" in spec]
    for claim in stated["claims"]:
        for number, part in enumerate(claim["parts"], 1):
            of = _of_table(part)
            if of and of["table"] == name:
                for role in ("x", "y", "weaker_than"):
                    if role in of:
                        known(file, f"claim {claim['id']}, part {number}: {role}", of[role], keys)
                if of.get("swept") and (of["x"], of["y"]) not in swept:
                    raise UserError(
                        f"{file}: claim {claim['id']}, part {number}: {name} sweeps no β of {of['x']} with {of['y']}; "
                        "drop swept, or add the sweep to its correlations"
                    )


def measurements_of(stated: Mapping, reports: str | Path, run: str) -> list[Path]:
    """The measurements that say how far seeds lie apart: of the runs named, other than this one, that have a report."""
    named = [Path(reports) / name / "measurements.csv" for name in stated.get("deviation", ()) if name != run]
    return [path for path in named if path.exists()]


def compared(stated: Mapping, part: Mapping) -> list[list[dict]]:
    """What a comparison compares, the claimed highest or lowest first: each the description of a cell, or of two, of
    which the value is the first less the second."""
    of = part.get("comparison")
    given = [of.get("higher") or of["lower"], *of["than"]] if of else []
    values = [value if isinstance(value, list) else [value] for value in given]
    return [[{**stated.get("cell", {}), **description} for description in value] for value in values]


def _cells(stated: Mapping, part: Mapping) -> list[dict]:
    """The descriptions of all cells of a comparison."""
    return [description for value in compared(stated, part) for description in value]


def _of_table(part: Mapping) -> Mapping | None:
    return part.get("order") or part.get("correlation")
