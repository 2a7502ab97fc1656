"""Where a number comes from: the code's commit, the packages' versions, the device, the model's fingerprint."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# What can change a number; the rest of the environment is pinned by requirements.lock.
PACKAGES = ("natlab", "torch", "fairseq", "numpy", "sacrebleu", "sacremoses", "jieba", "subword-nmt")


def record(fingerprint: str | None = None, device: str | None = None) -> dict:
    """Provenance as measurements carry it.

    ``commit`` is None outside a git checkout; ``dirty`` says whether tracked files differ from it. ``device`` and
    ``fingerprint`` (of the model) are given by whoever ran the model.
    """
    commit = _git("rev-parse", "HEAD")
    return {
        "commit": commit,
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")) if commit else None,
        "packages": {"python": platform.python_version(), **_versions()},
        "device": device,
        "fingerprint": fingerprint,
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _git(*arguments: str) -> str | None:
    """What git says of the checkout this file lies in; None without git or outside a checkout."""
    folder = Path(__file__).resolve().parent
    try:
        answer = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
