"""What a number rests on: the checkout's state, and a run's configuration, data, models and devices in one file."""

import contextlib
import hashlib
import json
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from natlab import cli, config, provenance
from natlab.files import read_json, write_json

REPOSITORY = Path(__file__).resolve().parents[1]
SETTINGS = {
    "run": "small", "scale": "demo", "seeds": [1], "corpora": {"wmt14_ende": "grammar_ende"}, "tables": ["mple/table4"],
    "systems": ["vanilla_raw", "vanilla_kd"], "tracking": {"online": True},
}  # fmt: skip
MEASURED = {"vanilla_raw": "fingerprint of raw", "vanilla_kd": "fingerprint of kd"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results of a run whose models were deleted but for the teacher, which nothing measures."""
    tmp_path = tmp_path_factory.mktemp("results")
    for system, fingerprint in MEASURED.items():
        folder = tmp_path / "measurements/grammar_ende/demo" / system / "seed1"
        write_json(folder / "loss.json", {"provenance": {"fingerprint": fingerprint, "device": "a GPU"}})
        write_json(Path(f"{folder}.latency.json"), {"provenance": {"fingerprint": fingerprint, "device": "a CPU"}})
    for folder in ("corpora/grammar_ende/bin", "distilled/grammar_ende/demo/transformer/seed1/bin"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "train.idx").write_bytes(folder.encode())
    teacher = tmp_path / "models/grammar_ende/demo/transformer/seed1/model.pt"
    teacher.parent.mkdir(parents=True)
    torch.save({"parameters": {}, "provenance": {"fingerprint": "fingerprint of teacher"}}, teacher)
    return tmp_path


@pytest.fixture(scope="module")
def written(results):
    write_json(results / "run.json", SETTINGS)
    out = results / "provenance.json"
    with contextlib.chdir(REPOSITORY):
        arguments = ["--run", f"{results}/run.json", "--results", str(results), "--out", str(out)]
        assert cli.main(["provenance", *arguments]) == 0
    return read_json(out)


def test_the_fingerprint_and_specification_of_each_model_teachers_included(written):
    run = config.load(SETTINGS, "small", REPOSITORY)
    fingerprints = {model["spec"]["system"]: model["fingerprint"] for model in written["models"]}
    assert fingerprints == {**MEASURED, "transformer": "fingerprint of teacher"}
    for model in written["models"]:
        assert model["spec"] == run.spec("grammar_ende", model["spec"]["system"], 1)


def test_the_configuration_as_resolved_with_its_defaults(written):
    assert written["configuration"]["run"] == {**SETTINGS, "tracking": {"backend": "comet", "online": True}}
    assert written["configuration"]["scale"]["student"]["updates"] > 0
    assert written["configuration"]["datasets"]["grammar_ende"]["source"]["kind"] == "grammar"


def test_checksums_of_the_data_that_models_are_trained_on(written, results):
    for folder in ("corpora/grammar_ende/bin", "distilled/grammar_ende/demo/transformer/seed1/bin"):
        checksum = hashlib.sha256(folder.encode()).hexdigest()
        assert written["data"][str(results / folder)] == {"train.idx": checksum}
    assert len(written["data"]) == 2


def test_devices_and_all_packages(written):
    assert written["devices"] == ["a CPU", "a GPU"]
    for package in ("torch", "fairseq", "snakemake", "comet-ml"):
        assert written["packages"].get(package) == version(package), package


def test_a_model_that_was_deleted_and_is_not_measured_has_no_fingerprint(tmp_path, monkeypatch):
    monkeypatch.setenv("COMET_API_KEY", "aKeyThatMustAppearNowhere0123456789")
    run = config.load(SETTINGS, "small", REPOSITORY)
    found = provenance.of_run(run, tmp_path)
    assert [model["fingerprint"] for model in found["models"]] == [None, None, None]
    assert "aKeyThatMustAppearNowhere" not in json.dumps(found)


def test_commit_and_dirtiness_are_those_of_the_checkout(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True, text=True
        )

    module = tmp_path / "module.py"
    monkeypatch.setattr(provenance, "__file__", str(module))
    assert (provenance.record()["commit"], provenance.record()["dirty"]) == (None, None)
    module.write_text("")
    made = [tmp_path / folder / "README.md" for folder in ("reports", "results")]
    for page in made:
        page.parent.mkdir()
        page.write_text("")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    commit = git("rev-parse", "HEAD").stdout.strip()
    (tmp_path / "untracked").write_text("")
    for page in made:  # what runs write into, or somebody empties
        page.unlink()
    assert (provenance.record()["commit"], provenance.record()["dirty"]) == (commit, False)
    module.write_text("changed")
    assert (provenance.record()["commit"], provenance.record()["dirty"]) == (commit, True)
