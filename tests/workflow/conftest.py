"""A copy of the workflow that a test may edit and run, with a stand-in for `natlab` that makes outputs of nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

# Notes its arguments, and makes what the verb would make: a folder where --out has no ending, else a file.
STAND_IN = """#!/bin/sh
printf '%s\\n' "$*" >> "$NATLAB_CALLS"
verb=$1
while [ $# -gt 1 ]; do
    [ "$1" = --out ] && out=$2
    shift
done
mkdir -p "$(dirname "$out")"
case $verb in
    table) touch "$out.csv" "$out.md" "$out.tex" ;;
    figure) touch "$out.csv" "$out.md" "$out.png" "$out.pdf" "$out.svg" ;;
    claims) touch "$out.csv" "$out.md" ;;
    kernels) mkdir -p "$out" && touch "$out/built.json" ;;
    score) mkdir -p "$out" ;;
    train) touch "$out" "$(dirname "$out")/curve.jsonl" ;;
    report) mkdir -p "$out" && touch "$out/index.html" "$out/measurements.csv" "$out/record.tar.xz" ;;
    *) case $(basename "$out") in
        *.*) touch "$out" ;;
        *) mkdir -p "$out" && touch "$out/stats.json" ;;
    esac ;;
esac
"""


class Project:
    """A copy of all that Snakemake reads."""

    def __init__(self, root: Path):
        self.root = root
        self.calls_file = root / "calls.txt"

        self.environment = {
            **os.environ,
            "STAND_IN": str(root / "bin"),
            "NATLAB_CALLS": str(self.calls_file),
            "OMP_NUM_THREADS": "1",
        }

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run the workflow with the stand-in."""
        return subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
            cwd=self.root,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def calls(self) -> list[list[str]]:
        """The arguments of each call of `natlab` since the last question."""
        if not self.calls_file.exists():
            return []
        lines = self.calls_file.read_text(encoding="utf-8").splitlines()
        self.calls_file.unlink()
        return [line.split(" ") for line in lines]

    @staticmethod
    def option(call: list[str], name: str) -> str:
        """The value of one option of a call."""
        return call[call.index(name) + 1]

    @staticmethod
    def spec(call: list[str]) -> dict:
        """The specification given to `natlab train`."""
        return json.loads(" ".join(call[call.index("--spec") + 1 : call.index("--data")]))

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{file} holds no {old!r}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")


def copied(root: Path) -> Project:
    for file in ("Snakefile", "requirements-metrics.lock"):
        shutil.copy(REPOSITORY / file, root)
    for folder in ("workflow", "config", "profiles"):
        shutil.copytree(REPOSITORY / folder, root / folder)
    shutil.copytree(REPOSITORY / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (root / "README.md").write_text("# natlab\n", encoding="utf-8")
    stand_in = root / "bin" / "natlab"
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN, encoding="utf-8")
    stand_in.chmod(0o755)
    project = Project(root)
    own = "Path(sys.executable).parent"  # where the workflow has natlab from
    project.edit("workflow/rules/common.smk", own, f'Path(__import__("os").environ.get("STAND_IN", {own}))')
    return project


@pytest.fixture(scope="session")
def copy_of_workflow():
    """Copies the workflow into a folder: a project in which nothing has run, with the stand-in in ``bin/natlab``."""
    return copied


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Project:
    """A project whose small run has been built once; tests copy it. The calls are kept in ``first_calls``."""
    project = copied(tmp_path_factory.mktemp("workflow"))
    (project.root / "config/config.yaml").write_text(
        "run: small\nscale: demo\nseeds: [1]\ncorpora: {wmt14_ende: grammar_ende}\n"
        "tables: [mple/table2, mple/table4]\nfigures: [mple/figure8]\nclaims: [mple/claims]\n"
        "systems: [transformer, vanilla_raw, vanilla_kd]\n",
        encoding="utf-8",
    )
    result = project.snakemake()
    assert result.returncode == 0, result.stdout
    project.first_calls = project.calls()
    return project


@pytest.fixture
def project(built, tmp_path) -> Project:
    """A built project of one's own: Snakemake's memory and all times of files come along."""
    shutil.copytree(built.root, tmp_path, dirs_exist_ok=True, symlinks=True)
    return Project(tmp_path)


@pytest.fixture
def fresh(tmp_path) -> Project:
    """A project in which nothing has run."""
    return copied(tmp_path)
