"""`natlab tidy`: what under results/ nothing needs any more, how much that is, and, if asked, its end.

- Checkpoints of trainings that have ended and whose model is there. Their curves, settings and experiments stay.
- Checkpoints of trainings that were left for another: unfinished, with a later one of the same system and seed beside
  them that has other settings, data or code.
- Builds of the kernels before the last one.
- What killed processes left half written, and the parts of translations that are whole by now.

Nothing goes of a training that some process still holds.
"""

import argparse
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from natlab.errors import UserError
from natlab.files import read_json
from natlab.processes import alive

FINISHED, LEFT = "checkpoints of finished trainings", "checkpoints of trainings left for another"
BUILDS, HALF, PARTS = "earlier builds of the kernels", "half-written files", "parts of whole translations"
DAY = 86400  # seconds after which nobody writes any more at what is half written


class Needless(NamedTuple):
    """A file or folder that can go, and why."""

    why: str
    path: Path

    @property
    def size(self) -> int:
        """Bytes."""
        files = [self.path] if self.path.is_file() else [path for path in self.path.rglob("*") if path.is_file()]
        return sum(path.stat().st_size for path in files)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=Path, default=Path("results"), help="the folder to tidy")
    parser.add_argument("--delete", action="store_true", help="delete what it names; else it only says so")
    parser.add_argument("--paths", action="store_true", help="name each file and folder")


def run(args: argparse.Namespace) -> None:
    if not args.results.is_dir():
        raise UserError(f"{args.results}: no such folder; call it where Snakemake is called, or name --results")
    found = list(needless(args.results))
    for why in (FINISHED, LEFT, BUILDS, HALF, PARTS):
        of_kind = [each for each in found if each.why == why]
        if of_kind:
            print(f"{sum(each.size for each in of_kind) / 1e6:10.1f} MB  {len(of_kind):5d}  {why}")
        for each in of_kind if args.paths else ():
            print(f"    {each.path}")
    print(f"{sum(each.size for each in found) / 1e6:10.1f} MB  {len(found):5d}  in all")
    if not args.delete:
        print("nothing is deleted: --delete does that")
        return
    for each in found:
        if each.path.is_dir():
            shutil.rmtree(each.path)
        else:
            each.path.unlink()
    print("deleted")


def needless(results: Path) -> Iterator[Needless]:
    """All under a folder of results that can go."""
    for seed in sorted((results / "checkpoints").glob("*/*/*/seed*")):
        model = results / "models" / seed.relative_to(results / "checkpoints") / "model.pt"
        yield from _of_trainings(seed, model.exists())
    yield from _builds(results / "kernels")
    yield from _half_written(results)
    for parts in sorted((results / "translations").glob("*/*/*/seed*.parts")):
        if parts.with_suffix("").is_dir():
            yield Needless(PARTS, parts)


def _of_trainings(seed: Path, published: bool) -> Iterator[Needless]:
    """The checkpoints that can go of the trainings, a folder each, of one system and seed."""
    folders = [folder for folder in seed.iterdir() if folder.is_dir() and not _held(folder)]
    newest = max((_changed(folder) for folder in seed.iterdir() if folder.is_dir()), default=0.0)
    for folder in sorted(folders):
        finished = (folder / "finished.json").exists()
        why = FINISHED if finished and published else LEFT
        if why == FINISHED or (not finished and _changed(folder) < newest):
            yield from (Needless(why, path) for path in sorted(folder.glob("checkpoint_*")))


def _changed(folder: Path) -> float:
    """When the newest file of a folder was written."""
    return max((path.stat().st_mtime for path in folder.iterdir()), default=0.0)


def _held(folder: Path) -> bool:
    """Whether a process trains in a folder of checkpoints (`natlab.training.lock`)."""
    lock = folder / "lock"
    with suppress(FileNotFoundError):
        return alive(read_json(lock), time.time() - lock.stat().st_mtime)
    return False


def _builds(kernels: Path) -> Iterator[Needless]:
    """Builds but the one that built.json describes."""
    if not (kernels / "built.json").exists():
        return
    last = read_json(kernels / "built.json")["hash"]
    for manifest in sorted(kernels.glob("*/manifest.json")):
        if manifest.parent.name != last:
            yield Needless(BUILDS, manifest.parent)


def _half_written(results: Path) -> Iterator[Needless]:
    """Files and folders that were to take another's place (`natlab.files`), for a day untouched."""
    for path in sorted(results.rglob(".*.part")):
        if time.time() - path.stat().st_mtime > DAY and not any(of.name.endswith(".part") for of in path.parents):
            yield Needless(HALF, path)
