"""How trainings are validated and models measured, by what their specifications name."""

import pytest
from tests import plain

from natlab.models.validation import decoding
from natlab.models.validation import plain as measured


@pytest.mark.parametrize(
    "objective, kind", [("xe", "argmax"), ("axe", "argmax"), ("oaxe", "argmax"), ("ctc", "collapse"), ("dag", "graph")]
)
def test_a_nat_is_validated_by_the_decoding_of_its_objective(objective, kind):
    assert decoding(plain.spec(objective=objective)) == {"kind": kind}


def test_a_transformer_is_validated_greedily_and_an_encoder_not_at_all():
    assert decoding({"architecture": {"name": "transformer"}}) == {"kind": "beam", "beam": 1}
    assert decoding(plain.multilingual()) is None


def test_a_nat_is_measured_by_cross_entropy_with_the_length_of_raw_targets_nothing_being_revealed():
    spec = plain.spec(target="kd", input="glat", objective="axe", terms=["length", "masking"])
    expected = {"target": {"name": "raw"}, "input": {"name": "vanilla"}, "objective": {"name": "xe"}}
    assert measured(spec) == {**expected, "architecture": spec["architecture"], "terms": [{"name": "length"}]}


def test_on_a_canvas_on_which_no_token_has_its_place_it_is_measured_by_its_objective():
    spec = plain.spec(objective="ctc", input="glat")
    spec["architecture"] = plain.architecture(lengths={"name": "source", "factor": 2}, blank=True)
    found = measured(spec)
    assert found["objective"] == {"name": "ctc"} and found["terms"] == [] and found["input"] == {"name": "vanilla"}


def test_without_a_canvas_it_is_measured_by_its_objective_where_it_has_one():
    spec = plain.multilingual(terms=["commitment"])
    assert measured(spec) == {
        "architecture": spec["architecture"],
        "target": {"name": "raw"},
        "objective": {"name": "denoising"},
        "terms": [],
    }
    found = measured({"architecture": {"name": "transformer"}, "target": {"name": "kd"}})
    assert found["architecture"] == {"name": "transformer"} and found["target"] == {"name": "raw"}
