"""COMET and BLEURT of translations are what their libraries say, whatever the order of the sentences."""

import argparse
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from natlab.errors import UserError
from natlab.files import read_json, write_json
from natlab.measuring import learned as measuring
from natlab.metrics import learned

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = REPOSITORY / "results/packages/metrics"
PINS = re.findall(r"^([\w-]+)==(.+)$", (REPOSITORY / "requirements-metrics.lock").read_text(), re.MULTILINE)
WORDS = {"en": "the man buys a car and goes home today", "de": "der mann kauft ein auto und geht heute nach hause"}
DATASET = {
    "source": {"kind": "parallel", "files": {"all": {"url": "https://example.org/all.txt", "sha256": "unverified"}}},
    "languages": {"src": "en", "tgt": "de"},
    "clean": {"max_length": 250, "max_ratio": None, "deduplicate": False},
    "tokenise": "none",
    "lowercase": True,
    "bpe": {"joint": True, "merges": 10},
    "licence": "none",
}
DATASET["source"]["splits"] = {split: [{"src": "all", "tgt": "all"}] for split in ("train", "valid", "test")}


def installed() -> bool:
    """Whether the packages are there, of the versions that are pinned."""
    return all((PACKAGES / f"{name.replace('-', '_')}-{version}.dist-info").exists() for name, version in PINS)


def folders(root: Path, name: str, samples: list[dict[str, str]]) -> list[str]:
    """A corpus and one model's translations of it; what of `natlab score` is about them."""
    corpus, translations = root / name / "corpus", root / name / "translations"
    sides = [(corpus / "text/test.src", "src"), (translations / "argmax.test.txt", "mt")]
    for path, key in [*sides, *((corpus / folder / "test.tgt", "ref") for folder in ("text", "tok"))]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{sample[key]}\n" for sample in samples), encoding="utf-8")
    write_json(translations / "provenance.json", {"fingerprint": "abc", "device": "cpu"})
    (root / "ds.yaml").write_text(yaml.safe_dump(DATASET))
    identity = json.dumps({"dataset": "ds", "scale": "demo", "system": "vanilla_raw", "seed": 1})
    return ["--translations", str(translations), "--corpus", str(corpus), "--identity", identity]


@pytest.mark.skipif(not installed(), reason="no packages of COMET and BLEURT: snakemake --cores 1 packages (100 MB)")
def test_scores_are_those_of_the_libraries_in_any_order(tmp_path):
    rng = random.Random(1)
    samples = [
        {
            key: " ".join(rng.choices(WORDS[language].split(), k=rng.randint(1, 20)))
            for key, language in (("src", "en"), ("mt", "de"), ("ref", "de"))
        }
        for _ in range(40)
    ]
    write_json(tmp_path / "samples.json", samples)
    commands = []
    for name, given in (("forth", samples), ("back", samples[::-1])):
        # in small letters, as the corpus is
        given = [{key: line.upper() if key != "mt" else line for key, line in sample.items()} for sample in given]
        of_folders = folders(tmp_path, name, given)
        for metric in learned.SCORERS:
            of_metric = ["--metric", metric, "--weights", str(tmp_path / f"tiny-{metric}")]
            of_metric += ["--translated", "argmax.test", "--out", str(tmp_path / name / metric)]
            tracking = ["--tracking", '{"backend": "none"}', "--checkpoints", str(tmp_path)]
            rest = ["--dataset-config", str(tmp_path / "ds.yaml"), *tracking]
            commands.append(["score", *of_metric, *of_folders, *rest])
    program = [sys.executable, Path(__file__).with_name("learned_models.py"), tmp_path, json.dumps(commands)]
    path = os.pathsep.join([str(PACKAGES), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    done = subprocess.run(
        program, cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    direct = read_json(tmp_path / "direct.json")
    for metric, scores in direct.items():
        assert max(scores) - min(scores) > 0.01
        found = read_json(tmp_path / "forth" / metric / "argmax.test.json")
        each = found["sentence_statistics"][metric]
        assert each == pytest.approx([100 * score for score in scores], abs=1e-3)
        again = read_json(tmp_path / "back" / metric / "argmax.test.json")["sentence_statistics"][metric]
        assert again[::-1] == pytest.approx(each, abs=1e-3)
        value = found["values"][metric]
        assert value["value"] == pytest.approx(sum(each) / 40) and value["unit"] == metric.upper()
        package = {"comet": "unbabel-comet:2", "bleurt": "bleurt-pytorch:0"}[metric]
        assert re.match(rf"model:tiny-{metric}\|sha256:[0-9a-f]{{12}}\|case:lc\|{package}\.", value["signature"])
        assert (found["decoding"], found["split"], found["sentences"]) == ("argmax", "test", 40)
        assert found["provenance"]["fingerprint"] == "abc" and found["provenance"]["device"] == "cpu"
    assert not (tmp_path / "lightning_logs").exists()


def test_a_measurement_says_what_it_rests_on(tmp_path, monkeypatch):
    """By a scorer of our own, without the packages: the share of letters that translation and reference share by
    place. The signature is another of other weights."""

    def alike(model, sources, translations, references):
        assert model == tmp_path / "weights" and sources == [
            "ein haus",
            "das haus",
        ]  # in small letters, as the corpus is
        return [sum(map(str.__eq__, *pair)) / len(pair[0]) for pair in zip(translations, references, strict=True)]

    monkeypatch.setitem(learned.SCORERS, "comet", (alike, "torch"))
    samples = [{"src": "Ein Haus", "mt": "ABCD", "ref": "abcx"}, {"src": "Das Haus", "mt": "ab", "ref": "AB"}]
    of_folders = folders(tmp_path, "model", samples)
    (tmp_path / "weights").mkdir()
    signatures = []
    for weights in ("one", "other"):
        (tmp_path / "weights/model.bin").write_text(weights)
        parser = argparse.ArgumentParser()
        measuring.add_arguments(parser)
        rest = ["--dataset-config", str(tmp_path / "ds.yaml"), "--tracking", '{"backend": "none"}']
        rest += ["--checkpoints", str(tmp_path), "--out", str(tmp_path / weights)]
        of_metric = ["--metric", "comet", "--weights", str(tmp_path / "weights"), "--translated", "argmax.test"]
        measuring.run(parser.parse_args([*of_metric, *of_folders, *rest]))
        found = read_json(tmp_path / weights / "argmax.test.json")
        signatures.append(found["values"]["comet"].pop("signature"))
        assert found["values"] == {"comet": {"value": 87.5, "unit": "COMET"}}
        assert found["sentence_statistics"] == {"comet": [75.0, 100.0]}
        assert found["provenance"]["fingerprint"] == "abc" and found["provenance"]["device"] == "cpu"
        assert (found["system"], found["decoding"], found["split"], found["sentences"]) == (
            "vanilla_raw",
            "argmax",
            "test",
            2,
        )
    assert signatures[0] != signatures[1]
    for signature in signatures:
        assert re.match(r"model:weights\|sha256:[0-9a-f]{12}\|case:lc\|torch:2", signature)


@pytest.mark.parametrize(
    ("metric", "there", "lacking"),
    [("comet", "hparams.yaml", "checkpoints/model.ckpt"), ("bleurt", "spm.model", "config.json")],
)
def test_an_incomplete_model_is_refused_in_one_line(tmp_path, metric, there, lacking):
    (tmp_path / there).touch()
    with pytest.raises(UserError, match=rf"{lacking}: no such file; name the folder of a whole model$"):
        learned.score(metric, tmp_path, ["a"], ["b"], ["c"])
