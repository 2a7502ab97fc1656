"""`natlab preflight`: what a run will do, before it does it: its jobs and what they cost, what is missing, what is made
again and why. Snakemake plans the run (a dry run in this process); `natlab.costs` reckons what it costs.
"""

import argparse
import ast
import contextlib
import io
import json
import logging
import math
import os
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from natlab import config, devices, families
from natlab.config import Run, rows
from natlab.corpus import dataset as dataset_files
from natlab.corpus.fetch import UNVERIFIED
from natlab.costs import DOWNLOADS, Cost, Costs, simulate
from natlab.errors import UserError
from natlab.jobs import Job
from natlab.status import duration, say

COMPILERS = ("c++", "g++", "clang++")
LISTED = 10  # files or jobs named before "and … more"
# How Snakemake begins each part of a job's reason, and how it is said here; the rest of the part is kept.
FOLLOWS = "Input files updated by another job"
REASONS = {
    "Missing output files": "not made yet",
    "Incomplete output files": "left half made",
    "Updated input files": "newer",
    "Set of input files has changed since last execution": "other input files than last time",
    "Code has changed since last execution": "its rule's command has changed",
    "Params have changed since last execution": "configuration changed",
    "Software environment definition has changed since last execution": "software environment changed",
    "Forced execution": "forced",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUNFILE", help=f"default: {config.DEFAULT_RUN}")
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="as snakemake's --config")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="default: this machine's")
    parser.add_argument("--gpus", type=int, default=1, help="GPUs that run jobs at a time; default: 1")
    parser.add_argument(
        "--snakemake", nargs=argparse.REMAINDER, default=[], metavar="ARGUMENT",
        help="last: targets and options for snakemake, such as --forcerun train, or one file",
    )  # fmt: skip


def run(args: argparse.Namespace) -> None:
    """Plan the run and say all that is known about it. Raises UserError for a run that cannot be planned."""
    if args.cores < 1 or args.gpus < 1:
        raise UserError("--cores, --gpus: at least one of each; leave them out for the defaults")
    resolved = load(args.run, args.config)
    planned = plan(args.run, args.config, args.cores, args.snakemake)
    say(f"{resolved.name}: {counted(len(planned), 'job')} to run", "")
    if not planned:
        say("Nothing to be done.")
        return
    costs = Costs(resolved)
    priced = {job.number: costs.cost(job) for job in planned}
    clock, memory = simulate(planned, _known(priced), args.cores, args.gpus)
    machine = counted(args.cores, "core")
    if any(job.gpus for job in planned):
        machine += f" and {counted(args.gpus, 'GPU')}"
    time = duration(clock) if None not in priced.values() else "unknown, see below"
    sections = (
        [*price_list(planned, priced, args.cores), f"\nTime on the clock, with {machine}: {time}"],
        basis(resolved, planned, costs),
        [*needs(planned, priced, costs, memory), *unweighed(resolved)],
        made_again(planned),
    )
    for section in sections:
        say(*section, "")


def load(file: str | None, overrides: list[str]) -> Run:
    """The run as Snakemake would resolve it."""
    from snakemake import cli

    for override in overrides:
        if not re.fullmatch(r"[a-zA-Z_][\w-]*\w=.*", override, re.DOTALL):
            raise UserError(f"--config {override}: not KEY=VALUE; write for instance --config scale=small_gpu")
    return config.from_snakemake(cli.parse_config(overrides), [file] if file else [])


# ---- Snakemake's plan


class _Plan(logging.Handler):
    """Keeps what a dry run's logger says of each job it would run."""

    def __init__(self):
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if str(getattr(record, "event", None)) == "job_info":
            self.records.append(record)


def plan(file: str | None, overrides: list[str], cores: int, others: list[str] = ()) -> list[Job]:
    """The jobs that Snakemake would run, along the street. Raises UserError with its complaint."""
    from snakemake import cli

    arguments = ["--dry-run", "--nolock", "--cores", str(cores), *others]
    arguments += ["--configfile", file] if file else []
    arguments += ["--config", *overrides] if overrides else []
    seen, said = _Plan(), io.StringIO()
    room = logging.getLogger("snakemake")  # above the logger whose handlers Snakemake replaces
    room.addHandler(seen)
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            cli.main(arguments)
    except SystemExit as end:
        if end.code not in (0, None):
            lines = end.code if isinstance(end.code, str) else said.getvalue()
            complaint = " ".join(line for line in lines.split("\n") if line and not line.startswith("Using "))
            raise UserError(f"{file or config.DEFAULT_RUN}: snakemake cannot plan it: {complaint}") from None
    finally:
        room.removeHandler(seen)
    makers = {output: record.jobid for record in seen.records for output in record.output}
    return along_the_street(
        Job(
            number=record.jobid,
            rule=record.rule_name,
            wildcards=dict(record.wildcards),
            output=list(record.output),
            log=list(record.log),
            after=sorted({makers[file] for file in record.input if file in makers}),
            threads=record.threads,
            gpus=int(record.resources.get("gpu", 0)),
            reason=record.reason,
        )
        for record in seen.records
    )


def along_the_street(planned: Iterable[Job]) -> list[Job]:
    """Jobs by how many others come before them in a row, then by name: Snakemake's own order is another every time."""
    by_number = {job.number: job for job in planned}
    depth: dict[int, int] = {}

    def depth_of(number: int) -> int:
        if number not in depth:
            depth[number] = 1 + max((depth_of(before) for before in by_number[number].after), default=0)
        return depth[number]

    return sorted(by_number.values(), key=lambda job: (depth_of(job.number), job.rule, job.name))


# ---- what it costs


def price_list(planned: list[Job], priced: dict[int, Cost | None], cores: int) -> Iterator[str]:
    """Jobs by rule, with core-hours, GPU-hours and disk; ? where one of them is unknown."""
    rows = defaultdict(lambda: [0, 0.0, 0.0, 0.0])
    for job in planned:
        cost = priced[job.number] or Cost(math.nan, math.nan)
        hours = cost.seconds / 3600
        values = (1, min(job.threads, cores) * hours, job.gpus * hours, cost.disk / 1e9)
        for name in (job.rule, "total"):
            rows[name] = [total + value for total, value in zip(rows[name], values, strict=True)]
    rows["total"] = rows.pop("total")
    yield f"{'rule':16} {'jobs':>5} {'core-hours':>11} {'GPU-hours':>10} {'disk GB':>9}"
    for name, (count, *sums) in rows.items():
        core_hours, gpu_hours, disk = (
            "?" if math.isnan(value) else f"{value:.{digits}f}" for value, digits in zip(sums, (2, 2, 3), strict=True)
        )
        yield f"{name:16} {count:5} {core_hours:>11} {gpu_hours:>10} {disk:>9}"


def basis(run: Run, planned: list[Job], costs: Costs) -> Iterator[str]:
    """What the estimate rests on."""
    yield "The estimate rests on (config/costs.yaml; how: src/natlab/costs.py):"
    modelled = [job for job in planned if job.rule not in costs.table["rules"] and job.rule not in costs.unknown_rules]
    if any(not job.gpus for job in modelled):
        yield from _device("CPU", costs.table["devices"]["cpu"])
    if any(job.gpus for job in modelled):
        yield from _device("GPU", costs.table["devices"]["gpu"])
    for dataset in sorted({job.wildcards["dataset"] for job in planned if "dataset" in job.wildcards}):
        corpus = costs.corpus(dataset)
        if corpus is not None:
            yield f"  {dataset}: {corpus.pairs:,} pairs of {corpus.tokens:.0f} tokens ({corpus.source})"
    for dataset, why in sorted(costs.unknown_corpora.items()):
        yield (
            f"  {dataset}: its size is UNKNOWN, and so is what its jobs cost: {why}; make its text, and ask again: "
            f"snakemake --cores 1 results/corpora/{dataset}/text"
        )
    for rule in sorted(costs.unknown_rules):
        yield f"  {rule}: no figures; counted as nothing"


def _device(kind: str, figures: dict[str, Any]) -> Iterator[str]:
    rates = ", ".join(f"{precision} {rate:,g}" for precision, rate in figures["train_gflops"].items())
    yield f"  {kind}: {figures['name']}; training GFLOP/s: {rates}; decoding: {figures['decode_gflops']:,g}"
    if not figures["measured"]:
        yield f"  {kind} figures are NOT measured: they follow from published hours and from assumptions stated there"


# ---- what it needs


def _known(priced: dict[int, Cost | None]) -> dict[int, Cost]:
    """The same with nothing for what is unknown."""
    return {number: cost or Cost(0.0) for number, cost in priced.items()}


def needs(planned: list[Job], priced: dict[int, Cost | None], costs: Costs, memory: float) -> Iterator[str]:
    """Data, checksums, compiler, GPU, memory, disk: what is there and what is missing."""
    about, known = "at least" if None in priced.values() else "about", _known(priced)
    yield "It needs:"
    yield from _data([job.wildcards["address"] for job in planned if job.rule == "fetch"], costs)
    found = next((path for name in (os.environ.get("CXX"), *COMPILERS) if name and (path := shutil.which(name))), None)
    yield _need("compiler", bool(found), found or "no C++ compiler; install g++ or clang++")
    yield from _encoders(planned, costs.run)
    yield _gpu(planned, known, about)
    yield _room("memory", memory, available_memory(), about, "give fewer --cores, or a scale of smaller batches")
    yield _room("disk", sum(cost.disk for cost in known.values()), shutil.disk_usage(".").free, about, "free some")


def unweighed(run: Run) -> Iterator[str]:
    """What the run's cells ask of models that it does not name."""
    if run.weightless:
        left = f"{', '.join(run.weightless)} stay empty: the run names no weights (config/README.md, Scores by models)"
        yield _need("weights", False, left)


def _need(what: str, there: bool, text: str) -> str:
    return f"  {what:10} {'ok' if there else 'MISSING':8} {text}"


def _data(addresses: list[str], costs: Costs) -> Iterator[str]:
    known, mirror = dataset_files.downloads(costs.root / dataset_files.FOLDER), os.environ.get("NATLAB_MIRROR")
    folder = mirror if mirror and "://" not in mirror else None
    mirrored = [address for address in addresses if folder and (Path(folder) / address).exists()]
    network = [address for address in addresses if address not in mirrored]
    if not addresses:
        yield _need("data", True, "nothing to fetch")
    if mirrored:
        yield _need("data", True, f"{counted(len(mirrored), 'file')} from the mirror {mirror}")
    if network:
        where = f"{mirror}, or where it has none, the network" if mirror else "the network (or set NATLAB_MIRROR)"
        sizes = [costs.download(address) for address in network]
        total = "of unknown size" if None in sizes else f"about {size(sum(sizes))}"
        yield _need("data", False, f"{counted(len(network), 'file')}, {total}, from {where}:")
        yield from _listed([known[address]["url"] for address in network])
    unverified = [address for address in addresses if known[address]["sha256"] == UNVERIFIED]
    unknown = [address for address in unverified if not (DOWNLOADS / f"{address}.sha256").exists()]
    trust = f"{counted(len(unknown), 'file')} unverified: what comes first is trusted; its checksum is kept and binds"
    yield _need("checksums", not unknown, trust if unknown else "known for every file to fetch")


def _encoders(planned: list[Job], run: Run) -> Iterator[str]:
    """The files of encoders that others have trained, where a system that is to be trained has one."""
    systems = {job.wildcards.get("system") for job in planned if job.rule == "train"} & run.systems.keys()
    made = [rows.architecture(run.systems[system]) for system in sorted(systems)]
    for name in dict.fromkeys(architecture["encoder"]["name"] for architecture in made if "encoder" in architecture):
        variable, files = (families.trait("encoder", name, trait) for trait in ("folder", "wants"))
        folder = os.environ.get(variable)
        missing = [file for file in files if not folder or not (Path(folder) / file).is_file()]
        lacks = (
            f"{folder} lacks {', '.join(missing)}" if folder else f"set {variable} to a folder with {', '.join(files)}"
        )
        yield _need(name, not missing, lacks if missing else folder)


def _gpu(planned: list[Job], priced: dict[int, Cost], about: str) -> str:
    asking = [job for job in planned if job.gpus]
    if not asking:
        return _need("GPU", True, "no job asks for one")
    seen = len(devices.visible())
    most = max(job.gpus for job in asking)
    memory = size(max(priced[job.number].gpu_memory for job in asking))
    asked = f"{counted(len(asking), 'job')} of up to {counted(most, 'GPU')} with {about} {memory}"
    here = f"this machine shows {seen or 'none'}"
    return _need("GPU", seen >= most, f"{asked}; {here}" + ("" if seen >= most else "; name a cluster's profile"))


def counted(count: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def size(count: float) -> str:
    """Bytes in the unit that suits them."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _room(what: str, needed: float, there: float | None, about: str, advice: str) -> str:
    if there is None:
        return _need(what, True, f"{about} {size(needed)}; how much there is cannot be seen here")
    enough = needed <= there
    return _need(what, enough, f"{about} {size(needed)} of {size(there)} free{'' if enough else f'; {advice}'}")


def available_memory() -> float | None:
    """Bytes of memory that new processes can have; None where the system does not say."""
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"))
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


# ---- what is made again


def made_again(planned: list[Job], root: Path = Path()) -> Iterator[str]:
    """The jobs whose outputs are there and are made again all the same, and why."""
    again = [job for job in planned if any((root / output).exists() for output in job.output)]
    if not again:
        yield "Made again: nothing."
        return
    yield f"Made again, though there: {counted(len(again), 'job')}."
    reasons: dict[tuple[str, str], list[Job]] = defaultdict(list)
    following = Counter()
    for job in again:
        causes = reason(job.reason)
        if causes:
            reasons[job.rule, "; ".join(causes)].append(job)
        else:
            following[job.rule] += 1
    for (rule, why), its in reasons.items():
        yield f"  {rule}: {len(its)}: {why}"
        yield from _listed([job.name for job in its if job.name])
    if following:
        yield f"  because those before them are: {', '.join(f'{count} {rule}' for rule, count in following.items())}"


def reason(text: str) -> list[str]:
    """The causes that lie in a job itself, in words, of Snakemake's reason; none where it only follows other jobs."""
    causes = []
    beginnings = "|".join(re.escape(beginning) for beginning in (*REASONS, FOLLOWS))
    for part in re.split(rf"; (?={beginnings})", text):
        beginning, _, rest = part.partition(": ")
        if beginning == FOLLOWS:
            continue
        if beginning.startswith("Params"):
            rest = _changed_parameters(rest)
        causes.append(" ".join(filter(None, [REASONS.get(beginning, beginning), rest])))
    return causes


def _changed_parameters(text: str) -> str:
    """Snakemake's difference of parameters (``… before: … now: …``, each as Python writes it) cut to what differs."""
    found = re.search(r"before: (.*) now: (.*)", text, re.DOTALL)
    if not found:
        return text
    before, now = (value.strip() for value in found.groups())
    try:
        old, new = (_leaves(json.loads(ast.literal_eval(value))) for value in (before, now))
    except (ValueError, SyntaxError, TypeError):  # not one specification, as JSON, on either side
        return f"({before} -> {now})"
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    return "(" + ", ".join(f"{key}: {old.get(key, 'none')} -> {new.get(key, 'none')}" for key in keys) + ")"


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    """{dotted path: value} of nested mappings."""
    if not isinstance(value, dict):
        return {path: value}
    return {
        key: leaf for name, part in value.items() for key, leaf in _leaves(part, f"{path}.{name}".strip(".")).items()
    }


def _listed(names: list[str]) -> Iterator[str]:
    yield from (f"    {name}" for name in names[:LISTED])
    if len(names) > LISTED:
        yield f"    and {len(names) - LISTED} more"
