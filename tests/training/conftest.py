import argparse
import copy
import json
import random
import shutil

import numpy as np
import pytest
from tests import plain

from natlab.corpus.binarise import binarise, write_mmap
from natlab.corpus.vocabulary import SPECIALS
from natlab.files import write_json
from natlab.measuring.data import Data
from natlab.training import train

WORDS = [f"w{i}" for i in range(12)]

SPEC = {
    **plain.spec(input="glat"), "dataset": "copy", "scale": "test", "system": "glat_raw", "seed": 1,
    "joint_vocabulary": False,
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
def candidates(copy_corpus, tmp_path_factory):
    """A data folder for dynamic KD: the copy corpus, with two candidates beside its targets, the second of which says
    the first word twice. Their BLEU is made up."""
    out = tmp_path_factory.mktemp("copy_candidates") / "candidates"
    shutil.copytree(copy_corpus, out)
    index = {word: i for i, word in enumerate((*SPECIALS, *(line.split()[0] for line in open(out / "dict.tgt.txt"))))}
    words = {i: word for word, i in index.items()}
    for split in ("train", "valid", "test"):
        targets = Data(out).targets(split)
        sentences = [[words[int(token)] for token in target[:-1]] for target in targets]
        write_mmap((" ".join(sentence) for sentence in sentences), index, out / f"{split}.src-tgt.cand0")
        longer = (" ".join(sentence[:1] + sentence) for sentence in sentences)
        write_mmap(longer, index, out / f"{split}.src-tgt.cand1")
        bleu = np.full((len(sentences), 3, 3), 40, dtype=np.float16) + 60 * np.eye(3, dtype=np.float16)
        np.save(out / f"{split}.bleu.npy", bleu)
    write_json(out / "gamma.json", {"candidates": ["one", "two", "raw"], "gamma": [1.0, 1.0, 2.0]})
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
