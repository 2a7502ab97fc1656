"""A run's jobs: as Snakemake plans them, and the record of a run that `natlab status` reads.

The workflow calls `begin` when Snakemake starts to run jobs and `end` when it stops. The record is two files in
``results/runs/<run>/``: ``jobs.json``, every job of the run with what it waits for, and ``events.jsonl``, one line for
each job that starts, finishes or fails; what jobs took in earlier starts of the run is in ``spent.jsonl``. The record
needs no running Snakemake to be read, so it serves during a run, after it, and on any machine that shares the disk.
Imports neither torch nor fairseq nor, for reading, Snakemake.
"""

import json
import logging
import os
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from natlab.errors import UserError
from natlab.files import read_json, write_json, written_aside
from natlab.processes import birth

RUNS = Path("results/runs")
JOBS, EVENTS, SPENT = "jobs.json", "events.jsonl", "spent.jsonl"


def first_on_path(folder: Path) -> None:
    """Let jobs find the programs of a folder before all others of their name."""
    os.environ["PATH"] = os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)])


@dataclass(frozen=True)
class Job:
    """One job of a run.

    number: Snakemake's, unique within a start of the run; after: the numbers of the jobs whose outputs it reads; todo:
    whether it has to run, for Snakemake's ``reason``; gpus, threads: what it asks for; checkpoints: the folder in which
    a training keeps its state, None for other jobs.
    """

    number: int
    rule: str
    wildcards: dict[str, str]
    output: list[str]
    log: list[str]
    after: list[int]
    threads: int = 1
    gpus: int = 0
    todo: bool = True
    reason: str = ""
    checkpoints: str | None = None

    @property
    def name(self) -> str:
        """What distinguishes the job from others of its rule: the values of its wildcards, but for the run's scale."""
        return describe(self.wildcards)


@dataclass
class Event:
    """The newest that is known of a job: ``what`` is started, finished or failed; ``attempt`` counts its starts."""

    what: str
    time: float
    attempt: int = 1


@dataclass
class Record:
    """What `begin` and `end` wrote.

    host, pid, birth: Snakemake's process (`natlab.processes.birth`); log: what it says itself; ended: None while it
    runs, and for ever when it was killed, else whether all jobs succeeded.
    """

    run: str
    started: float
    host: str
    pid: int
    birth: str
    log: str | None
    jobs: list[Job]
    events: dict[int, Event] = field(default_factory=dict)
    ended: bool | None = None

    @property
    def alive(self) -> bool | None:
        """Whether Snakemake is still at it; None where that cannot be known (it runs on another machine)."""
        if self.ended is not None:
            return False
        return birth(self.pid) == self.birth if self.host == socket.gethostname() else None


@dataclass(frozen=True)
class Spent:
    """What one job took that ended well.

    started, ended: seconds since 1970; threads, gpus: what it held meanwhile.
    """

    rule: str
    wildcards: dict[str, str]
    started: float
    ended: float
    threads: int
    gpus: int

    @property
    def hours(self) -> float:
        """Hours on the clock."""
        return (self.ended - self.started) / 3600


def describe(wildcards: Mapping[str, str]) -> str:
    """Wildcards as people read them: ``grammar_ende glat_kd seed 1``, ``grammar_ende transformer seed 1 train 2/8``."""
    left = {name: value for name, value in wildcards.items() if name != "scale"}
    parts = []
    for name in ("dataset", "system", "teacher"):
        if name in left:
            parts.append(left.pop(name))
    if "seed" in left:
        parts.append(f"seed {left.pop('seed')}")
    if "shard" in left:
        parts.append(f"{left.pop('split')} {left.pop('shard')}/{left.pop('shards')}")
    if "paper" in left:
        [what] = left.keys() & {"table", "figure", "claims"}
        parts.append(f"{left.pop('paper')}/{left.pop(what)}")
    return " ".join([*parts, *(value.rpartition("/")[2] for value in left.values())])


def folder(run: str) -> str:
    """Where a run's record lies below the folder of results."""
    return f"{RUNS.name}/{run}"


# ---- written by the workflow


def begin(run: str, workflow: Any, logs: Sequence[str]) -> None:
    """Record all jobs of ``run`` as Snakemake's ``workflow`` has planned them, then every job's starts and ends.

    logs: Snakemake's own log files, of which the first is named in the record.
    """
    from snakemake.logging import logger

    dag = workflow.dag
    kept = RUNS / run
    jobs = [
        Job(
            number=dag.jobid(job),
            rule=job.rule.name,
            wildcards=dict(job.wildcards_dict),
            output=[str(file) for file in job.output],
            log=[str(file) for file in job.log],
            after=sorted(dag.jobid(other) for other in dag.dependencies[job]),
            threads=job.threads,
            gpus=int(job.resources.get("gpu", 0)),
            todo=dag.needrun(job),
            reason=str(dag.reason(job)),
            checkpoints=job.params.get("checkpoints"),
        )
        for level in dag.toposorted()  # along the street
        for job in sorted(level, key=dag.jobid)
    ]
    write_spent(spent(kept), kept)
    (kept / EVENTS).unlink(missing_ok=True)
    write_json(
        kept / JOBS,
        {
            "run": run,
            "started": time.time(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "birth": birth(os.getpid()),
            "log": os.path.relpath(logs[0]) if logs else None,
            "jobs": [asdict(job) for job in jobs],
        },
    )
    logger.addHandler(Recorder(kept))


def end(run: str, success: bool) -> None:
    """Record that Snakemake has stopped, with all jobs done or not."""
    _append(RUNS / run, {"event": "ended", "success": success})


class Recorder(logging.Handler):
    """Appends what Snakemake's logger says of jobs to a run's events."""

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder

    def emit(self, record: logging.LogRecord) -> None:
        for what, job in _told(record):
            _append(self.folder, {"event": what, "job": job})


def _told(record: logging.LogRecord) -> list[tuple[str, int]]:
    """(what happened, to which job) of a record of Snakemake's logger; nothing for records about anything else."""
    event = str(getattr(record, "event", None))
    if event == "job_started":
        return [("started", job) for job in record.jobs]
    if event == "job_finished":
        return [("finished", record.job_id)]
    if event == "job_error":
        return [("failed", record.jobid)]
    return []


def _append(folder: Path, event: Mapping[str, Any]) -> None:
    with open(folder / EVENTS, "a", encoding="utf-8") as file:
        file.write(json.dumps({"time": time.time(), **event}) + "\n")


# ---- read by status


def read(run: str, root: Path = Path()) -> Record:
    """The record of a run below ``root``. Raises UserError where the run was never started."""
    folder = root / RUNS / run
    try:
        kept = read_json(folder / JOBS)
    except FileNotFoundError:
        others = ", ".join(started(root)) or "none"
        raise UserError(
            f"{RUNS / run}: the run {run} was never started here (started: {others}); "
            "start it with snakemake, or see `natlab preflight`"
        ) from None
    record = Record(**{**kept, "jobs": [Job(**job) for job in kept["jobs"]]})
    for event in json_lines(folder / EVENTS):
        if event["event"] == "ended":
            record.ended = event["success"]
            continue
        before = record.events.get(event["job"])
        attempt = (before.attempt if before else 0) + (event["event"] == "started")
        record.events[event["job"]] = Event(event["event"], event["time"], attempt)
    return record


def spent(folder: Path) -> list[Spent]:
    """What the jobs of a run took that ended well, over all its starts, in the order in which they ended; of a job that
    ran again, its last time. ``folder`` is ``results/runs/<run>``, or as much of it as a report has kept."""
    found = [Spent(**line) for line in json_lines(folder / SPENT)]
    if (folder / JOBS).exists():
        planned = {job["number"]: job for job in read_json(folder / JOBS)["jobs"]}
        begun: dict[int, float] = {}
        for event in json_lines(folder / EVENTS):
            number = event.get("job")
            if event["event"] == "started":
                begun[number] = event["time"]
            elif event["event"] == "finished" and number in begun:
                job = planned[number]
                kept = {key: job[key] for key in ("rule", "wildcards", "threads", "gpus")}
                found.append(Spent(**kept, started=begun[number], ended=event["time"]))
    last = {(job.rule, *sorted(job.wildcards.items())): job for job in sorted(found, key=lambda job: job.ended)}
    return sorted(last.values(), key=lambda job: job.ended)


def write_spent(jobs: Iterable[Spent], folder: Path) -> None:
    """Write what `spent` reads."""
    with written_aside(folder / SPENT) as file:
        file.writelines(map(line, jobs))


def line(job: Spent) -> str:
    """A job as a line of ``spent.jsonl``."""
    return json.dumps(asdict(job), ensure_ascii=False) + "\n"


def started(root: Path = Path()) -> list[str]:
    """The runs that have been started below ``root``, the last one first."""
    found = sorted((root / RUNS).glob(f"*/{JOBS}"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.parent.name for path in found]


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines that may be in the middle of being written; none where there is no file."""
    found = []
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue  # half a line: the writer was killed, or is writing it now
    return found
