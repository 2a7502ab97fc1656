"""What `natlab tidy` finds needless, and that nothing else goes."""

import os
import time

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


def test_of_unfinished_trainings_the_newest_stays(results):
    left = training(results, "aa", finished=False, age=60)
    training(results, "bb", finished=False)
    assert found(results) == [(tidy.LEFT, path) for path in left]


def test_a_training_that_goes_on_stays_and_others_are_as_old_as_they_are(results):
    training(results, "aa", finished=False, age=60)
    held = results / "checkpoints" / SYSTEM / "aa" / "lock"
    write_json(held, holder_of_this_process())
    training(results, "bb", finished=False)
    assert found(results) == []
    write_json(held, {**holder_of_this_process(), "birth": "long ago"})
    os.utime(held, (time.time() - 60, time.time() - 60))
    assert {why for why, _ in found(results)} == {tidy.LEFT}


def test_builds_before_the_last_go(results):
    for build in ("old", "new"):
        put(results / "kernels" / build / "manifest.json")
    put(results / "kernels" / "objects" / "a.o")
    assert found(results) == []  # which is the last nobody says
    write_json(results / "kernels" / "built.json", {"hash": "new"})
    assert found(results) == [(tidy.BUILDS, results / "kernels" / "old")]


def test_what_is_half_written_goes_after_a_day(results):
    put(results / "corpora" / "c" / ".bin.part" / ".inner.12.part", age=2 * tidy.DAY)
    half = put(results / "models" / ".model.pt.12.part", age=2 * tidy.DAY)
    put(results / "models" / ".model.pt.13.part")
    folder = results / "corpora" / "c" / ".bin.part"
    os.utime(folder, (0, 0))
    assert found(results) == [(tidy.HALF, folder), (tidy.HALF, half)]


def test_parts_of_translations_go_once_these_are_whole(results):
    put(results / "translations" / f"{SYSTEM}.parts" / "f" / "argmax.test.jsonl")
    assert found(results) == []
    (results / "translations" / SYSTEM).mkdir()
    assert found(results) == [(tidy.PARTS, results / "translations" / f"{SYSTEM}.parts")]


def test_it_says_what_would_go_and_deletes_only_when_asked(results, capsys):
    made = training(results, "aa", finished=True)
    put(results / "models" / SYSTEM / "model.pt", size=3_000_000)
    put(results / "kernels" / "old" / "manifest.json", size=2_000_000)
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
