"""`natlab train`: one model from a resolved spec, by fairseq's trainer; its best checkpoints are averaged."""

import argparse
import ctypes
import hashlib
import json
import logging
import os
import signal
import sys
from pathlib import Path

import torch

from natlab import compat, families, sources, tracking
from natlab.errors import UserError
from natlab.files import sha256, write_json, written_aside
from natlab.training.curve import Curve
from natlab.training.interruption import Interruption
from natlab.training.lock import Lock
from natlab.training.resume import Checkpoints, content

ROOM = Path(__file__).parents[1]
SAVING = "600"  # seconds that several processes asked to end may take to save
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
KEPT = 32 << 20  # bytes of a tensor, the most that glibc takes
PR_SET_PDEATHSIG = 1  # of prctl(2): the signal that a process gets when its parent dies


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="the resolved training spec, as JSON")
    parser.add_argument("--data", required=True, help="fairseq data folder with train and valid")
    parser.add_argument("--start", help="the published model whose parameters are the initial ones")
    parser.add_argument("--checkpoints", required=True, help="folder with a folder of checkpoints a fingerprint")
    parser.add_argument("--out", required=True, help="the published model; its training curve is written beside it")
    parser.add_argument(
        "--gpus",
        type=int,
        default=0,
        help="how many train together, each with a process of its own; without a GPU the processes share the CPU",
    )
    parser.add_argument(
        "--deadline",
        type=float,
        default=os.environ.get("SLURM_JOB_END_TIME"),
        help="when it will be killed, in seconds since the epoch: it saves and ends, with status 75, a minute before; "
        "by default the end of its Slurm job",
    )
    parser.add_argument(
        "--skip-limit", type=int, default=10, help="updates it may skip because their loss is not finite"
    )
    parser.add_argument("--tracking", type=json.loads, default={"backend": "none"}, help="the run's tracking, as JSON")


def fingerprint(spec: dict, data: str | Path, start: str | None = None) -> str:
    """What determines a model, as a hash: its spec, the checksums of its data and of the model it starts from, the code
    that trains it, torch's version."""
    code = sources.files(sources.training(spec), ROOM)
    inputs = sorted(
        file
        for file in Path(data).iterdir()
        if file.suffix in {".bin", ".idx", ".txt", ".npy"} or file.name == "gamma.json"
    )
    parts = {
        "spec": spec,
        "data": {file.name: sha256(file) for file in inputs},
        "code": {str(file.relative_to(ROOM)): sha256(file) for file in code},
        "torch": str(torch.__version__),
    }
    if start:
        parts["start"] = sha256(start)
    if "encoder" in spec["architecture"]:
        files = families.load("encoder", **spec["architecture"]["encoder"]).files()
        parts["encoder"] = {file.name: sha256(file) for file in files}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def fairseq_arguments(spec: dict, data: str, folder: Path, processes: int = 1, start: str | None = None) -> list[str]:
    """The command line of `fairseq-train` for a spec, which ``processes`` share, from a published model or none."""
    training = spec["training"]
    accumulated, rest = divmod(training["update_freq"], processes)
    if rest:
        raise UserError(
            f"--gpus {processes}: they cannot share update_freq {training['update_freq']} evenly; make it a multiple "
            f"of {processes}, and batch_tokens smaller in proportion"
        )
    schedules = {
        "inverse_sqrt": ["--lr-scheduler", "inverse_sqrt", "--warmup-init-lr", "1e-7"],
        "fixed": ["--lr-scheduler", "fixed"],
        "linear": ["--lr-scheduler", "polynomial_decay", "--total-num-update", str(training["updates"])],
    }
    arguments = [
        data,
        "--user-dir", str(ROOM / "training" / "plugin"),
        "--task", "natlab", "--spec", str(folder / "spec.json"), "--arch", "natlab", "--criterion", "natlab",
        "--optimizer", "natlab_adam", "--lr", str(training["lr"]), "--weight-decay", str(training["weight_decay"]),
        "--clip-norm", str(training["clip_norm"]),
        *schedules[training["schedule"]], "--warmup-updates", str(training["warmup"]),
        "--max-tokens", str(training["batch_tokens"]), "--update-freq", str(accumulated),
        "--seed", str(spec["seed"]), "--save-dir", str(folder),
        "--skip-invalid-size-inputs-valid-test", "--fixed-validation-seed", "1",
        # a background thread prepares batches; worker processes would die of the signals that this one survives
        "--num-workers", "0",
        "--distributed-world-size", str(processes),  # not as many as there are GPUs
    ]  # fmt: skip
    if "betas" in training:
        arguments += ["--beta1", str(training["betas"][0]), "--beta2", str(training["betas"][1])]
    if "eps" in training:
        arguments += ["--eps", str(training["eps"])]
    if start:
        arguments += ["--start", start]
    if processes > 1:
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        arguments += ["--distributed-backend", backend, "--ddp-backend", "legacy_ddp",
                      "--load-checkpoint-on-all-dp-ranks"]  # fmt: skip
    return arguments if torch.cuda.is_available() else [*arguments, "--cpu"]


def optimise(
    args: argparse.Namespace, folder: Path, resume: Path | None, holder: dict, interruption: Interruption
) -> None:
    """Train from a checkpoint to the end, or this process' part of it. SystemExit 75 if asked to end before."""
    compat.apply()
    from natlab.training import loop

    spec = json.loads(args.spec)
    settings = args.tracking if os.environ.get("RANK", "0") == "0" else {"backend": "none"}
    name = "/".join(str(spec[key]) for key in ("dataset", "scale", "system", "seed"))
    tracker = tracking.start(settings, folder, name, spec, folder.name)
    try:
        loop.train(
            fairseq_arguments(spec, args.data, folder, max(1, args.gpus), args.start),
            checkpoints=Checkpoints(folder, spec["training"]["average_best"]),
            curve=Curve(folder / "curve.jsonl", tracker),
            resume=resume,
            holder=holder,
            interruption=interruption,
            skip_limit=args.skip_limit,
        )
    finally:
        tracker.end()


def optimise_together(
    args: argparse.Namespace, folder: Path, resume: Path | None, holder: dict, interruption: Interruption
) -> None:
    """`optimise` in ``args.gpus`` processes of this machine, by torch's distributed launch."""
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    interruption.end()
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", SAVING)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=args.gpus,
        run_id=folder.name,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(config, _process)(args, folder, resume, holder)
    except (
        ChildFailedError
    ) as error:  # the most telling status: saved (75), bad input (2), or what followed from it (1)
        raise SystemExit(max(failure.exitcode for failure in error.failures.values())) from error
    except SignalException as error:  # passed on to the processes, which have saved
        raise SystemExit(os.EX_TEMPFAIL) from error


def _process(args: argparse.Namespace, folder: Path, resume: Path | None, holder: dict) -> None:
    """One of several processes. It must not outlive its launcher, which holds the lock."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    start()
    try:
        with Interruption(args.deadline) as interruption:
            optimise(args, folder, resume, holder, interruption)
    except UserError as error:
        if os.environ["RANK"] == "0":
            print(f"natlab train: {error}", file=sys.stderr)
        raise SystemExit(2) from error


def start() -> None:
    """What each process does first: plain lines with their time on standard error, as many threads as it may use, and
    memory that is kept once it is freed."""
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S", level=logging.INFO)
    logging.getLogger("fairseq").setLevel(logging.WARNING)  # it reports each epoch; the loop reports itself
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc's: each update would get its larger tensors from the system, page by page
        libc.mallopt(M_MMAP_THRESHOLD, KEPT)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def average(checkpoints: list[Path]) -> dict[str, torch.Tensor]:
    """The mean of the parameters of several checkpoints (Vaswani et al. 2017, section 6.1; MPLE appendix G)."""
    total: dict[str, torch.Tensor] = {}
    for checkpoint in checkpoints:
        for name, value in content(checkpoint)["model"].items():
            total[name] = total[name] + value.double() if name in total else value.double()
    return {name: (value / len(checkpoints)).float() for name, value in total.items()}


def publish_average(args: argparse.Namespace, spec: dict, folder: Path, best: list[Path]) -> None:
    """Write the mean of the best checkpoints as the model, and beside it the curve and, of dynamic KD, the lineage."""
    from natlab.models.load import build, publish
    from natlab.training import lineage
    from natlab.training.model import description
    from natlab.training.task import dictionaries

    source, target = dictionaries(args.data)
    model = build(description(spec, source.symbols, target.symbols))
    model.load_state_dict({name.removeprefix("net."): value for name, value in average(best).items()})
    out = Path(args.out)
    with written_aside(out.parent / "curve.jsonl") as file:
        file.write((folder / "curve.jsonl").read_text(encoding="utf-8"))
    if "candidates" in spec["target"]:
        lineage.write(out.parent / "lineage.json", out.parent / "curve.jsonl", spec["target"]["candidates"])
    averaged = [checkpoint.name for checkpoint in best]
    publish(
        out, model, {"spec": spec, "fingerprint": folder.name, "averaged": averaged, "torch": str(torch.__version__)}
    )


def run(args: argparse.Namespace) -> None:
    """Train, resume or find it done, and publish the model. SystemExit 75 if asked to end before."""
    spec = json.loads(args.spec)
    if not (Path(args.data) / "dict.tgt.txt").exists():
        raise UserError(f"{args.data}: no fairseq data folder here; make it with the rule `binarise`")
    start()
    folder = Path(args.checkpoints) / fingerprint(spec, args.data, args.start)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoints = Checkpoints(folder, spec["training"]["average_best"])
    train = optimise if args.gpus <= 1 else optimise_together
    with Interruption(args.deadline) as interruption, Lock(folder, interruption.end) as lock:
        compat.apply()
        write_json(folder / "spec.json", spec)
        train(args, folder, checkpoints.latest(), lock.holder, interruption)
        best = checkpoints.finish()
        publish_average(args, spec, folder, best)
        write_json(folder / "finished.json", {"updates": checkpoints.updates()[0]})
