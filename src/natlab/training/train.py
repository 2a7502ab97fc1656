"""`natlab train`: one model from a resolved spec, by fairseq's trainer; its best checkpoints are averaged."""

import argparse
import hashlib
import json
import logging
import os
from pathlib import Path

import torch

from natlab import compat
from natlab.errors import UserError
from natlab.files import sha256, write_json

ROOM = Path(__file__).parents[1]
# What determines a model besides its spec and data. Validation BLEU, which chooses checkpoints, decodes.
CODE = ("compat.py", "models/*.py", "proxy/**/*.py", "training/**/*.py", "decoding/__init__.py", "decoding/argmax.py",
        "decoding/beam.py")  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="the resolved training spec, as JSON")
    parser.add_argument("--data", required=True, help="fairseq data folder with train and valid")
    parser.add_argument("--checkpoints", required=True, help="folder with a folder of checkpoints a fingerprint")
    parser.add_argument("--out", required=True, help="the published model; its training curve is written beside it")


def fingerprint(spec: dict, data: str | Path) -> str:
    """What determines a model, as a hash: its spec, its data's checksums, the code that trains it, torch's version."""
    code = sorted(file for pattern in CODE for file in ROOM.glob(pattern))
    inputs = sorted(file for file in Path(data).iterdir() if file.suffix in {".bin", ".idx", ".txt"})
    parts = {
        "spec": spec,
        "data": {file.name: sha256(file) for file in inputs},
        "code": {str(file.relative_to(ROOM)): sha256(file) for file in code},
        "torch": str(torch.__version__),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def fairseq_arguments(spec: dict, data: str, folder: Path) -> list[str]:
    """The command line of `fairseq-train` for a spec."""
    training = spec["training"]
    every = str(training["validate_every"])
    never = str(10**9)  # epochs: checkpoints and validation go by updates
    schedules = {
        "inverse_sqrt": ["--lr-scheduler", "inverse_sqrt", "--warmup-init-lr", "1e-7"],
        "linear": ["--lr-scheduler", "polynomial_decay", "--total-num-update", str(training["updates"])],
    }
    arguments = [
        data,
        "--user-dir", str(ROOM / "training" / "plugin"),
        "--task", "natlab", "--spec", str(folder / "spec.json"), "--arch", "natlab", "--criterion", "natlab",
        "--optimizer", "natlab_adam", "--lr", str(training["lr"]), "--weight-decay", str(training["weight_decay"]),
        "--clip-norm", str(training["clip_norm"]),
        *schedules[training["schedule"]], "--warmup-updates", str(training["warmup"]),
        "--max-tokens", str(training["batch_tokens"]), "--update-freq", str(training["update_freq"]),
        "--max-update", str(training["updates"]), "--seed", str(spec["seed"]),
        "--save-dir", str(folder), "--save-interval-updates", every, "--validate-interval-updates", every,
        "--save-interval", never, "--validate-interval", never, "--keep-interval-updates", "1",
        "--keep-best-checkpoints", str(training["average_best"]),
        "--best-checkpoint-metric", "bleu", "--maximize-best-checkpoint-metric",
        "--skip-invalid-size-inputs-valid-test", "--fixed-validation-seed", "1",
        "--log-format", "json", "--log-interval", str(max(1, training["validate_every"] // 5)),
    ]  # fmt: skip
    if torch.cuda.is_available():
        return [*arguments, "--num-workers", "2"]
    return [*arguments, "--cpu", "--num-workers", "0"]


class CurveWriter(logging.Handler):
    """Appends what fairseq reports of training and validation to a file, one JSON object a line."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path

    def emit(self, record: logging.LogRecord) -> None:
        if record.name not in ("train_inner", "valid"):  # fairseq renames its logger to what it reports
            return
        report = {key.removeprefix("valid_"): value for key, value in json.loads(record.getMessage()).items()}
        keys = ("num_updates", "loss", "nll_loss", "length_loss", "bleu", "lr", "wps", "train_wall", "wall")
        kept = {key: float(report[key]) for key in keys if key in report}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"subset": record.name.removesuffix("_inner"), **kept}) + "\n")


def average(checkpoints: list[Path]) -> dict[str, torch.Tensor]:
    """The mean of the parameters of several checkpoints (Vaswani et al. 2017, section 6.1; MPLE appendix G)."""
    total: dict[str, torch.Tensor] = {}
    for checkpoint in checkpoints:
        parameters = torch.load(checkpoint, map_location="cpu", weights_only=True)["model"]
        for name, value in parameters.items():
            total[name] = total[name] + value.double() if name in total else value.double()
    return {name: (value / len(checkpoints)).float() for name, value in total.items()}


def optimise(arguments: list[str], folder: Path) -> None:
    """Run fairseq's training, from its last checkpoint in ``folder`` if there is one; its reports go to the curve."""
    import fairseq_cli.train
    from fairseq import checkpoint_utils, options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq.distributed import utils as distributed_utils

    # fairseq keeps the best score in a function's attribute, where an earlier training of this process leaves its own
    checkpoint_utils.save_checkpoint.__dict__.pop("best", None)
    config = convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), arguments))
    reports, curve = logging.getLogger("fairseq.logging.progress_bar"), CurveWriter(folder / "curve.jsonl")
    reports.setLevel(logging.INFO)
    reports.addHandler(curve)
    try:
        distributed_utils.call_main(config, fairseq_cli.train.main)
    finally:
        reports.removeHandler(curve)


def run(args: argparse.Namespace) -> None:
    spec = json.loads(args.spec)
    if not (Path(args.data) / "dict.tgt.txt").exists():
        raise UserError(f"{args.data}: no fairseq data folder here; make it with the rule `binarise`")
    identity = fingerprint(spec, args.data)
    folder = Path(args.checkpoints) / identity
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "spec.json", spec)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))

    compat.apply()
    finished = folder / "finished.json"
    if not finished.exists():  # fairseq would go on training a finished model
        optimise(fairseq_arguments(spec, args.data, folder), folder)
        write_json(finished, {"updates": spec["training"]["updates"]})

    from natlab.models.load import build, publish
    from natlab.training.model import description
    from natlab.training.task import dictionaries

    best = sorted(folder.glob("checkpoint.best_bleu_*.pt"))
    source, target = dictionaries(args.data)
    model = build(description(spec, len(source), len(target)))
    model.load_state_dict({name.removeprefix("net."): value for name, value in average(best).items()})
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    (out.parent / "curve.jsonl").write_text((folder / "curve.jsonl").read_text(encoding="utf-8"), encoding="utf-8")
    averaged = [checkpoint.name for checkpoint in best]
    publish(out, model, {"spec": spec, "fingerprint": identity, "averaged": averaged, "torch": str(torch.__version__)})
