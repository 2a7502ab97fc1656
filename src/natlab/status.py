"""`natlab status`: where every job of a run stands, from files alone: during the run, after it, over a shared disk.

What Snakemake started, finished or saw fail stands in the run's record (`natlab.jobs`); how far a training is, in the
curve and the lock of its checkpoints folder; why a job failed, in its log.
"""

import argparse
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from natlab import jobs, processes
from natlab.errors import UserError
from natlab.files import read_json
from natlab.jobs import Job, Record
from natlab.schema import read_object

STATES = ("done", "running", "queued", "interrupted", "failed", "waiting")
INTERVALS = 10  # of the curve's newest, over which the speed is taken
SILENT = 120  # seconds after which a training that shows no sign of life is said to be silent (its lock beats every 30)
CLOCKS = 60  # seconds by which the clocks of a shared disk's machines may differ


@dataclass
class Progress:
    """How far a training is.

    seconds: its wall time so far; left: estimated seconds to its last update, None unless it runs; bleu: of the newest
    validation; silent: seconds since its last sign of life; held: whether a process that lives holds its lock.
    """

    update: int
    updates: int | None
    tokens_per_second: float | None = None
    bleu: float | None = None
    seconds: float | None = None
    left: float | None = None
    silent: float = 0.0
    held: bool = False


@dataclass
class Standing:
    """Where one job stands: a state of ``STATES``, since when (seconds since 1970) and, of a training, how far."""

    job: Job
    state: str
    since: float | None = None
    attempt: int = 1
    progress: Progress | None = None


def standings(record: Record, root: Path = Path(), now: float | None = None) -> list[Standing]:
    """Where every job of a run stands, along the street. ``root`` is the folder the run was started in."""
    now = time.time() if now is None else now
    alive = record.alive
    return [_standing(job, record, alive, root, now) for job in record.jobs]


def _standing(job: Job, record: Record, alive: bool | None, root: Path, now: float) -> Standing:
    event = record.events.get(job.number)
    if event is None:
        if job.todo:
            return Standing(job, "waiting")
        return Standing(job, "done", progress=_final(job, root))
    found = Standing(job, event.what, event.time, event.attempt)
    if event.what == "finished":
        found.state, found.progress = "done", _final(job, root)
    elif event.what == "failed":
        found.progress = _current(job, root, event.time, now)
    elif alive is False and _made_since(job, root, event.time):
        # Snakemake was killed, its job went on to the end
        found.state, found.progress = "done", _final(job, root)
    else:
        found.progress = _current(job, root, event.time, now)
        if alive is False and not (found.progress is not None and found.progress.held):
            found.state = "interrupted"
        elif job.log and not any(_newer(root / log, event.time) for log in job.log):
            found.state = "queued"  # given to a cluster, which has not started it: its first act is to open its log
        else:
            found.state = "running"
    if found.state != "running" and found.progress is not None:
        found.progress.left = None
    return found


def _newer(path: Path, moment: float) -> bool:
    """Whether a file or folder was written since a moment, as far as clocks agree."""
    try:
        return path.stat().st_mtime > moment - CLOCKS
    except FileNotFoundError:
        return False


def _made_since(job: Job, root: Path, moment: float) -> bool:
    return bool(job.output) and all(_newer(root / output, moment) for output in job.output)


# ---- trainings


def _final(job: Job, root: Path) -> Progress | None:
    """How far a finished training came, by the curve it published beside its model."""
    for output in job.output:
        if output.endswith("curve.jsonl"):
            progress = _of_curve(root / output, None)
            return progress if progress.update else None
    return None


def _current(job: Job, root: Path, since: float, now: float) -> Progress | None:
    """How far a training is, by its checkpoints folder; None for other jobs and before its first sign of life."""
    if job.checkpoints is None:
        return None
    # A folder a fingerprint: the one of this attempt is the one written to.
    folders = [folder for folder in (root / job.checkpoints).glob("*/") if (folder / "spec.json").exists()]
    signs = {folder: _last_sign(folder) for folder in folders}
    if not signs or max(signs.values()) < since - CLOCKS:
        return None
    folder = max(signs, key=signs.get)
    progress = _of_curve(folder / "curve.jsonl", read_json(folder / "spec.json")["training"]["updates"])
    if progress.left is not None:  # it was reckoned when the curve was written
        progress.left = max(0.0, progress.left - max(0.0, now - (folder / "curve.jsonl").stat().st_mtime))
    progress.silent = max(0.0, now - signs[folder])
    progress.held = processes.held(folder / "lock", progress.silent)
    return progress


def _last_sign(folder: Path) -> float:
    """When a training last wrote to its folder or touched its lock."""
    times = [path.stat().st_mtime for name in ("lock", "curve.jsonl", "spec.json") if (path := folder / name).exists()]
    return max(times, default=0.0)


def _of_curve(path: Path, updates: int | None) -> Progress:
    """Progress by a training curve; ``updates``: of how many, None for a training that is over."""
    curve = jobs.json_lines(path)
    trained = [point for point in curve if point.get("subset") == "train"]
    validated = [point for point in curve if point.get("subset") == "valid" and "bleu" in point]
    progress = Progress(int(max((point["num_updates"] for point in curve), default=0)), updates)
    if validated:
        progress.bleu = validated[-1]["bleu"]
    if trained:
        progress.seconds = _spent([point["wall"] for point in trained if "wall" in point])
        progress.tokens_per_second = trained[-1].get("wps")
    if updates is not None:
        pace = _pace(trained)
        progress.left = pace and pace * max(0, updates - progress.update)
    return progress


def _spent(clock: list[float]) -> float | None:
    """Seconds of wall time in all, by a clock that starts anew when a training resumes."""
    spent = [later - earlier if later >= earlier else later for earlier, later in pairwise([0.0, *clock])]
    return sum(spent) if clock else None


def _pace(trained: list[dict]) -> float | None:
    """Seconds an update, validations included, over the newest intervals in which the clock did not start anew."""
    points = [{"num_updates": 0, "wall": 0.0}, *(point for point in trained if "wall" in point)]
    newest = points[-INTERVALS - 1 :]
    steps = [(b["num_updates"] - a["num_updates"], b["wall"] - a["wall"]) for a, b in pairwise(newest)]
    steps = [(updates, seconds) for updates, seconds in steps if updates > 0 and seconds > 0]
    return sum(seconds for _, seconds in steps) / sum(updates for updates, _ in steps) if steps else None


# ---- in words


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them: ``45 s``, ``12 min``, ``3 h 05``, ``12 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    if minutes < 72 * 60:
        return f"{minutes // 60} h {minutes % 60:02d}"
    return f"{seconds / 86400:.0f} days"


def bar(share: float, width: int = 20) -> str:
    """A progress bar: ``[######..............]``."""
    full = int(max(0.0, min(1.0, share)) * width)
    return f"[{'#' * full}{'.' * (width - full)}]"


def summary(found: list[Standing], bars: bool) -> str:
    """How many jobs are in which state."""
    count = Counter(standing.state for standing in found)
    states = ", ".join(f"{count[state]} {state}" for state in STATES if count[state])
    share = count["done"] / max(1, len(found))
    return f"{bar(share) + ' ' if bars else ''}{len(found)} jobs: {states}"


def head(record: Record) -> str:
    """The run, when and where it was started, and whether Snakemake is at it."""
    began = time.strftime("%Y-%m-%d %H:%M", time.localtime(record.started))
    if record.ended is not None:
        state = "ended, all done" if record.ended else "ended, not all done"
    elif record.alive is None:
        state = f"on {record.host}, process {record.pid}"
    elif record.alive:
        state = f"running, process {record.pid}"
    else:
        state = f"stopped without a word (process {record.pid} is gone); start it again and it resumes"
    return f"{record.run}: started {began}; {state}"


def line(standing: Standing, bars: bool, now: float) -> str:
    """One job in one line."""
    job, progress = standing.job, standing.progress
    running = standing.state == "running"
    parts = [f"{standing.state:11} {job.rule:15} {job.name:36}"]
    if progress is not None:
        parts.append(_updates(progress, bars and running))
    if running and progress is not None and progress.left is not None:
        clock = time.strftime("%H:%M", time.localtime(now + progress.left))
        parts.append(f"ETA {clock} ({duration(progress.left)})")
    elif running:
        parts.append(f"for {duration(max(0.0, now - standing.since))}")
    if progress is not None:
        parts += _figures(progress)
    if running and progress is not None and progress.silent > SILENT:
        parts.append(f"silent for {duration(progress.silent)}")
    if standing.attempt > 1:
        parts.append(f"attempt {standing.attempt}")
    return "  ".join(parts).rstrip()


def _updates(progress: Progress, bars: bool) -> str:
    if progress.updates is None:
        return f"{progress.update} updates"
    drawn = bar(progress.update / progress.updates, 12) + " " if bars else ""
    return f"{drawn}{progress.update}/{progress.updates} updates"


def _figures(progress: Progress) -> Iterator[str]:
    if progress.bleu is not None:
        yield f"BLEU {progress.bleu:.2f}"
    if progress.tokens_per_second is not None:
        yield f"{progress.tokens_per_second:,.0f} tokens/s"
    if progress.updates is None and progress.seconds is not None:
        yield f"in {duration(progress.seconds)}"


def tail(job: Job, count: int, root: Path = Path()) -> list[str]:
    """The last lines of a job's log, and the log's name."""
    found = []
    for log in job.log:
        try:
            lines = (root / log).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = ["(no log)"]
        found += [f"    {log}:", *(f"    | {line}" for line in lines[-count:])]
    return found


def say(*lines: str) -> None:
    """Print lines at once; silently, once nobody reads any more (``| head``)."""
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def report(record: Record, root: Path, bars: bool, log_lines: int, height: int | None = None) -> list[str]:
    """The whole of it, line by line. Where it has more lines than ``height``, what needs no attention is left out."""
    now = time.time()
    found = standings(record, root, now)
    lines = [head(record), summary(found, bars), ""]
    short = height is not None and len(found) + len(lines) > height
    for standing in found:
        if not (short and standing.state in ("done", "waiting")):
            lines.append(line(standing, bars, now))
        if standing.state == "failed":
            lines += tail(standing.job, log_lines, root)
    return lines[:height]


# ---- the verb


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run's name or its file; default: the last one started")
    parser.add_argument("--watch", action="store_true", help="go on until the run ends")
    parser.add_argument(
        "--every", type=float, default=10, metavar="SECONDS", help="how often --watch looks; default: 10"
    )
    parser.add_argument("--log-lines", type=int, default=8, metavar="N", help="of a failed job's log; default: 8")


def run(args: argparse.Namespace) -> None:
    """Print where the run stands; with --watch, in a terminal the same place again and again, else what changes."""
    name, terminal = _named(args.run), sys.stdout.isatty()
    try:
        if not args.watch:
            say(*report(jobs.read(name), Path(), terminal, args.log_lines))
        elif terminal:
            _watch_in_terminal(name, args.every, args.log_lines)
        else:
            _watch_in_lines(name, args.every, args.log_lines)
    except KeyboardInterrupt:
        say()


def _named(given: str | None) -> str:
    """The run's name, from its name, its file, or nothing."""
    if given is None:
        runs = jobs.started()
        if not runs:
            raise UserError(f"{jobs.RUNS}: no run was ever started here; start one with snakemake")
        return runs[0]
    if not given.endswith((".yaml", ".yml")):
        return given
    name = read_object(given).get("run")
    if not isinstance(name, str):
        raise UserError(f"{given}: not a run's file: it has no key run; see config/README.md")
    return name


def _watch_in_terminal(name: str, every: float, log_lines: int) -> None:
    while True:
        record = jobs.read(name)
        width, height = shutil.get_terminal_size()
        lines = report(record, Path(), True, log_lines, height - 1)
        say("\x1b[H\x1b[2J" + "\n".join(line[:width] for line in lines))
        if record.alive is False:
            return
        time.sleep(every)


def _watch_in_lines(name: str, every: float, log_lines: int) -> None:
    said: dict[int, tuple] = {}
    while True:
        record, now = jobs.read(name), time.time()
        found = standings(record, now=now)
        if not said:
            say(head(record), summary(found, bars=False))
        for standing in found:
            progress = standing.progress
            news = (standing.state, standing.attempt, progress and progress.update, progress and progress.bleu)
            quiet = standing.job.number not in said and standing.state in ("done", "waiting")
            if news != said.get(standing.job.number) and not quiet:
                say(f"{time.strftime('%H:%M:%S', time.localtime(now))}  {line(standing, False, now)}")
                if standing.state == "failed":
                    say(*tail(standing.job, log_lines))
            said[standing.job.number] = news
        if record.alive is False:
            say(head(record), summary(found, bars=False))
            return
        time.sleep(every)
