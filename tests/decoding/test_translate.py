"""The verb `translate` when it is cut off: what was decoded is not decoded again."""

import argparse
import json

import pytest
import torch

import natlab.decoding
from natlab.corpus.binarise import binarise
from natlab.decoding import translate
from natlab.decoding.data import Data
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
    model = build({
        "architecture": "nat", "canvas": "copy", "d_model": 16, "d_hidden": 16, "encoder_layers": 1,
        "decoder_layers": 1, "heads": 2, "dropout": 0.0, "joint_vocabulary": True,
        "source_vocabulary": vocabulary, "target_vocabulary": vocabulary,
    })  # fmt: skip
    spec = {"architecture": "nat", "seed": 1, "target": {"name": "raw"}, "input": {"name": "glat"}}
    publish(tmp_path / "model.pt", model, {"spec": spec, "fingerprint": "f"})

    def parsed(decodings, out):
        parser = argparse.ArgumentParser()
        translate.add_arguments(parser)
        return parser.parse_args(
            ["--model", str(tmp_path / "model.pt"), "--data", str(tmp_path / "bin"), "--decodings",
             json.dumps(decodings), "--splits", "test", "valid", "--out", str(tmp_path / out)]
        )  # fmt: skip

    return parsed


@pytest.fixture
def decoded(monkeypatch):
    """The candidates of each decoding that was made; the third one is cut off, once."""
    made, original = [], natlab.decoding.decode_corpus

    def decode_corpus(model, sources, decoding):
        made.append(decoding["candidates"])
        if len(made) == 3:
            raise KeyboardInterrupt
        return original(model, sources, decoding)

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
