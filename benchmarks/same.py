"""Whether two checkouts' results are the same to the last bit: what a rebuild that should change no figure left
unchanged.

    python -m benchmarks.same BEFORE/results AFTER/results

Of every model, translation and table that both have: parameters tensor by tensor, in their order, as names may change;
translations as text; the tables' values but the timed ones. The exit status is 1 where anything differs.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

TIMED = "speedup"  # in the key of a column of what a clock has measured


def parameters(path: Path) -> list[torch.Tensor]:
    return list(torch.load(path, map_location="cpu", weights_only=True)["parameters"].values())


def models(before: Path, after: Path) -> Iterator[tuple[str, int, int]]:
    """(model, tensors that are equal, tensors there are)."""
    for path in sorted(before.glob("models/*/*/*/seed*/model.pt")):
        name = path.relative_to(before)
        if (after / name).exists():
            ours, theirs = parameters(path), parameters(after / name)
            equal = sum(torch.equal(a, b) for a, b in zip(ours, theirs, strict=False))
            yield str(name.parent), equal, max(len(ours), len(theirs))


def texts(before: Path, after: Path) -> Iterator[tuple[str, int, int]]:
    """(translation, lines that are equal, lines there are)."""
    for path in sorted(before.glob("translations/*/*/*/seed*/*.txt")):
        name = path.relative_to(before)
        if (after / name).exists():
            ours, theirs = (file.read_text(encoding="utf-8").splitlines() for file in (path, after / name))
            yield str(name), sum(a == b for a, b in zip(ours, theirs, strict=False)), max(len(ours), len(theirs))


def tables(before: Path, after: Path) -> Iterator[tuple[str, int, int]]:
    """(table, values that are equal, values there are), of the reports of the runs that both have made."""
    for path in sorted((before.parent / "reports").glob("*/tables/*.csv")):
        other = after.parent / path.relative_to(before.parent)
        made = all((of / "settings" / f"{path.parts[-3]}.json").exists() for of in (before, after))
        if made and other.exists():
            ours, theirs = (values(file) for file in (path, other))
            yield f"{path.parts[-3]} {path.stem}", len(ours & theirs), len(ours | theirs)


def values(path: Path) -> set[tuple[str, ...]]:
    """The rows of a table's CSV but those of timed columns."""
    with open(path, encoding="utf-8", newline="") as file:
        return {tuple(row) for row in csv.reader(file) if not any(TIMED in cell for cell in row)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    args = parser.parse_args()
    differ = 0
    for unit, of in (("tensors", models), ("lines", texts), ("values", tables)):
        for name, equal, there in of(args.before, args.after):
            differ += equal != there
            print(f"{'same  ' if equal == there else 'DIFFER'} {equal} of {there} {unit}  {name}")
    sys.exit(f"{differ} differ" if differ else 0)


if __name__ == "__main__":
    main()
