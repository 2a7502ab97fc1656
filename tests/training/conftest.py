import argparse
import copy
import json
import random

import pytest

from natlab.corpus.binarise import binarise
from natlab.training import train

WORDS = [f"w{i}" for i in range(12)]

SPEC = {
    "dataset": "copy", "scale": "test", "system": "glat_raw", "seed": 1, "architecture": "nat", "canvas": "copy",
    "target": {"name": "raw"}, "input": {"name": "glat"}, "joint_vocabulary": False,
    "size": {"d_model": 32, "d_hidden": 64, "encoder_layers": 1, "decoder_layers": 1, "heads": 2},
    "training": {
        "updates": 60, "batch_tokens": 400, "update_freq": 1, "lr": 0.01, "warmup": 10, "schedule": "linear",
        "label_smoothing": 0.0, "weight_decay": 0.0, "clip_norm": 1.0, "dropout": 0.1, "precision": "fp32",
        "validate_every": 20, "average_best": 2,
    },
}  # fmt: skip


@pytest.fixture(scope="session")
def copy_corpus(tmp_path_factory):
    """A fairseq data folder whose targets are the sources in capitals, words of 2 to 6."""
    draw = random.Random(0)
    bpe, out = tmp_path_factory.mktemp("copy") / "bpe", tmp_path_factory.mktemp("copy_bin") / "bin"
    bpe.mkdir()
    for split, count in (("train", 300), ("valid", 40), ("test", 40)):
        sentences = [draw.choices(WORDS, k=draw.randint(2, 6)) for _ in range(count)]
        (bpe / f"{split}.src").write_text("".join(" ".join(words) + "\n" for words in sentences))
        (bpe / f"{split}.tgt").write_text("".join(" ".join(words).upper() + "\n" for words in sentences))
    binarise(False, bpe, out)
    return out


@pytest.fixture(scope="session")
def spec():
    """A function: the specification of a training that takes a second, with some of its ``training`` changed."""

    def changed(**training):
        made = copy.deepcopy(SPEC)
        made["training"].update(training)
        return made

    return changed


@pytest.fixture(scope="session")
def arguments(copy_corpus):
    """A function: the arguments of `natlab train` for a spec in a folder of its own."""

    def parsed(spec, folder, *options, data=copy_corpus):
        parser = argparse.ArgumentParser()
        train.add_arguments(parser)
        return parser.parse_args(
            ["--spec", json.dumps(spec), "--data", str(data), "--checkpoints", str(folder / "checkpoints"),
             "--out", str(folder / "model.pt"), *options]
        )  # fmt: skip

    return parsed
