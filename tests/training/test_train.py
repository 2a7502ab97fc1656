"""The verb `train` on a corpus that can be learned in seconds."""

import argparse
import copy
import json

import pytest
import torch

from natlab.errors import UserError
from natlab.models.load import load
from natlab.training import train

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


def trained(spec, data, folder):
    """Parameters, provenance and training curve of a model trained in ``folder``."""
    args = argparse.Namespace(
        spec=json.dumps(spec), data=str(data), checkpoints=str(folder / "checkpoints"), out=str(folder / "model.pt")
    )
    train.run(args)
    model, provenance = load(folder / "model.pt")
    curve = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    return model.state_dict(), provenance, curve


def changed(**training):
    spec = copy.deepcopy(SPEC)
    spec["training"].update(training)
    return spec


@pytest.fixture(scope="module")
def first(copy_corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    return folder, *trained(SPEC, copy_corpus, folder)


def test_a_nat_learns_to_copy_and_its_best_checkpoints_are_averaged(first):
    folder, parameters, provenance, curve = first
    valid = [point for point in curve if point["subset"] == "valid"]
    assert [point["num_updates"] for point in valid] == [20, 40, 60]
    assert valid[-1]["nll_loss"] < 0.5 * valid[0]["nll_loss"]
    assert max(point["bleu"] for point in valid) > 20
    checkpoints = folder / "checkpoints" / provenance["fingerprint"]
    assert len(provenance["averaged"]) == 2
    best = [
        torch.load(checkpoints / name, weights_only=True)["model"]["net.length.weight"]
        for name in provenance["averaged"]
    ]
    torch.testing.assert_close(parameters["length.weight"], (best[0] + best[1]) / 2)


def test_the_same_seed_gives_the_same_model_and_another_seed_another(first, copy_corpus, tmp_path):
    _, parameters, provenance, _ = first
    again, its_provenance, _ = trained(SPEC, copy_corpus, tmp_path / "again")
    assert its_provenance["fingerprint"] == provenance["fingerprint"]
    assert all(torch.equal(parameters[name], again[name]) for name in parameters)
    other, its_provenance, _ = trained({**SPEC, "seed": 2}, copy_corpus, tmp_path / "other")
    assert its_provenance["fingerprint"] != provenance["fingerprint"]
    assert not torch.equal(parameters["length.weight"], other["length.weight"])


def test_a_finished_training_started_again_gives_the_same_model(first, copy_corpus):
    folder, parameters, _, _ = first
    again, _, _ = trained(SPEC, copy_corpus, folder)
    assert all(torch.equal(parameters[name], again[name]) for name in parameters)


@pytest.mark.parametrize("architecture, precision", [("transformer", "fp32"), ("transformer", "bf16"), ("nat", "bf16")])
def test_both_architectures_train_in_both_precisions(architecture, precision, copy_corpus, tmp_path):
    spec = {**changed(updates=20, precision=precision), "architecture": architecture}
    parameters, _, curve = trained(spec, copy_corpus, tmp_path)
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in parameters.values())
    training = [point["loss"] for point in curve if point["subset"] == "train"]
    assert training[-1] < training[0]


def test_the_fingerprint_follows_the_spec_and_the_data(copy_corpus, tmp_path):
    same = train.fingerprint(SPEC, copy_corpus)
    assert same == train.fingerprint(copy.deepcopy(SPEC), copy_corpus)
    assert same != train.fingerprint(changed(lr=0.02), copy_corpus)
    for file in copy_corpus.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert same == train.fingerprint(SPEC, tmp_path)
    (tmp_path / "dict.src.txt").write_text((tmp_path / "dict.src.txt").read_text() + "new 1\n")
    assert same != train.fingerprint(SPEC, tmp_path)


def test_a_missing_corpus_is_one_clear_line(tmp_path):
    with pytest.raises(UserError, match="no fairseq data folder here; make it with the rule `binarise`"):
        train.run(argparse.Namespace(spec=json.dumps(SPEC), data=str(tmp_path), checkpoints="c", out="m"))
