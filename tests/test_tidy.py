"""What `natlab tidy` finds needless, and that nothing else goes."""

import os
import time
from unittest import mock

import pytest

from natlab import cli, tidy
from natlab.files import write_json
from natlab.training.lock import holder_of_this_process

SYSTEM = "data/scale/system/seed1"


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def put(path, size=10, age=0.0):
    """A file of so many bytes, written so many seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def training(results, fingerprint, *, finished, age=0.0, system=SYSTEM):
    """The folder of a training with two checkpoints; returns these."""
    folder = results / "checkpoints" / system / fingerprint
    made = [put(folder / f"checkpoint_{update}.pt", age=age) for update in (100, 200)]
    for name in ("curve.jsonl", "experiment.json", "spec.json", *(["finished.json"] if finished else [])):
        put(folder / name, age=age)
    return made


def found(results):
    return [(each.why, each.path) for each in tidy.needless(results)]


def test_checkpoints_go_once_their_training_has_ended_and_its_model_is_there(results):
    made = training(results, "aa", finished=True)
    assert found(results) == []
    put(results / "models" / SYSTEM / "model.pt")
    assert found(results) == [(tidy.FINISHED, path) for path in made]


def test_a_training_goes_that_was_left_for_another_that_has_ended(results):
    left = training(results, "aa", finished=False, age=60)
    training(results, "bb", finished=False)
    put(results / "models" / SYSTEM / "model.pt")
    assert found(results) == []  # none has ended
    put(results / "checkpoints" / SYSTEM / "bb" / "finished.json")
    assert [path for why, path in found(results) if why == tidy.LEFT] == left


def test_a_training_begun_after_another_has_ended_stays(results):
    training(results, "aa", finished=True, age=60)
    training(results, "bb", finished=False)
    put(results / "models" / SYSTEM / "model.pt")
    assert {path.parent.name for _, path in found(results)} == {"aa"}


def test_a_training_that_some_process_holds_stays(results, capsys):
    made = training(results, "aa", finished=True)
    put(results / "models" / SYSTEM / "model.pt")
    held = results / "checkpoints" / SYSTEM / "aa" / "lock"
    write_json(held, holder_of_this_process())
    assert found(results) == []
    write_json(held, {**holder_of_this_process(), "birth": "long ago"})
    assert len(found(results)) == 2
    held.write_text("")  # as a full disk leaves it
    assert len(found(results)) == 2
    all_of_it = list(tidy.needless(results))
    write_json(held, holder_of_this_process())  # begun since
    with mock.patch.object(tidy, "needless", lambda results: all_of_it):
        cli.main(["tidy", "--results", str(results), "--delete"])
    assert all(path.exists() for path in made)


def test_builds_before_the_last_go(results):
    for build in ("old", "new"):
        put(results / "kernels" / build / "manifest.json", age=2 * tidy.DAY)
    put(results / "kernels" / "young" / "manifest.json")
    put(results / "kernels" / "objects" / "a.o")
    assert found(results) == []  # which is the last nobody says
    write_json(results / "kernels" / "built.json", {"hash": "new"})
    assert found(results) == [(tidy.BUILDS, results / "kernels" / "old")]


def test_what_is_half_written_goes_after_a_day(results):
    put(results / "corpora" / "c" / ".bin.part" / ".inner.12.part", age=2 * tidy.DAY)
    half = put(results / "models" / ".model.pt.12.part", age=2 * tidy.DAY)
    put(results / "models" / ".model.pt.13.part")
    put(results / "mine" / ".download.iso.part", age=2 * tidy.DAY)  # nothing of natlab's
    folder = results / "corpora" / "c" / ".bin.part"
    os.utime(folder, (0, 0))
    going = put(results / "corpora" / "d" / ".bin.part" / "text").parent
    os.utime(going, (0, 0))
    assert found(results) == [(tidy.HALF, folder), (tidy.HALF, half)]


def test_parts_of_translations_go_once_these_are_whole(results):
    put(results / "translations" / f"{SYSTEM}.parts" / "f" / "argmax.test.jsonl")
    assert found(results) == []
    (results / "translations" / SYSTEM).mkdir()
    assert found(results) == [(tidy.PARTS, results / "translations" / f"{SYSTEM}.parts")]


def test_it_says_what_would_go_and_deletes_only_when_asked(results, capsys):
    made = training(results, "aa", finished=True)
    put(results / "models" / SYSTEM / "model.pt", size=3_000_000)
    put(results / "kernels" / "old" / "manifest.json", size=2_000_000, age=2 * tidy.DAY)
    write_json(results / "kernels" / "built.json", {"hash": "new"})
    assert cli.main(["tidy", "--results", str(results), "--paths"]) == 0
    said = capsys.readouterr().out
    assert "0.0 MB      2  checkpoints of finished trainings" in said and str(made[0]) in said
    assert "2.0 MB      1  earlier builds" in said and "2.0 MB      3  in all" in said
    assert "--delete" in said and made[0].exists()
    assert cli.main(["tidy", "--results", str(results), "--delete"]) == 0
    assert capsys.readouterr().out.endswith("deleted\n")
    assert found(results) == []
    folder = made[0].parent
    assert {path.name for path in folder.iterdir()} == {"curve.jsonl", "experiment.json", "spec.json", "finished.json"}
    assert (results / "models" / SYSTEM / "model.pt").exists() and not (results / "kernels" / "old").exists()


def test_a_folder_that_is_not_there_is_refused(tmp_path, capsys):
    assert cli.main(["tidy", "--results", str(tmp_path / "nowhere")]) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err
