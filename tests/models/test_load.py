"""Models as files."""

import pytest
import torch

from natlab.errors import UserError
from natlab.models.load import build, load, publish
from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.transformer import Config, Transformer

CONFIG = Config(16, 32, 1, 1, 2, 0.0, 12, 12, True)


@pytest.mark.parametrize("options", [{}, {"canvas": "mask", "blank": True, "predictor": True}])
def test_a_published_model_comes_back_with_all_that_it_is(tmp_path, options):
    model = NonAutoregressiveTransformer(CONFIG, **options)
    publish(tmp_path / "model.pt", model, {"fingerprint": "f"})
    found, provenance = load(tmp_path / "model.pt")
    assert provenance == {"fingerprint": "f"} and found.description() == model.description()
    assert found.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in model.state_dict().items())


def test_a_description_from_before_an_option_was_there_means_a_model_without_it():
    description = NonAutoregressiveTransformer(CONFIG).description()
    older = {key: value for key, value in description.items() if key not in ("blank", "predictor")}
    assert build(older).description() == description


def test_a_head_beside_changes_no_other_initial_parameter():
    made = []
    for predictor in (False, True):
        torch.manual_seed(0)
        made.append(NonAutoregressiveTransformer(CONFIG, predictor=predictor).state_dict())
    assert set(made[1]) - set(made[0]) == {"masked.weight", "masked.bias"}
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])


@pytest.mark.parametrize("cls", [Transformer, NonAutoregressiveTransformer])
def test_a_description_makes_a_model_of_its_kind(cls):
    description = cls(CONFIG).description()
    before = dict(description)
    made = build(description)
    assert type(made) is cls and made.config == CONFIG and made.description() == description == before


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
