"""Training curves beside a page: a picture a model, the same again, and a choice among them."""

import json
import re

from natlab.papers.labels import UNLABELLED, Labels
from natlab.report.page import curves

CURVE = [
    {"subset": "train", "num_updates": 100, "nll_loss": 9.0, "loss": 10.0, "lr": 0.01},
    {"subset": "valid", "num_updates": 100, "nll_loss": 8.0, "bleu": 10.0, "lr": 0.01},
    {"subset": "train", "num_updates": 200, "nll_loss": 5.0, "length_loss": 1.0, "lr": 0.02},
    {"subset": "valid", "num_updates": 200, "nll_loss": 4.0, "length_loss": 2.0, "bleu": 20.0},
]


def test_curves_are_drawn_of_models_that_have_one_and_the_same_again(tmp_path):
    path = tmp_path / "results/models/m/curve.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in CURVE), encoding="utf-8")
    models = {"ds.m.seed1": "models/m/curve.jsonl", "ds.none.seed1": "models/none/curve.jsonl"}
    assert curves.write(models, tmp_path / "results", tmp_path / "report") == {"ds.m.seed1": "models/m/curve.jsonl"}
    (picture,) = (tmp_path / "report/curves").iterdir()
    first = picture.read_text("utf-8")
    assert picture.name == "ds.m.seed1.svg" and "<dc:date>" not in first
    curves.write(models, tmp_path / "results", tmp_path / "report")
    assert picture.read_text("utf-8") == first
    said = re.findall(">([^<]+)</text>", first)
    assert {*curves.PANELS, "updates", "nll", "length"} <= set(said)
    assert "nll_loss" not in said and "loss" not in said  # the total is no loss by name


def test_a_curve_has_its_losses_its_score_and_its_learning_rate():
    losses, score, rate = curves._drawn(CURVE).figure.axes

    def drawn(axes):
        return {(tuple(line.get_xdata()), tuple(line.get_ydata())): line.get_linewidth() for line in axes.lines}

    of = drawn(losses)
    assert of.keys() == {((100, 200), (9, 5)), ((100, 200), (8, 4)), ((200,), (1,)), ((200,), (2,))}
    assert of[(100, 200), (8, 4)] > of[(100, 200), (9, 5)]  # the validation's line is the thicker one
    assert drawn(score).keys() == {((100, 200), (10, 20))}
    assert {at for at in drawn(rate) if len(at[0]) == 2} == {((100, 200), (0.01, 0.02))}


def test_a_curve_of_nothing_yet_is_three_empty_panels():
    assert [axes.lines[:] for axes in curves._drawn([]).figure.axes] == [[], [], []]


def test_the_choice_of_a_model():
    made = {f"d.s.{system}.seed1": f"models/d.s/demo/{system}/seed1/curve.jsonl" for system in ("at", "kd")}
    shown = curves.section(made, Labels({"kd": "NAT, KD <b>"}))
    assert "<summary>2 models</summary>" in shown and shown.count("<option ") == 2
    assert '<option value="curves/d.s.at.seed1.svg">at; d.s, seed 1</option>' in shown
    assert '<option value="curves/d.s.kd.seed1.svg">NAT, KD &lt;b&gt;; d.s, seed 1</option>' in shown
    assert '<label for="curves-model">' in shown and '<select id="curves-model">' in shown
    assert "src=" not in shown  # until it is asked for
    assert curves.section({}, UNLABELLED) == ""
