"""The verb `distil`: all shards together are what the teacher makes of the whole split, in order."""

import argparse

import pytest
import torch

from natlab.corpus.binarise import binarise
from natlab.decoding.beam_search import search
from natlab.measuring import distil
from natlab.measuring.data import Data
from natlab.models.load import build, publish

SENTENCES = ["a b c", "c b", "a@@ b", "b b a@@ c", "c", "a b", "b"]


@pytest.fixture
def distilled(tmp_path):
    """A function: the lines that a random teacher makes of one shard of valid."""
    (tmp_path / "bpe").mkdir()
    for split in ("train", "valid", "test"):
        for side in ("src", "tgt"):
            lines = SENTENCES if split != "test" else SENTENCES[:1]
            (tmp_path / "bpe" / f"{split}.{side}").write_text("".join(f"{line}\n" for line in lines))
    binarise(True, tmp_path / "bpe", tmp_path / "bin")
    torch.manual_seed(0)
    vocabulary = len(Data(tmp_path / "bin").source)
    teacher = build({
        "architecture": {"name": "transformer"}, "d_model": 16, "d_hidden": 16, "encoder_layers": 1,
        "decoder_layers": 1, "heads": 2, "dropout": 0.0, "joint_vocabulary": True,
        "source_vocabulary": vocabulary, "target_vocabulary": vocabulary,
    }).eval()  # fmt: skip
    for parameter in teacher.parameters():
        if parameter.dim() > 1:  # a large bias would make all predictions alike
            parameter.data += 0.7 * torch.randn_like(parameter)
    publish(tmp_path / "model.pt", teacher, {})

    def lines(shard, shards, *options):
        parser = argparse.ArgumentParser()
        distil.add_arguments(parser)
        given = f"--model {tmp_path}/model.pt --data {tmp_path}/bin --split valid --out {tmp_path}/shard"
        distil.run(parser.parse_args([*given.split(), "--shard", str(shard), "--shards", str(shards), *options]))
        return (tmp_path / "shard").read_text(encoding="utf-8").splitlines()

    data = Data(tmp_path / "bin")
    return lines, teacher, [data.sources("valid")[i][None] for i in range(len(SENTENCES))], data.target


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_the_shards_are_what_beam_search_makes_of_each_source_in_order(distilled, shards):
    lines, teacher, sources, dictionary = distilled
    expected = [dictionary.string(search(teacher, source)[0].tolist()) for source in sources]
    assert [line for shard in range(1, shards + 1) for line in lines(shard, shards)] == expected
    assert len(set(expected)) > 3


def test_beam_and_length_penalty_are_as_asked(distilled):
    lines, teacher, sources, dictionary = distilled
    for beam_size, penalty in ((1, 1.0), (3, 0.2)):
        expected = [dictionary.string(search(teacher, source, beam_size, penalty)[0].tolist()) for source in sources]
        asked = ["--beam", str(beam_size), "--length-penalty", str(penalty), "--batch-tokens", "4"]
        assert lines(1, 1, *asked) == expected


def test_another_engine_says_the_same(distilled):
    """Greedily: how a beam ends differs on random models (`tests/export/test_ctranslate.py`)."""
    lines, *_ = distilled
    ours = [line.split() for line in lines(1, 1, "--beam", "1")]
    theirs = [line.split() for line in lines(1, 1, "--beam", "1", "--engine", "ctranslate2", "--batch-tokens", "9")]
    assert [line[:50] for line in ours] == [line[:50] for line in theirs]  # where none has come to its limit
    assert len(set(map(tuple, ours))) > 3


def test_unless_told_the_beam_is_five_and_a_batch_has_six_thousand_tokens():
    parser = argparse.ArgumentParser()
    distil.add_arguments(parser)
    given = "--model m --data d --split s --shard 2 --shards 3 --out o".split()
    for at in range(0, len(given), 2):
        with pytest.raises(SystemExit):
            parser.parse_args(given[:at] + given[at + 2 :])
    args = parser.parse_args(given)
    assert vars(args) == {
        "model": "m", "data": "d", "split": "s", "shard": 2, "shards": 3, "out": "o",
        "beam": 5, "batch_tokens": 6000, "length_penalty": 1.0, "engine": "natlab",
    }  # fmt: skip
