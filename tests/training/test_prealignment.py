"""The stages of pre-alignment: an encoder of both sides, its codes, and a NAT that takes them."""

import argparse
import copy
import json

import pytest
import torch
from tests import plain

from natlab.errors import UserError
from natlab.measuring import translate
from natlab.models.load import load
from natlab.training import train

CODEBOOK = {"name": "moving", "size": 6}


@pytest.fixture(scope="module")
def trained(arguments):
    """A function: parameters and training curve of a model trained in a folder."""

    def run(spec, folder, *options):
        train.run(arguments(spec, folder, *options))
        curve = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
        return load(folder / "model.pt")[0].state_dict(), curve

    return run


def stage(spec, learns, **training):
    """The specification of a training that learns so."""
    made = {key: value for key, value in spec(**training).items() if key not in ("input", "objective", "terms")}
    return copy.deepcopy(made | learns)


@pytest.fixture(scope="module")
def stages(trained, spec, tmp_path_factory):
    """By the name of a stage its folder, parameters and curve: two updates of each."""
    folder = tmp_path_factory.mktemp("stages")
    two = {"updates": 2, "validate_every": 1, "warmup": 0}
    first = trained(stage(spec, plain.multilingual(), **two), folder / "multilingual")
    aligned = plain.multilingual(CODEBOOK, plain.L_AL) | {"start": "multilingual"}
    start = "--start", str(folder / "multilingual" / "model.pt")
    second = trained(stage(spec, aligned, **two), folder / "prealigned", *start)
    return {"multilingual": (folder, *first), "prealigned": (folder, *second)}


def coded_nat(spec, start, **codebook):
    """The specification of a NAT on a canvas of codes."""
    made = plain.spec(input={"name": "codes", "number": "uniform"})
    made["architecture"] = plain.architecture(fill="codes") | {"codebook": CODEBOOK | codebook}
    return stage(spec, made | {"start": start}, updates=1, validate_every=1, warmup=0, average_best=1)


def test_each_loss_is_in_the_curve_under_its_name_and_checkpoints_are_chosen_by_retrieval(stages):
    found = {}
    for name, (*_, curve) in stages.items():
        valid = [point for point in curve if point["subset"] == "valid"]
        assert [point["num_updates"] for point in valid] == [*([0] if name == "prealigned" else []), 1, 2]
        found[name] = {key for key in valid[-1] if key.endswith(("_loss", "_share", "_distance")) or key == "score"}
        assert "bleu" not in valid[-1]
        best = "retrieval_share" if name == "multilingual" else "code_retrieval_share"
        assert all(point["score"] == point[best] for point in valid)
    assert found["multilingual"] == {"nll_loss", "retrieval_share", "score"}
    assert found["prealigned"] == found["multilingual"] | {
        "sentence_codes_distance", "commitment_distance", "code_retrieval_share",
    }  # fmt: skip


def test_the_codes_have_moved_to_the_states_of_both_sides(stages):
    _, parameters, _ = stages["prealigned"]
    assert parameters["codebook.vectors"].shape == (6, 32)
    assert parameters["codebook.averages.counts"].sum() > 0
    before = stages["multilingual"][1]
    moved = {name for name in before if not torch.equal(before[name], parameters[name])}
    assert moved >= {"encoder.layers.0.feed_forward.inner.weight", "embedding.weight", "encoder.embedding.weight"}


def close(one, other):
    """Whether all that lies between is an update at a rate of 1e-30."""
    return torch.allclose(one, other, rtol=0, atol=1e-20)


def test_a_nat_takes_the_codebook_and_if_asked_the_encoder(stages, trained, spec, tmp_path):
    """After an update at a rate of 1e-30: what has not been taken is as it is drawn without a start."""
    folder, theirs, _ = stages["prealigned"]
    start = "--start", str(folder / "prealigned" / "model.pt")
    random = {"name": "random", "size": 6}  # which keeps what it takes
    fresh, _ = trained(coded_nat(spec, "prealigned", **random) | {"training": spec(**NO)["training"]}, tmp_path / "0")
    taken = {}
    for name, asked in (("codes", "prealigned"), ("all", {"name": "prealigned", "encoder": True})):
        made = coded_nat(spec, asked, **random) | {"training": spec(**NO)["training"]}
        found, _ = trained(made, tmp_path / name, *start)
        taken[name] = {of for of in found if of in theirs and close(found[of], theirs[of])}
        new = set(found) - taken[name]
        assert all(close(found[of], fresh[of]) for of in new)
    assert taken["codes"] == {"codebook.vectors"}
    encoder = {of for of in theirs if of.startswith(("encoder.", "embedding."))}
    assert taken["all"] == {"codebook.vectors", *encoder}


NO = {"updates": 1, "validate_every": 1, "warmup": 0, "average_best": 1, "lr": 1e-30}


@pytest.mark.parametrize("codebook", [{"size": 7}, {"dim": 8}])
def test_codes_of_another_shape_are_one_clear_line(stages, arguments, spec, tmp_path, codebook):
    start = stages["prealigned"][0] / "prealigned" / "model.pt"
    with pytest.raises(UserError, match=rf"^{start}: another kind of model .*\(codebook\..*\); train it again$"):
        train.run(arguments(coded_nat(spec, "prealigned", **codebook), tmp_path, "--start", str(start)))


def test_moving_codes_are_not_taken_from_those_that_do_not_move(stages, trained, arguments, spec, tmp_path):
    still = plain.multilingual({"name": "learned", "size": 6}, plain.L_AL)
    trained(stage(spec, still, updates=1, validate_every=1, warmup=0), tmp_path / "learned")
    start = str(tmp_path / "learned" / "model.pt")
    with pytest.raises(UserError, match="another kind of model .*codebook.averages"):
        train.run(arguments(coded_nat(spec, "prealigned"), tmp_path / "nat", "--start", start))


def test_an_encoder_is_measured_though_it_translates_nothing(stages, copy_corpus, tmp_path):
    """By `natlab decode` without a decoding: its losses, retrieval and the perplexity of its codes."""
    folder, *_ = stages["prealigned"]
    parser = argparse.ArgumentParser()
    translate.add_arguments(parser)
    model = str(folder / "prealigned" / "model.pt")
    out = tmp_path / "out"
    asked = ["--model", model, "--data", str(copy_corpus), "--decodings", "{}", "--splits", "test", "--out", str(out)]
    translate.run(parser.parse_args(asked))
    values = json.loads((out / "losses.json").read_text())
    units = {"loss": "bits/token", "loss_raw": "bits/token", "retrieval": "%", "code_retrieval": "%"}
    assert {name: values[name]["unit"] for name in units} == units
    assert 1 <= values["code_perplexity"]["value"] <= 6 and "length" not in values
    assert not list(out.glob("*.txt"))
