"""Several processes share a training; here two of the CPU, over gloo."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from natlab.errors import UserError
from natlab.training import train

TOLERANCE = 1e-4  # bits a token


@pytest.fixture(scope="module")
def plain(spec):
    """Nothing is drawn but the order of the batches, of which an epoch has an odd number; four make an update."""
    made = spec(updates=60, validate_every=10, batch_tokens=300, update_freq=4, dropout=0.0, label_smoothing=0.1)
    return {**made, "input": {"name": "vanilla"}}


def curve(path):
    """{(subset, update): (loss, loss without smoothing)}, each line once and in order."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    updates = [line["num_updates"] for line in lines]
    assert updates == sorted(updates)
    found = {(line["subset"], line["num_updates"]): (line["loss"], line["nll_loss"]) for line in lines}
    assert len(found) == len(lines)
    return found


def test_two_processes_give_the_loss_curve_of_one_and_one_can_go_on_after_them(arguments, plain, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    train.run(arguments(plain, one))
    args = vars(arguments(plain, two))
    options = [part for name in ("spec", "data", "checkpoints", "out") for part in (f"--{name}", args[name])]
    command = [sys.executable, "-m", "natlab.cli", "train", *options, "--gpus", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with open(tmp_path / "log", "w") as log, subprocess.Popen(command, stderr=log, env=environment) as launcher:
        folder = two / "checkpoints" / train.fingerprint(plain, args["data"])
        while launcher.poll() is None and not any(update >= 50 for _, update in curve_so_far(folder / "curve.jsonl")):
            time.sleep(0.01)
        launcher.send_signal(signal.SIGTERM)
    text = (tmp_path / "log").read_text()
    assert launcher.returncode == 75, text
    assert text.count("saved at update") == 1 and (folder / "checkpoint_50.pt").exists(), text
    train.run(arguments(plain, two))
    expected, found = curve(one / "curve.jsonl"), curve(two / "curve.jsonl")
    assert found.keys() == expected.keys()
    for point, losses in expected.items():
        assert found[point] == pytest.approx(losses, abs=TOLERANCE), point


def curve_so_far(path):
    """The points of a curve that is being written."""
    complete = path.read_text().split("\n")[:-1] if path.exists() else []
    return [(line["subset"], line["num_updates"]) for line in map(json.loads, complete)]


def test_gpus_that_cannot_share_an_update_evenly_are_refused(arguments, plain, tmp_path):
    with pytest.raises(UserError, match="--gpus 3: they cannot share update_freq 4 evenly; make it a multiple of 3"):
        train.fairseq_arguments(plain, "data", tmp_path, 3)
