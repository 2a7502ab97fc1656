"""The record that the workflow keeps of a run, as Snakemake writes it: what `natlab status` will read."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from natlab import jobs, status

VANILLA_KD = "grammar_ende/demo/vanilla_kd/seed1"
# The stand-in, but for one training: it says something and then does what the test wants.
DOES = """#!/bin/sh
case "$*" in
    train*vanilla_kd*) echo "about to train"; {does} ;;
esac
"""


def change(project, does: str) -> None:
    """Make the training of vanilla_kd do something else, and necessary again."""
    stand_in = project.root / "bin/natlab"
    first = stand_in.read_text(encoding="utf-8").removeprefix("#!/bin/sh\n")
    stand_in.write_text(DOES.format(does=does) + first, encoding="utf-8")
    row = "vanilla_kd: {architecture: nat, target: kd, teacher: transformer, input: vanilla"
    project.edit("config/systems.yaml", row, row + ", training: {lr: 0.004}")


def states(project) -> dict[tuple[str, str], status.Standing]:
    record = jobs.read("small", project.root)
    return {(found.job.rule, found.job.name): found for found in status.standings(record, project.root)}


def test_every_job_is_recorded_with_what_it_waits_for(built):
    record = jobs.read("small", built.root)
    assert record.ended is True and record.alive is False
    assert Path(built.root / record.log).is_file()
    of = {(job.rule, job.name): job for job in record.jobs}
    assert len(of) == len(record.jobs)
    train = of["train", "grammar_ende vanilla_kd seed 1"]
    merge = of["merge_distilled", "grammar_ende transformer seed 1"]
    assert train.after == [merge.number]
    assert sorted(merge.after) == sorted(
        [of["binarise", "grammar_ende"].number]
        + [of["distil", f"grammar_ende transformer seed 1 {shard}"].number for shard in ("train 1/2", "train 2/2")]
        + [of["distil", f"grammar_ende transformer seed 1 {split} 1/1"].number for split in ("valid", "test")]
    )
    assert train.log == [f"results/logs/train/{VANILLA_KD}.log"]
    assert train.checkpoints == f"results/checkpoints/{VANILLA_KD}"
    assert "Missing output files" in train.reason
    numbers = [job.number for job in record.jobs]
    for job in record.jobs:
        assert all(numbers.index(other) < numbers.index(job.number) for other in job.after), "along the street"
    assert {found.state for found in states(built).values()} == {"done"}
    spent = {(job.rule, jobs.describe(job.wildcards)): job for job in jobs.spent(built.root / jobs.RUNS / "small")}
    assert spent.keys() == of.keys() and all(job.ended >= job.started for job in spent.values())


def test_a_job_that_fails_is_tried_again_and_shown_with_its_log(project):
    change(project, "exit 75")
    assert project.snakemake("--retries", "1").returncode != 0
    record, found = jobs.read("small", project.root), states(project)
    assert record.ended is False
    failed = found["train", "grammar_ende vanilla_kd seed 1"]
    assert (failed.state, failed.attempt) == ("failed", 2)
    assert status.tail(failed.job, 5, project.root)[-1] == "    | about to train"
    assert found["translate", "grammar_ende vanilla_kd seed 1"].state == "waiting"
    assert found["train", "grammar_ende transformer seed 1"].state == "done"


def test_a_run_that_is_killed_can_be_told_from_one_that_runs(project):
    change(project, "exec sleep 600")
    snakemake = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all"],
        cwd=project.root,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    training = "train", "grammar_ende vanilla_kd seed 1"
    try:
        log = project.root / f"results/logs/train/{VANILLA_KD}.log"
        log.unlink()
        while not (log.exists() and log.read_text(encoding="utf-8")):
            assert snakemake.poll() is None
            time.sleep(0.1)
        running = states(project)
        assert jobs.read("small", project.root).alive is True
        assert running[training].state == "running"
        assert running["translate", "grammar_ende vanilla_kd seed 1"].state == "waiting"
        snakemake.kill()
        snakemake.wait()
        assert jobs.read("small", project.root).alive is False
        assert states(project)[training].state == "interrupted"
    finally:
        os.killpg(snakemake.pid, signal.SIGKILL)  # the training, which Snakemake has left behind
        snakemake.wait()
