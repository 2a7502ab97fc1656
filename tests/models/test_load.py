"""Models as files."""

import copy

import pytest
import torch
from tests import plain

from natlab.errors import UserError
from natlab.models.load import build, load, publish
from natlab.models.transformer import Config, Transformer

CONFIG = Config(16, 32, 1, 1, 2, 0.0, 12, 12, True)


@pytest.mark.parametrize("options", [{}, {"lengths": "absolute", "fill": "mask", "blank": True, "masking": True}])
def test_a_published_model_comes_back_with_all_that_it_is(tmp_path, options):
    model = plain.nat(CONFIG, **options)
    publish(tmp_path / "model.pt", model, {"fingerprint": "f"})
    found, provenance = load(tmp_path / "model.pt")
    assert provenance == {"fingerprint": "f"} and found.description() == model.description()
    assert found.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in model.state_dict().items())


def test_a_description_from_before_an_option_was_there_means_a_model_without_it():
    description = plain.nat(CONFIG).description()
    architecture = {key: value for key, value in description["architecture"].items() if key not in ("blank", "masking")}
    assert build({**description, "architecture": architecture}).description() == description


def test_a_head_beside_changes_no_other_initial_parameter():
    made = []
    for masking in (False, True):
        torch.manual_seed(0)
        made.append(plain.nat(CONFIG, masking=masking).state_dict())
    assert set(made[1]) - set(made[0]) == {"masking.weight", "masking.bias"}
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])


@pytest.mark.parametrize("make", [Transformer, plain.nat])
def test_a_description_makes_a_model_of_its_kind(make):
    model = make(CONFIG)
    description = model.description()
    before = copy.deepcopy(description)
    made = build(description)
    assert type(made) is type(model) and made.config == CONFIG and made.description() == description == before


def test_a_loaded_model_decodes_without_dropout_in_the_precision_asked_for(tmp_path):
    publish(tmp_path / "model.pt", Transformer(CONFIG), {})
    for precision in ("fp32", "bf16"):
        found, _ = load(tmp_path / "model.pt", precision=precision)
        assert found.encoder.precision == precision and not found.training
    assert load(tmp_path / "model.pt")[0].encoder.precision == "fp32"
    assert load(tmp_path / "model.pt", torch.device("meta"))[0].device.type == "meta"


@pytest.mark.parametrize(
    "content, problem",
    [(b"", "EOFError"), ({"description": {}}, "KeyError"), ({"parameters": {}}, "KeyError")],
)
def test_what_is_no_model_is_refused_in_one_line(tmp_path, content, problem):
    path = tmp_path / "model.pt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(UserError) as refused:
        load(path)
    assert str(refused.value) == f"{path}: not a whole natlab model ({problem}); delete it and train again"
