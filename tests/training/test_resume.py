"""Resuming: interrupted anywhere and by anything, a training ends in the model of one that was not."""

import json
import os
import random
import resource
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from natlab.errors import UserError
from natlab.training import train
from natlab.training.interruption import MARGIN, Interruption
from natlab.training.resume import Checkpoints, best_of, read, validations_since_best

TIMES = ("wps", "train_wall", "wall")


@pytest.fixture
def attempt(arguments, monkeypatch):
    """A function: train until the end, or until the loop has asked ``asked`` times whether it was asked to end."""

    def run(spec, folder, asked=None, *options):
        class After(Interruption):
            left = asked

            def reason(self, saving=0.0):
                if self.left is None:
                    return None
                self.left -= 1
                return "TEST" if self.left < 0 else None

        monkeypatch.setattr(train, "Interruption", After)
        if asked is None:
            return train.run(arguments(spec, folder, *options))
        with pytest.raises(SystemExit) as ended:
            train.run(arguments(spec, folder, *options))
        assert ended.value.code == 75

    return run


def checkpoints_of(folder: Path) -> Path:
    """The one folder of checkpoints below."""
    [made] = (folder / "checkpoints").iterdir()
    return made


def result(folder: Path):
    """What a training ends in: the model, the last checkpoint's parameters and optimiser, and the curve without times."""
    last = max(checkpoints_of(folder).glob("checkpoint_*.pt"), key=lambda path: int(path.stem.split("_")[1]))
    state = torch.load(last, weights_only=True)
    lines = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    curve = [{key: value for key, value in line.items() if key not in TIMES} for line in lines]
    model = torch.load(folder / "model.pt", weights_only=True)
    return {
        "model": model["parameters"],
        "averaged": model["provenance"]["averaged"],
        "last": state["model"],
        "optimizer": state["last_optimizer_state"]["state"],
        "validations": state["extra_state"]["validations"],
        "curve": curve,
    }


def equal(one, other) -> bool:
    """Whether two results are the same to the last bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    return one == other


@pytest.fixture(scope="module")
def spec_of_30(spec):
    """Everything that draws or remembers: dropout, glancing, accumulation, clipping, a schedule, averaging."""
    return spec(updates=30, validate_every=10, update_freq=2, label_smoothing=0.1, weight_decay=0.01)


@pytest.fixture(scope="module")
def uninterrupted(arguments, spec_of_30, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    train.run(arguments(spec_of_30, folder))
    return result(folder)


@pytest.fixture(scope="module")
def half_done(arguments, spec_of_30, tmp_path_factory):
    """The folder of a training interrupted at update 26, between two validations."""
    folder = tmp_path_factory.mktemp("half_done")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "Interruption", lambda deadline: Stopped())
        with pytest.raises(SystemExit):
            train.run(arguments(spec_of_30, folder))
    return folder


class Stopped(Interruption):
    """Asks to end as soon as checkpoint 20 has been written and six more updates made."""

    def reason(self, saving=0.0):
        self.asked = getattr(self, "asked", 0) + (saving > 0)
        return "TEST" if saving and self.asked > 19 else None


def copied(folder: Path, to: Path) -> Path:
    subprocess.run(["cp", "-a", f"{folder}/.", to], check=True)
    return to


def test_interrupted_anywhere_it_ends_in_the_same_model(attempt, spec_of_30, uninterrupted, tmp_path):
    """After two updates; in the validation after update 10; at once, before it was made up for; later on."""
    for asked in (2, 8, 0, 13):
        attempt(spec_of_30, tmp_path, asked)
    attempt(spec_of_30, tmp_path)
    assert equal(result(tmp_path), uninterrupted)
