"""What a job that was killed had done is not lost, and Snakemake's retries need nobody."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser

import pytest
import torch
import yaml

from natlab.corpus.binarise import binarise
from natlab.training import train

TRAINING = {
    "size": "table6_1", "updates": 60, "batch_tokens": 300, "update_freq": 2, "lr": 0.005, "warmup": 10,
    "schedule": "inverse_sqrt", "label_smoothing": 0.1, "weight_decay": 0.01, "clip_norm": 1, "dropout": 0.1,
    "precision": "fp32", "validate_every": 10, "average_best": 2,
}  # fmt: skip
MODEL = "results/models/small/test/glat_raw/seed1"


@pytest.fixture
def corpus_made(tmp_path, copy_of_workflow):
    """A project in which the real `natlab` has only a training left to do, of a system with all its random numbers."""
    project = copy_of_workflow(tmp_path)
    (project.root / "bin" / "natlab").unlink()
    config = project.root / "config"
    dataset = yaml.safe_load((config / "datasets/grammar_ende.yaml").read_text(encoding="utf-8"))
    role = dict.fromkeys(("teacher", "student"), TRAINING)
    scale = {**role, "finetune": {}, "distil": {"beam": 2, "batch_tokens": 1000, "shards": 1}, "threads": 1, "gpus": 0}
    settings = {
        "run": "small", "scale": "test", "seeds": [1], "corpora": {"wmt14_ende": "small"}, "tables": ["mple/table4"],
        "systems": ["glat_raw"],
    }  # fmt: skip
    for file, value in (
        ("datasets/small.yaml", dataset),
        ("scales/test.yaml", {**scale, "latency": {"sentences": 3, "warmup": 1}}),
        ("config.yaml", settings),
    ):
        (config / file).write_text(yaml.safe_dump(value), encoding="utf-8")
    systems = (config / "systems.yaml").read_text(encoding="utf-8")
    assert "glat_raw:" in systems
    bpe, draw = tmp_path / "bpe", random.Random(0)
    bpe.mkdir()
    for split, count in (("train", 200), ("valid", 20), ("test", 20)):
        for side in ("src", "tgt"):
            words = (draw.choices("abcdefgh", k=draw.randint(2, 6)) for _ in range(count))
            (bpe / f"{split}.{side}").write_text("".join(" ".join(some) + "\n" for some in words), encoding="utf-8")
    binarise(True, bpe, project.root / "results/corpora/small/bin")
    return project


def test_killed_again_and_again_a_training_ends_unattended_in_the_same_model(corpus_made, tmp_path):
    """SIGKILL at three random points and SIGTERM at one, in random order."""
    root, draw = corpus_made.root, random.Random()
    points = sorted(draw.sample(range(4, 56), 4))
    signals = draw.sample([signal.SIGKILL] * 3 + [signal.SIGTERM], 4)
    plan = " ".join(f"{number.name}@{point}" for number, point in zip(signals, points, strict=True))
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--retries", "4", "--allowed-rules", "train", "--"]
    environment = {**os.environ, "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}
    with open(tmp_path / "output", "w") as output:
        workflow = subprocess.Popen(
            [*command, f"{MODEL}/model.pt"], cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        killed = []
        for number, point in zip(signals, points, strict=True):
            pid = trained_until(root / "results/checkpoints/small/test/glat_raw/seed1", point, workflow, killed)
            if pid is not None:
                os.kill(pid, number)
                killed.append(pid)
        status = workflow.wait()
    text = (tmp_path / "output").read_text(encoding="utf-8")
    assert status == 0 and len(killed) == 4, f"{plan}\n{text}"
    assert text.count("Trying to restart job") == 4, f"{plan}\n{text}"
    assert text.count("SIGTERM: saved at update") == 1, f"{plan}\n{text}"
    [folder] = (root / "results/checkpoints/small/test/glat_raw/seed1").iterdir()
    parser = ArgumentParser()
    train.add_arguments(parser)
    train.run(
        parser.parse_args(
            [
                "--spec",
                (folder / "spec.json").read_text(encoding="utf-8"),
                "--out",
                str(tmp_path / "alone/model.pt"),
                "--data",
                str(root / "results/corpora/small/bin"),
                "--checkpoints",
                str(tmp_path / "alone/checkpoints"),
            ]
        )  # fmt: skip
    )
    models = [torch.load(place / "model.pt", weights_only=True) for place in (root / MODEL, tmp_path / "alone")]
    assert models[0]["provenance"] == models[1]["provenance"]
    for name, value in models[1]["parameters"].items():
        assert torch.equal(models[0]["parameters"][name], value), f"{plan}: {name}"
    curves = [(place / "curve.jsonl").read_text(encoding="utf-8") for place in (root / MODEL, tmp_path / "alone")]
    assert reported(curves[0]) == reported(curves[1])


def trained_until(checkpoints, point, workflow, killed) -> int | None:
    """The process of the attempt that has come to an update; None if Snakemake ended before."""
    seen = None
    while workflow.poll() is None:
        time.sleep(0.002)
        for folder in checkpoints.iterdir() if checkpoints.exists() else ():
            try:
                pid = json.loads((folder / "lock").read_text(encoding="utf-8"))["pid"]
                curve = folder / "curve.jsonl"
                if pid in killed or not curve.exists():
                    continue
                seen = seen or time.time()
                # after it took the lock it cuts the curve, and is ready for signals
                updates = [update for _, update, _ in reported(curve.read_text(encoding="utf-8").rpartition("\n")[0])]
                if curve.stat().st_mtime > seen and max(updates, default=0) >= point:
                    return pid
            except FileNotFoundError:
                continue
    return None


def reported(curve: str) -> list[tuple[str, int, float]]:
    """The lines of a curve, without what depends on the clock."""
    return [(line["subset"], line["num_updates"], line["loss"]) for line in map(json.loads, curve.splitlines())]


def test_only_the_shard_that_was_cut_off_is_distilled_again(project):
    stand_in = project.root / "bin" / "natlab"
    once = 'case "$*" in "distil "*"--shard 2 "*) [ -e cut_off ] || { touch cut_off; kill -9 $$; } ;; esac\n'
    text = stand_in.read_text(encoding="utf-8")
    stand_in.write_text(text.replace("verb=$1\n", f"{once}verb=$1\n"), encoding="utf-8")
    project.edit("src/natlab/measuring/distil.py", '"""', '"""Edited. ')
    result = project.snakemake("--until", "merge_distilled")
    assert result.returncode == 0, result.stdout
    shards = [
        (project.option(call, "--split"), project.option(call, "--shard"))
        for call in project.calls()
        if call[0] == "distil"
    ]
    assert sorted(shards) == [("test", "1"), ("train", "1"), ("train", "2"), ("train", "2"), ("valid", "1")]
