"""`natlab preflight` with the real Snakefile: what it would run, what it costs, and why."""

import os
import subprocess
import sys


def preflight(project, *arguments: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name != "NATLAB_MIRROR"}
    return subprocess.run(
        [sys.executable, "-m", "natlab.cli", "preflight", *arguments],
        cwd=project.root,
        env={**environment, "CUDA_VISIBLE_DEVICES": ""},
        text=True,
        capture_output=True,
    )


def test_wmt14_at_the_papers_scale(fresh):
    result = preflight(fresh, "config/runs/wmt14_ende.yaml", "--cores", "8")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    rows = {row[0]: row[1:] for line in lines if len(row := line.split()) == 5 and row[1].isdigit()}
    # four teachers distil train in 16 shards, and valid and test
    assert rows["train"][0] == "38" and rows["distil"][0] == "72"
    # eight teachers of 100,000 updates, 22 students of 300,000, one of 400,000, the others of fewer: 160 V100-hours the
    # vanilla one
    assert 22 * 160 < float(rows["train"][2]) < 1.5 * 22 * 160
    assert float(rows["total"][2]) > float(rows["train"][2])
    for part in (
        "GPU figures are NOT measured",
        "5 files unverified",
        "https://www.statmt.org/wmt14/test-full.tgz",
    ):
        assert part in result.stdout
    gpu = next(line for line in lines if line.startswith("  GPU  "))
    assert "MISSING" in gpu and "175 jobs of up to 1 GPU with about" in gpu
    assert lines[-2] == "Made again: nothing."
    assert fresh.calls() == [] and not (fresh.root / "results").exists()


def test_what_a_change_makes_again_and_why(project):
    row = "vanilla_kd: {architecture: nat, target: kd, teacher: transformer, input: vanilla"
    project.edit("config/systems.yaml", row, row + ", training: {lr: 0.004}")
    result = preflight(project, "--cores", "2")
    assert result.returncode == 0, result.stderr
    again = result.stdout[result.stdout.index("Made again") :]
    assert (
        "  train: 1: configuration changed (training.lr: 0.006 -> 0.004)\n    grammar_ende vanilla_kd seed 1\n" in again
    )
    after = "1 latency, 1 translate, 1 measure, 1 claims, 1 figure, 1 provenance, 2 table, 1 report"
    assert f"  because those before them are: {after}" in again
    assert project.calls() == []


def test_other_targets_and_settings_and_nothing_to_do(project):
    result = preflight(project)
    assert result.returncode == 0 and "Nothing to be done." in result.stdout
    forced = preflight(project, "--snakemake", "corpora", "--forcerun", "bpe")
    assert "bpe: 1: forced" in forced.stdout and "because those before them are: 1 binarise" in forced.stdout
    assert "table" not in forced.stdout
    seeds = preflight(project, "--config", "seeds=[7]")
    assert "small: " in seeds.stdout and "train                3" in seeds.stdout


def test_what_nothing_makes_is_refused_in_one_line(project):
    result = preflight(project, "--snakemake", "results/nothing_makes_this")
    assert result.returncode == 2 and result.stderr.count("\n") == 1
    assert "snakemake cannot plan it" in result.stderr and "results/nothing_makes_this" in result.stderr
