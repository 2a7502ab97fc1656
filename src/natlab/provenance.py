"""Where a number comes from: the code's commit, the packages' versions, the device, the model's fingerprint.

The verb ``provenance`` writes it for a run as a whole, with its resolved configuration and its data's checksums.
"""

import argparse
import platform
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import TYPE_CHECKING

from natlab.files import read_json, sha256, write_json

if TYPE_CHECKING:
    from natlab.config import Model, Run

# What can change a number; the rest of the environment is pinned by requirements.lock.
PACKAGES = ("natlab", "torch", "fairseq", "numpy", "sacrebleu", "sacremoses", "jieba", "subword-nmt")
PACKAGES += ("ctranslate2", "onnxruntime")
# A run rewrites its own report, which may be in git, as it goes; results may be a link to a larger disk, or be emptied.
ALL_BUT_OUTPUTS = (":(top)", ":(top,exclude)reports", ":(top,exclude)results")


def record(fingerprint: str | None = None, device: str | None = None) -> dict:
    """Provenance as measurements carry it.

    ``commit`` is None outside a git checkout; ``dirty`` says whether tracked files, but for reports and results, differ
    from it. ``device`` and ``fingerprint`` (of the model) are given by whoever ran the model.
    """
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", *ALL_BUT_OUTPUTS)
    return {
        "commit": commit,
        "dirty": bool(changed) if commit else None,
        "packages": {"python": platform.python_version(), **_versions()},
        "device": device,
        "fingerprint": fingerprint,
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``provenance``."""
    parser.add_argument("--run", dest="run_file", required=True, help="the run's settings as resolved, as JSON")
    parser.add_argument("--results", default="results", help="the folder of corpora, models and measurements")
    parser.add_argument("--out", required=True, help="the file to write")


def run(args: argparse.Namespace) -> None:
    """Write a run's provenance as JSON. UserError where the settings are not a run's."""
    from natlab import config

    write_json(args.out, of_run(config.load(read_json(args.run_file), args.run_file), Path(args.results)))


def of_run(run: "Run", results: Path) -> dict:
    """All that a run's numbers rest on.

    ``configuration``: the run's settings, scale, datasets and decodings; ``data``: SHA-256 of the files that models are
    trained and measured on; ``models``: the specification of each, and its fingerprint; ``devices``: what they were
    measured on. A model or corpus that has been deleted since is left out of the checksums; its fingerprint stands in
    its measurements.
    """
    measured = {model: list(_measurements(run, model, results)) for model in run.models}
    here = record()
    return {
        "configuration": {
            "run": {**run.settings, "tracking": run.tracking},
            "scale": run.scale,
            "datasets": run.datasets,
            "decodings": run.decodings,
        },
        "commit": here["commit"],
        "dirty": here["dirty"],
        "packages": {"python": platform.python_version(), **_installed()},
        "devices": sorted({str(origin["device"]) for origins in measured.values() for origin in origins}),
        "data": {str(folder): _checksums(folder) for folder in _data(run, results) if folder.exists()},
        "models": [
            {
                "fingerprint": next(
                    (origin["fingerprint"] for origin in measured.get(model, []) if origin["fingerprint"]), None
                )
                or _published(run, model, results),
                "spec": run.spec(*model),
            }
            for model in run.trained
        ],
    }


def _place(run: "Run", model: "Model") -> str:
    return f"{model.dataset}/{run.settings['scale']}/{model.system}/seed{model.seed}"


def _measurements(run: "Run", model: "Model", results: Path) -> Iterator[dict]:
    """The provenance of a model's measurements."""
    place = results / "measurements" / _place(run, model)
    # its latencies, and what models make of its translations
    beside = [*place.parent.glob(f"{place.name}.latency.json"), *place.parent.glob(f"{place.name}.*/*.json")]
    beside += place.parents[1].glob(f"{place.name}.speed.json")  # of all systems
    for path in sorted([*place.glob("*.json"), *beside]):
        yield read_json(path)["provenance"]


def _published(run: "Run", model: "Model", results: Path) -> str | None:
    """The fingerprint of a model that is not measured itself; None where it has been deleted."""
    path = results / "models" / _place(run, model) / "model.pt"
    if not path.exists():
        return None
    import torch

    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)["provenance"]["fingerprint"]


def _data(run: "Run", results: Path) -> list[Path]:
    """The data folders that the run's models read: the corpora's, those that teachers distilled, and candidates."""
    teachers = {(model, run.teacher(model.system)) for model in run.trained}
    distilled = {_place(run, model._replace(system=teacher)) for model, teacher in teachers if teacher}
    chosen = {(model.dataset, model.seed) for model in run.trained if run.chooses(model.system)}
    return [
        *(results / "corpora" / dataset / "bin" for dataset in sorted(run.datasets)),
        *(results / "distilled" / place / "bin" for place in sorted(distilled)),
        *(results / "candidates" / dataset / run.settings["scale"] / f"seed{seed}" for dataset, seed in sorted(chosen)),
    ]


def _checksums(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in sorted(folder.iterdir())}


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _installed() -> dict[str, str]:
    """Every installed package, named as in requirements.lock."""
    return dict(sorted((found.name.lower().replace("_", "-"), found.version) for found in distributions()))


def _git(*arguments: str) -> str | None:
    """What git says of the checkout this file lies in; None without git or outside a checkout."""
    folder = Path(__file__).resolve().parent
    try:
        command = ["git", "-C", str(folder), *arguments]
        answer = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
