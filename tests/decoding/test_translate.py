"""The verb `translate` when it is cut off: what was decoded is not decoded again."""

import argparse
import json

import pytest
import torch

import natlab.decoding
from natlab.corpus.binarise import binarise, read_symbols, symbol_index, write_mmap
from natlab.decoding import translate
from natlab.decoding.data import Data
from natlab.errors import UserError
from natlab.files import read_json
from natlab.models.load import build, publish

SENTENCES = ["a b c", "c b", "a", "b b a c"]


@pytest.fixture
def arguments(tmp_path):
    """A function: the arguments for some decodings of a random model, on a corpus of four sentences a split."""
    (tmp_path / "bpe").mkdir()
    for split in ("train", "valid", "test"):
        for side in ("src", "tgt"):
            text = "".join(f"{sentence}\n" for sentence in SENTENCES)
            (tmp_path / "bpe" / f"{split}.{side}").write_text(text, encoding="utf-8")
    binarise(True, tmp_path / "bpe", tmp_path / "bin")
    torch.manual_seed(0)
    vocabulary = len(Data(tmp_path / "bin").source)
    spec = {"architecture": "nat", "seed": 1, "target": {"name": "raw"}, "input": {"name": "glat"}}
    for name in ("model", "predictor"):
        model = build({
            "architecture": "nat", "canvas": "copy", "predictor": name == "model", "d_model": 16, "d_hidden": 16,
            "encoder_layers": 1, "decoder_layers": 1, "heads": 2, "dropout": 0.0, "joint_vocabulary": True,
            "source_vocabulary": vocabulary, "target_vocabulary": vocabulary,
        })  # fmt: skip
        publish(tmp_path / f"{name}.pt", model, {"spec": spec, "fingerprint": "f"})

    def parsed(decodings, out, *more):
        parser = argparse.ArgumentParser()
        translate.add_arguments(parser)
        return parser.parse_args(
            ["--model", str(tmp_path / "model.pt"), "--data", str(tmp_path / "bin"), "--decodings",
             json.dumps(decodings), "--splits", "test", "valid", "--out", str(tmp_path / out), *more]
        )  # fmt: skip

    return parsed


@pytest.fixture
def decoded(monkeypatch):
    """The candidates of each decoding that was made; the third one is cut off, once."""
    made, original = [], natlab.decoding.decode_corpus

    def decode_corpus(model, sources, decoding, beside):
        made.append(decoding["candidates"])
        if len(made) == 3:
            raise KeyboardInterrupt
        return original(model, sources, decoding, beside=beside)

    monkeypatch.setattr(natlab.decoding, "decode_corpus", decode_corpus)
    return made


def files(folder):
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.name != "provenance.json"}


def test_an_interrupted_translation_goes_on_with_what_it_lacks(arguments, decoded, tmp_path):
    both = {f"argmax{n}": {"kind": "argmax", "candidates": n} for n in (1, 3)}
    with pytest.raises(KeyboardInterrupt):
        translate.run(arguments(both, "out"))
    assert not (tmp_path / "out").exists()
    translate.run(arguments(both, "out"))
    assert decoded == [1, 3, 1, 1, 3]  # test and test, then valid, cut off, then valid and valid
    assert not (tmp_path / "out.parts").exists()
    translate.run(arguments(both, "at_once"))
    assert files(tmp_path / "out") == files(tmp_path / "at_once")
    assert {"argmax1.test.txt", "argmax3.valid.txt", "losses.json"} <= files(tmp_path / "out").keys()


def test_what_another_configuration_left_behind_is_not_used(arguments, decoded, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        translate.run(
            arguments({"a": {"kind": "argmax", "candidates": 1}, "b": {"kind": "argmax", "candidates": 3}}, "out")
        )
    translate.run(arguments({"a": {"kind": "argmax", "candidates": 2}}, "out"))
    assert decoded == [1, 3, 1, 2, 2]
    assert not (tmp_path / "out.parts").exists()


DECODINGS = {
    "argmax": {"kind": "argmax", "candidates": 1, "length_factor": 1.0},
    "lpd": {"kind": "argmax", "candidates": 3, "length_factor": 1.0},
    "sample": {"kind": "sample", "length_factor": 1.0, "seed": 1, "predictor": "vanilla"},
}


def test_a_model_with_a_predictor_is_measured_with_it(arguments, tmp_path):
    beside = ["--beside", f"vanilla={tmp_path / 'predictor.pt'}", "--predictor", "vanilla"]
    translate.run(arguments(DECODINGS, "out", *beside, "--proxy-targets", "test"))
    losses = read_json(tmp_path / "out/losses.json")
    assert {"loss", "length", "l_input", "loss_raw", "length_raw", "parameters"} <= losses.keys()
    assert losses["l_input"]["tokens"] == losses["loss"]["tokens"] == 10
    confidence = read_json(tmp_path / "out/confidence.json")
    assert confidence.keys() == {"argmax.test", "argmax.valid", "sample.test", "sample.valid"}
    assert files(tmp_path / "out")["target.txt"].splitlines() == SENTENCES
    assert confidence["sample.test"]["value"] < 0


def test_without_a_predictor_neither_input_nor_confidence_is_measured(arguments, tmp_path):
    translate.run(arguments({"argmax": DECODINGS["argmax"]}, "out"))
    assert "l_input" not in read_json(tmp_path / "out/losses.json")
    assert files(tmp_path / "out").keys() == {"argmax.test.txt", "argmax.valid.txt", "losses.json"}


def test_the_proxy_targets_of_a_distilled_corpus_are_the_teachers(arguments, tmp_path):
    data, index = tmp_path / "bin", symbol_index(read_symbols(tmp_path / "bin/dict.tgt.txt"))
    distilled = tmp_path / "distilled"
    distilled.mkdir()
    for side in ("src", "tgt"):
        (distilled / f"dict.{side}.txt").write_bytes((data / f"dict.{side}.txt").read_bytes())
    for split in ("valid_kd", "test_kd"):
        write_mmap(SENTENCES, index, distilled / f"{split}.src-tgt.src")
        write_mmap(["c", "c c", "b a", "a"], index, distilled / f"{split}.src-tgt.tgt")
    translate.run(arguments({}, "out", "--proxy-data", str(distilled), "--proxy-targets", "test"))
    assert files(tmp_path / "out")["target.txt"].splitlines() == ["c", "c c", "b a", "a"]
    losses = read_json(tmp_path / "out/losses.json")
    assert (losses["loss"]["tokens"], losses["loss_raw"]["tokens"]) == (6, 10)


@pytest.mark.parametrize("given", ["vanilla", "=model.pt", "vanilla="])
def test_what_is_no_system_and_model_is_refused(arguments, given):
    with pytest.raises(UserError, match=f"--beside: '{given}=?' is not SYSTEM=MODEL"):
        translate.run(arguments({}, "out", "--beside", given))
