"""`natlab tidy`: what under results/ nothing needs any more, how much that is, and, if asked, its end.

- Checkpoints of trainings that have ended and whose model is there. Their curves, settings and experiments stay. Asked
  for again, they are trained anew.
- Checkpoints of trainings that were left for another of the same system and seed that has ended, whose model is there.
- Builds of the kernels before the last one, a day old.
- What killed processes left half written, for a day untouched.
- The parts of translations that are whole by now.

Nothing goes of a training that some process holds.
"""

import argparse
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from natlab import processes
from natlab.errors import UserError
from natlab.files import read_json

FINISHED, LEFT = "checkpoints of finished trainings", "checkpoints of trainings left for another"
BUILDS, HALF, PARTS = "earlier builds of the kernels", "half-written files", "parts of whole translations"
DAY = 86400  # seconds after which nobody writes any more at what is half written
# where natlab writes files aside
WRITTEN = ("bundles", "candidates", "checkpoints", "corpora", "distilled", "downloads", "measurements", "models")
WRITTEN += ("graphs", "packages", "surfaces", "translations")


class Needless(NamedTuple):
    """A file or folder that can go, and why; ``training``: the folder of the training that it is of."""

    why: str
    path: Path
    training: Path | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(_stats(path)[0] for path in _inside(self.path))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=Path, default=Path("results"), help="the folder to tidy")
    parser.add_argument("--delete", action="store_true", help="delete what it names; else it only says so")
    parser.add_argument("--paths", action="store_true", help="name each file and folder")


def run(args: argparse.Namespace) -> None:
    if not args.results.is_dir():
        raise UserError(f"{args.results}: no such folder; call it where Snakemake is called, or name --results")
    found = [(each, each.size) for each in needless(args.results)]
    for why in (FINISHED, LEFT, BUILDS, HALF, PARTS):
        of_kind = [pair for pair in found if pair[0].why == why]
        if of_kind:
            print(f"{sum(size for _, size in of_kind) / 1e6:10.1f} MB  {len(of_kind):5d}  {why}")
        for each, _ in of_kind if args.paths else ():
            print(f"    {each.path}")
    print(f"{sum(size for _, size in found) / 1e6:10.1f} MB  {len(found):5d}  in all")
    if not args.delete:
        print("nothing is deleted: --delete does that (a finished training, asked for again, then starts anew)")
        return
    for each, _ in found:
        if each.training is None or not _held(each.training):
            _remove(each.path)
    print("deleted")


def needless(results: Path) -> Iterator[Needless]:
    """All under a folder of results that can go."""
    for seed in sorted((results / "checkpoints").glob("*/*/*/seed*")):
        if (results / "models" / seed.relative_to(results / "checkpoints") / "model.pt").exists():
            yield from _of_trainings(seed)
    yield from _builds(results / "kernels")
    for folder in WRITTEN:
        yield from _half_written(results / folder)
    for parts in sorted((results / "translations").glob("*/*/*/seed*.parts")):
        if parts.with_suffix("").is_dir():
            yield Needless(PARTS, parts)


def _of_trainings(seed: Path) -> Iterator[Needless]:
    """The checkpoints that can go of the trainings, a folder each, of one system and seed whose model is there."""
    ended = {folder: _stats(folder / "finished.json")[1] for folder in seed.iterdir() if folder.is_dir()}
    last = max(ended.values(), default=0.0)
    for folder in sorted(ended):
        begun = _stats(folder / "spec.json")[1]  # or gone on with
        if not _held(folder) and (ended[folder] or begun < last):
            why = FINISHED if ended[folder] else LEFT
            yield from (Needless(why, path, folder) for path in sorted(folder.glob("checkpoint_*")))


def _held(folder: Path) -> bool:
    """Whether a process trains in a folder of checkpoints (`natlab.training.lock`)."""
    lock = folder / "lock"
    return processes.held(lock, time.time() - _stats(lock)[1])


def _builds(kernels: Path) -> Iterator[Needless]:
    """Builds but the one that built.json describes, and young ones, which another version's runs may have loaded."""
    if not (kernels / "built.json").exists():
        return
    last = read_json(kernels / "built.json")["hash"]
    for manifest in sorted(kernels.glob("*/manifest.json")):
        if manifest.parent.name != last and time.time() - _stats(manifest)[1] > DAY:
            yield Needless(BUILDS, manifest.parent)


def _half_written(folder: Path) -> Iterator[Needless]:
    """Files and folders that were to take another's place (`natlab.files`), in which nothing is written any more."""
    for path in sorted(folder.rglob(".*.part")):
        newest = max((_stats(inner)[1] for inner in _inside(path)), default=0.0)
        if time.time() - newest > DAY and not any(above.name.endswith(".part") for above in path.parents):
            yield Needless(HALF, path)


def _inside(path: Path) -> Iterator[Path]:
    """A file, or a folder and all that is in it."""
    yield path
    if not path.is_symlink():
        yield from path.rglob("*")


def _stats(path: Path) -> tuple[int, float]:
    """The bytes of a file, and when it was written; 0 of what has just gone."""
    with suppress(FileNotFoundError):
        found = path.lstat()
        return 0 if path.is_dir() else found.st_size, found.st_mtime
    return 0, 0.0


def _remove(path: Path) -> None:
    """Delete a file or a folder that nobody has deleted meanwhile."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
