"""The verb `distil`: all shards together are what the teacher makes of the whole split, in order."""

import argparse

import pytest
import torch
from tests.decoding.models import random_sources
from tests.export.test_ctranslate import V, ending

from natlab.bundles.engines import ctranslate2 as engine
from natlab.corpus.binarise import binarise
from natlab.decoding import decode_corpus
from natlab.decoding.beam_search import search
from natlab.measuring import distil
from natlab.measuring.data import Data
from natlab.measuring.distilling import ctranslate2
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
    ours = lines(1, 1, "--beam", "1")
    assert lines(1, 1, "--beam", "1", "--engine", "ctranslate2", "--batch-tokens", "9") == ours
    assert len(set(ours)) > 3


@pytest.mark.parametrize("longest", [4096, 60])
def test_ctranslate2_leaves_to_natlab_what_comes_to_its_limit_and_what_it_cannot_read_whole(
    longest, tmp_path, monkeypatch
):
    """A source of more than ten subwords, its end counted, has room for no target in 60 positions."""
    model, sources, asked = ending(5, {}), random_sources(40, 12, V, seed=5), []
    decoding = {"kind": "beam", "beam": 1, "length_penalty": 1.0}
    ours = [target.tolist() for target in decode_corpus(model, sources, decoding)]

    def counted(model, sources, *rest):
        asked.extend(map(id, sources))
        return decode_corpus(model, sources, *rest)

    monkeypatch.setattr(ctranslate2, "decode_corpus", counted)
    monkeypatch.setattr(engine, "LONGEST", longest)
    assert ctranslate2.targets(model, sources, decoding, 100, tmp_path) == ours
    limits = [len(source) + 50 for source in sources]
    left = [len(target) == limit or limit > longest for target, limit in zip(ours, limits, strict=True)]
    assert asked == [id(source) for source, other in zip(sources, left, strict=True) if other]
    assert len(asked) == (9 if longest == 4096 else 18)


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
