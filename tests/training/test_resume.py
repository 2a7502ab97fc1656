"""Resuming: interrupted anywhere and by anything, a training ends in the model of one that was not."""

import json
import random
import resource
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tests import plain

from natlab import compat
from natlab.errors import UserError
from natlab.losses import batch
from natlab.measuring.data import Data
from natlab.training import train
from natlab.training.interruption import MARGIN, Interruption
from natlab.training.resume import Checkpoints, best_of, read, validations_since_best

TIMES = ("wps", "train_wall", "wall")


class After(Interruption):
    """Asks to end when it has been asked ``asked`` times; never for None."""

    def __init__(self, asked: int | None):
        super().__init__()
        self.left = asked

    def reason(self, saving=0.0):
        if self.left is None:
            return None
        self.left -= 1
        return "TEST" if self.left < 0 else None


@pytest.fixture(scope="module")
def attempt(arguments):
    """A function: train in a folder until the end, or until the loop has asked so often whether it was asked to end."""

    def run(spec, folder, asked=None, *options):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(train, "Interruption", lambda deadline: After(asked))
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


def updates(folder: Path) -> list[int]:
    """The updates that have a checkpoint, in order."""
    return Checkpoints(folder, 2).updates()[::-1]


def curve(path: Path) -> list[dict]:
    """A curve's lines without what a clock says."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def result(folder: Path) -> dict:
    """What a training ends in: model, averaged checkpoints, parameters and optimiser, curve."""
    checkpoints = checkpoints_of(folder)
    state = torch.load(checkpoints / f"checkpoint_{updates(checkpoints)[-1]}.pt", weights_only=True)
    model = torch.load(folder / "model.pt", weights_only=True)
    return {
        "model": model["parameters"],
        "averaged": model["provenance"]["averaged"],
        "last": state["model"],
        "optimizer": state["last_optimizer_state"]["state"],
        "validations": state["extra_state"]["validations"],
        "curve": curve(folder / "curve.jsonl"),
    }


def equal(one, other) -> bool:
    """Whether two results are the same to the last bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    return one == other


@pytest.fixture(scope="module")
def of_30(spec):
    """30 updates with all that draws or remembers: dropout, glancing, accumulation, clipping, a schedule, averaging."""
    return spec(updates=30, validate_every=10, update_freq=2, label_smoothing=0.1, weight_decay=0.01)


@pytest.fixture(scope="module")
def uninterrupted(attempt, of_30, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    attempt(of_30, folder)
    return result(folder)


@pytest.fixture(scope="module")
def at_26(attempt, of_30, tmp_path_factory):
    """The folder of a training interrupted at update 26: after as many updates and two validations of one batch."""
    folder = tmp_path_factory.mktemp("at_26")
    attempt(of_30, folder, 28)
    assert updates(checkpoints_of(folder)) == [10, 20, 26]
    return folder


@pytest.fixture
def half_done(at_26, tmp_path):
    """A copy of it that a test may damage."""
    return shutil.copytree(at_26, tmp_path / "half_done")


def test_interrupted_anywhere_it_ends_in_the_same_model(attempt, of_30, uninterrupted, tmp_path):
    """After two updates; in the validation after update 10; at once, before it was made up for; later on."""
    for asked in (2, 8, 0, 13):
        attempt(of_30, tmp_path, asked)
    attempt(of_30, tmp_path)
    assert equal(result(tmp_path), uninterrupted)


def test_dynamic_kd_interrupted_anywhere_chooses_the_same_targets(attempt, of_30, candidates, tmp_path):
    chosen = {**of_30, "target": {"name": "dynamic", "candidates": ["one", "two", "raw"]}}
    chosen |= {"architecture": plain.architecture(masking=True), "terms": [{"name": "length"}, {"name": "masking"}]}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    attempt(chosen, whole, None, "--data", str(candidates))
    for asked in (2, 8, None):
        attempt(chosen, parts, asked, "--data", str(candidates))
    assert equal(result(whole), result(parts))
    lineage = json.loads((whole / "lineage.json").read_text())
    assert lineage == json.loads((parts / "lineage.json").read_text()) and lineage["training"]


def test_pre_alignment_interrupted_anywhere_ends_in_the_same_codes(attempt, of_30, tmp_path):
    """Their sums and counts are in the checkpoints; which words are masked follows from the update."""
    aligned = plain.multilingual({"name": "moving", "size": 5, "restart": 0.5}, plain.L_AL)
    made = {key: value for key, value in of_30.items() if key not in ("input", "objective", "terms")} | aligned
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    attempt(made, whole)
    for asked in (2, 8, 0, None):
        attempt(made, parts, asked)
    assert equal(result(whole), result(parts))
    assert {"codebook.vectors", "codebook.averages.sums", "codebook.averages.counts"} <= set(result(whole)["model"])


def test_other_hyper_parameters_train_anew_and_leave_the_old_folder_alone(attempt, of_30, spec, half_done):
    old = checkpoints_of(half_done)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in old.iterdir()}
    attempt(spec(updates=2, validate_every=1), half_done)
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in old.iterdir()} == before
    [new] = set((half_done / "checkpoints").iterdir()) - {old}
    assert [line["num_updates"] for line in curve(new / "curve.jsonl")] == [1, 1, 2, 2]
    assert curve(half_done / "curve.jsonl") == curve(new / "curve.jsonl")


def test_a_truncated_checkpoint_is_never_loaded(at_26, tmp_path, caplog):
    """20 trials; the newest is cut at a random byte."""
    draw = random.Random()
    for trial in range(20):
        folder = shutil.copytree(checkpoints_of(at_26), tmp_path / str(trial))
        newest = folder / "checkpoint_26.pt"
        size = draw.randrange(newest.stat().st_size)
        with open(newest, "r+b") as file:
            file.truncate(size)
        caplog.clear()
        assert Checkpoints(folder, 2).latest() == folder / "checkpoint_20.pt", f"cut at byte {size}"
        assert not newest.exists() and newest.with_suffix(".damaged").stat().st_size == size
        assert "checkpoint_26.pt: truncated or damaged; set aside as checkpoint_26.damaged" in caplog.text


def test_training_goes_on_from_the_checkpoint_before_a_truncated_one(attempt, of_30, uninterrupted, half_done):
    for update, size in ((26, 300_000), (20, 17)):
        with open(checkpoints_of(half_done) / f"checkpoint_{update}.pt", "r+b") as file:
            file.truncate(size)
    attempt(of_30, half_done)
    assert equal(result(half_done), uninterrupted)


def test_a_flipped_bit_is_noticed(at_26, tmp_path):
    whole = checkpoints_of(at_26) / "checkpoint_26.pt"
    content = bytearray(whole.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "flipped.pt").write_bytes(content)
    assert read(whole) is not None and read(tmp_path / "flipped.pt") is None


@contextmanager
def small_disk(folder: Path):
    """The folder on a disk of its own that has room for nothing more."""
    content = shutil.copytree(folder, folder.with_name("content"))
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no disk can be mounted here: {made.stderr.strip()}")
    try:
        shutil.copytree(content, folder, dirs_exist_ok=True)
        with open(folder / "ballast", "wb", buffering=0) as ballast, pytest.raises(OSError):
            while True:
                ballast.write(bytes(4096))
        with open(folder / "ballast", "r+b") as ballast:
            ballast.truncate(ballast.seek(0, 2) - 64 * 1024)  # room for the lock and the curve
        yield
        (folder / "ballast").unlink()
        shutil.copytree(folder, content, dirs_exist_ok=True)
    finally:
        subprocess.run(["umount", folder], check=True)
    shutil.copytree(content, folder, dirs_exist_ok=True)


@contextmanager
def small_files(folder: Path):
    """No file may grow as large as a checkpoint."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    "full, why", [(small_disk, "No space left on device"), (small_files, "File too large")], ids=["tmpfs", "limit"]
)
def test_a_full_disk_is_one_clear_line_and_the_last_checkpoint_still_loads(
    full, why, attempt, of_30, uninterrupted, half_done
):
    folder = checkpoints_of(half_done)
    with full(half_done):
        with pytest.raises(UserError) as refused:
            attempt(of_30, half_done)
        assert str(refused.value) == (
            f"{folder}/checkpoint_30.pt: cannot be written: {why}; make room, run again; of the checkpoints before it, "
            "checkpoint_26.pt is whole"
        )
        assert Checkpoints(folder, 2).latest() == folder / "checkpoint_26.pt"
    attempt(of_30, half_done)
    assert equal(result(half_done), uninterrupted)


@pytest.fixture
def spoilt(monkeypatch):
    """A sentence that makes the loss of its batch infinite, though with finite gradients."""
    compat.apply()
    from natlab.training import criterion

    sentence = []

    def batch_loss(model, source, target, *args, **kwargs):
        loss = batch.batch_loss(model, source, target, *args, **kwargs)
        rows = sorted(tuple(row[row != 1].tolist()) for row in source)
        if model.training and not sentence:
            sentence.extend(rows[0])
        if model.training and tuple(sentence) in rows:
            loss.loss = loss.loss + torch.inf
        return loss

    monkeypatch.setattr(criterion, "batch_loss", batch_loss)
    return sentence


def test_updates_that_are_not_finite_are_skipped_and_counted(attempt, spec, spoilt, tmp_path, caplog):
    """In each epoch, one of five batches is; the third time is after the last update."""
    attempt(spec(updates=12, validate_every=4), tmp_path, 7)
    attempt(spec(updates=12, validate_every=4), tmp_path)
    done = result(tmp_path)
    assert all(value.isfinite().all() for value in (*done["model"].values(), *done["last"].values()))
    assert [line["num_updates"] for line in done["curve"] if line["subset"] == "train"] == list(range(1, 13))
    skipped = [record.message for record in caplog.records if "skipped (" in record.message]
    assert [message.split("skipped ")[1] for message in skipped] == [f"({n} of 10 allowed)" for n in (1, 2)]


def test_too_many_skipped_updates_end_the_training_and_name_the_sentences(attempt, spec, spoilt, tmp_path, copy_corpus):
    with pytest.raises(UserError) as refused:
        attempt(spec(updates=60, validate_every=4), tmp_path, None, "--skip-limit", "2")
    message = str(refused.value)
    assert "\n" not in message and "2 updates were skipped before it" in message
    sentences = [tuple(sentence.tolist()) for sentence in Data(copy_corpus).sources("train")]
    spoiling = {number for number, sentence in enumerate(sentences) if sentence == tuple(spoilt)}
    named = {int(number) for number in message.split("training sentences ")[1].split(" (ids")[0].split(", ")}
    assert spoiling & named and len(named) < 100  # one batch of five
    newest = f"checkpoint_{updates(checkpoints_of(tmp_path))[-1]}.pt"
    assert f"last good: {newest})" in message
    assert all(value.isfinite().all() for value in read(checkpoints_of(tmp_path) / newest)["model"].values())


def test_patience_counts_on_after_an_interruption(attempt, spec, tmp_path):
    """With a learning rate of 0 no validation betters the first."""
    stubborn = spec(updates=40, validate_every=4, lr=0.0, patience=3)
    attempt(stubborn, tmp_path, 12)
    attempt(stubborn, tmp_path)
    assert [update for update, _ in result(tmp_path)["validations"]] == [4, 8, 12, 16]
    assert json.loads((checkpoints_of(tmp_path) / "finished.json").read_text()) == {"updates": 16}


@pytest.fixture
def scripted(monkeypatch):
    """A function: let a training's validations have these losses and BLEUs, in order."""
    compat.apply()
    from natlab.training import loop

    def script(losses, bleus):
        values = [{"loss": loss, "bleu": bleu} for loss, bleu in zip(losses, bleus, strict=True)]
        monkeypatch.setattr(loop.Training, "validate", lambda self: values[self.updates // 4 - 1])

    return script


LOSSES, BLEUS = [5.0, 1.0, 2.0, torch.nan, 1.5], [10.0, 40.0, 50.0, 60.0, 20.0]


@pytest.mark.parametrize(
    "select, best", [({}, [12, 16]), ({"select": "score"}, [12, 16]), ({"select": "loss"}, [8, 20])]
)
def test_the_best_checkpoints_are_those_of_the_highest_score_or_the_lowest_loss(
    select, best, attempt, spec, scripted, tmp_path
):
    scripted(LOSSES, BLEUS)
    made = spec(updates=20, validate_every=4, **select)
    attempt(made, tmp_path, 14)
    attempt(made, tmp_path)
    assert result(tmp_path)["averaged"] == [f"checkpoint_{update}.pt" for update in best]


@pytest.mark.parametrize("select, last", [("score", 20), ("loss", 16)])
def test_patience_waits_for_what_checkpoints_are_chosen_by(select, last, attempt, spec, scripted, tmp_path):
    scripted(LOSSES, BLEUS)
    attempt(spec(updates=20, validate_every=4, patience=2, select=select), tmp_path)
    assert updates(checkpoints_of(tmp_path))[-1] == last


def test_ranking_and_patience():
    validations = [(10, 5.0), (20, 7.0), (30, 7.0), (40, 6.0)]
    assert best_of(validations, 1) == [30] and best_of(validations, 3) == [20, 30, 40] and best_of([], 2) == []
    assert validations_since_best(validations) == 2 and validations_since_best([]) == 0
    assert validations_since_best([(10, 0.0)]) == 0 and validations_since_best([(10, 0.0), (20, 0.1)]) == 0


@pytest.fixture
def checkpoints(tmp_path):
    """A function: checkpoints after each of some validations, as a training with ``average`` saves them."""

    def saved(average, *bleus):
        made = Checkpoints(tmp_path, average)
        validations = []
        for number, bleu in enumerate(bleus, 1):
            validations.append((10 * number, bleu))
            made.save({"extra_state": {"validations": list(validations)}, "model": torch.zeros(100)}, 10 * number)
        return made

    return saved


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def test_old_checkpoints_are_removed_but_for_the_best_and_what_two_last_ones_need(checkpoints):
    assert checkpoints(1, 30.0, 20.0, 40.0, 10.0).updates() == [40, 30]
    assert checkpoints(1, 30.0, 20.0, 10.0, 40.0).updates() == [40, 30, 10]  # 10 was the best until 30
    made = checkpoints(2, 30.0, 20.0, 40.0, 10.0, 15.0, 14.0)
    assert made.updates() == [60, 50, 30, 10]
    assert [path.name for path in made.finish()] == ["checkpoint_10.pt", "checkpoint_30.pt"]
    assert made.updates() == [60, 30, 10]


def test_the_one_before_a_damaged_checkpoint_has_all_that_it_needs(checkpoints):
    made = checkpoints(1, 30.0, 20.0, 10.0, 40.0)
    damage(made.path(40))
    assert made.latest() == made.path(30)
    assert made.updates() == [30, 10] and made.finish() == [made.path(10)]


def test_a_checkpoint_without_its_best_gives_way_to_one_before_that(checkpoints):
    made = checkpoints(2, 30.0, 20.0, 40.0, 10.0)
    assert made.updates() == [40, 30, 10]
    damage(made.path(30))
    assert made.latest() == made.path(10)
    assert made.updates() == [10]  # 40 will be written again, with another line of the curve before it


def test_without_any_complete_checkpoint_the_newest_whole_one_is_used(checkpoints, caplog):
    made = checkpoints(1, 30.0, 20.0, 10.0)
    damage(made.path(10))
    assert made.latest() == made.path(30)
    assert "best validations are lost" in caplog.text
    damage(made.path(30))
    damage(made.path(20))
    assert made.latest() is None


def test_what_a_killed_process_left_half_written_is_removed(checkpoints):
    made = checkpoints(1, 30.0)
    half = made.folder / ".checkpoint_20.pt.4711.part"
    half.write_bytes(b"PK")
    assert made.latest() == made.path(10) and not half.exists()


def test_a_curve_half_written_is_cut_to_its_checkpoint(attempt, of_30, uninterrupted, half_done):
    with open(checkpoints_of(half_done) / "curve.jsonl", "a") as file:
        file.write('{"subset": "train", "num_updates": 28, "loss": 1.0}\n{"subset": "tra')
    attempt(of_30, half_done)
    assert equal(result(half_done)["curve"], uninterrupted["curve"])


def test_a_deadline_leaves_time_to_save():
    def reason(seconds, saving=0.0):
        return Interruption(time.time() + MARGIN + seconds).reason(saving)

    assert reason(60) is None and reason(60, saving=20.0) is None
    assert reason(-1) == reason(60, saving=31.0) == "the deadline is near"


def test_a_training_whose_deadline_is_near_begins_nothing(arguments, of_30, tmp_path):
    with pytest.raises(SystemExit) as ended:
        train.run(arguments(of_30, tmp_path, "--deadline", str(time.time())))
    assert ended.value.code == 75 and not (tmp_path / "model.pt").exists()
