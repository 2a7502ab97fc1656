"""Models as files."""

import pytest
import torch

from natlab.models.load import build, load, publish
from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.transformer import Config

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
