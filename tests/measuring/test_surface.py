"""The plane through three models: its coordinates, its grid, and one row of it on real models."""

import argparse

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from tests import plain

from natlab.corpus.binarise import binarise
from natlab.decoding import decode
from natlab.errors import UserError
from natlab.files import read_json
from natlab.measuring import surface
from natlab.measuring.data import Data
from natlab.measuring.losses import losses
from natlab.measuring.surface import axis, plane
from natlab.metrics.bleu import tokenised_bleu
from natlab.models.load import build, load, publish

VECTOR = st.lists(st.floats(-5, 5), min_size=6, max_size=6).map(lambda values: torch.tensor(values, dtype=torch.double))


@given(st.tuples(VECTOR, VECTOR, VECTOR))
def test_the_three_lie_at_their_coordinates_and_distances_are_kept(vectors):
    directions = torch.stack([vectors[1] - vectors[0], vectors[2] - vectors[0]])
    assume(torch.linalg.svdvals(directions)[-1] > 0.01)
    (u, v), at = plane(list(vectors))
    for vector, (x, y) in zip(vectors, at, strict=True):
        torch.testing.assert_close(vectors[0] + x * u + y * v, vector, atol=1e-6, rtol=0)
    assert at[0] == (0, 0) and at[1][1] == 0 and at[1][0] > 0 and at[2][1] > 0
    distance = ((at[1][0] - at[2][0]) ** 2 + (at[1][1] - at[2][1]) ** 2) ** 0.5
    assert distance == pytest.approx(float((vectors[1] - vectors[2]).norm()))


@pytest.mark.parametrize(("second", "third"), [(0.0, 1.0), (1.0, 2.0), (1.0, 1.0)])
def test_three_on_one_line_span_no_plane(second, third):
    line = torch.tensor([1.0, 2.0, 3.0])
    with pytest.raises(ValueError):
        plane([torch.zeros(3), second * line, third * line])


@given(st.lists(st.floats(-9, 9), min_size=2, max_size=3), st.integers(2, 30))
def test_the_grid_holds_the_models_with_a_margin(values, grid):
    assume(max(values) > min(values))
    found = axis(values, grid)
    reach = surface.MARGIN * (max(values) - min(values))
    assert len(found) == grid and found == sorted(found)
    assert found[0] == pytest.approx(min(values) - reach) and found[-1] == pytest.approx(max(values) + reach)


SENTENCES = ["a b c", "c b", "a", "b b a c", "c", "a a b"]
SIZE = {"d_hidden": 16, "encoder_layers": 1, "decoder_layers": 1, "heads": 2, "dropout": 0.0, "joint_vocabulary": True}


@pytest.fixture
def project(tmp_path):
    """A corpus of six sentences, and three NATs of which the third is above the middle between the others."""
    (tmp_path / "bpe").mkdir()
    for split in ("train", "valid", "test"):
        for side in ("src", "tgt"):
            (tmp_path / "bpe" / f"{split}.{side}").write_text("".join(f"{line}\n" for line in SENTENCES))
    binarise(True, tmp_path / "bpe", tmp_path / "bin")
    torch.manual_seed(0)
    first, second, third = (nat(tmp_path) for _ in range(3))
    with torch.no_grad():
        for a, b, c in zip(first.parameters(), second.parameters(), third.parameters(), strict=True):
            c.copy_((a + b) / 2 + c / 4)
    for name, model in (("first", first), ("second", second), ("third", third), ("wider", nat(tmp_path, d_model=32))):
        publish(tmp_path / f"{name}.pt", model, {})
    return tmp_path


def nat(folder, d_model=16):
    vocabulary = len(Data(folder / "bin").source)
    words = {"source_vocabulary": vocabulary, "target_vocabulary": vocabulary}
    return build({"architecture": plain.architecture(), "d_model": d_model, **SIZE, **words})


def row(project, number, models=("first", "second", "third"), sentences=6):
    parser = argparse.ArgumentParser()
    surface.add_arguments(parser)
    paths = [str(project / f"{name}.pt") for name in models]
    options = (
        f"--data {project}/bin --references {project}/bpe/valid.tgt --row {number} --grid 7 --out {project}/row.json"
    )
    surface.run(parser.parse_args(["--models", *paths, *options.split(), "--sentences", str(sentences)]))
    return read_json(project / "row.json")


def test_where_a_model_lies_the_row_has_its_loss(project):
    """With 7 points the margin is one step: the second row goes through the first two models."""
    found = row(project, 2)
    data = Data(project / "bin")
    vanilla = plain.method()
    points = {round(point["x"], 4): point for point in found["points"]}
    assert len(points) == 7 and all(point["y"] == pytest.approx(0, abs=1e-9) for point in found["points"])
    for name, at in zip(("first", "second"), found["models"], strict=False):
        model, _ = load(project / f"{name}.pt")
        loss = losses(model, data.sources("valid"), data.targets("valid"), vanilla)["loss"]["value"]
        assert points[round(at["x"], 4)]["log_likelihood"] == pytest.approx(-loss, abs=1e-4)
    assert found["sentences"] == 6 and all(0 <= point["bleu"] <= 100 for point in found["points"])


def test_rows_go_upwards_and_a_row_may_be_of_fewer_sentences(project):
    last = row(project, 7, sentences=2)
    assert last["sentences"] == 2
    assert last["points"][0]["y"] == pytest.approx(1.25 * last["models"][2]["y"])


def test_models_that_span_no_plane_are_refused(project):
    with pytest.raises(UserError, match="wider.pt: its parameters are not those of .*first.pt"):
        row(project, 1, ("first", "second", "wider"))
    with pytest.raises(UserError, match="on one line; give three models trained apart"):
        row(project, 1, ("first", "second", "second"))


def test_the_arguments():
    parser = argparse.ArgumentParser()
    surface.add_arguments(parser)
    given = "--models a b c --data d --references r --row 2 --grid 7 --sentences 9 --out o".split()
    assert vars(parser.parse_args(given)) == {
        "models": ["a", "b", "c"], "data": "d", "references": "r", "row": 2, "grid": 7, "sentences": 9, "out": "o",
    }  # fmt: skip
    for option in ("--models", "--data", "--references", "--row", "--grid", "--sentences", "--out"):
        at = given.index(option)
        with pytest.raises(SystemExit):
            parser.parse_args(given[:at] + given[at + (4 if option == "--models" else 2) :])
    with pytest.raises(SystemExit):
        parser.parse_args([*given[:3], *given[4:]])


def test_a_points_bleu_is_that_of_its_models_translations_of_the_first_sentences(project):
    found = row(project, 2, sentences=4)
    data, (model, _) = Data(project / "bin"), load(project / "first.pt")
    sources = [data.sources("valid")[i] for i in range(4)]
    texts = [data.text(decode(model, source[None], {"kind": "argmax"})[0]) for source in sources]
    vanilla = plain.method()
    loss = losses(model, sources, [data.targets("valid")[i] for i in range(4)], vanilla)["loss"]["value"]
    at = min(found["points"], key=lambda point: abs(point["x"]))
    assert at["x"] == pytest.approx(0, abs=1e-9) and at["log_likelihood"] == pytest.approx(-loss, abs=1e-4)
    assert at["bleu"] == pytest.approx(tokenised_bleu(texts, [SENTENCES[:4]])["value"])
    assert found["unit"] == "bits/token" and found["models"][0] == {"x": 0, "y": 0} and found["models"][1]["y"] == 0


def test_where_no_loss_is_finite_there_is_no_likelihood(project, monkeypatch):
    monkeypatch.setattr("natlab.measuring.losses.losses", lambda *given: {"loss": {"value": float("inf")}})
    assert {point["log_likelihood"] for point in row(project, 1)["points"]} == {None}


def test_a_model_of_other_parameter_names_is_refused(project):
    model, _ = load(project / "first.pt")
    deeper = build({**model.description(), "decoder_layers": 2})
    publish(project / "deeper.pt", deeper, {})
    with pytest.raises(UserError) as refused:
        row(project, 1, ("deeper", "second", "third"))
    assert str(refused.value) == (
        f"{project}/second.pt: its parameters are not those of {project}/deeper.pt; give models of one architecture"
    )
