from math import log

import pytest
import torch

from natlab.metrics.losses import losses
from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.transformer import Config, Transformer
from natlab.training.objective import Proxies, autoregressive_loss

CONFIG = Config(16, 32, 1, 1, 2, 0.1, 12, 12, True)
SOURCES = [torch.tensor(ids) for ids in ([4, 5, 2], [6, 7, 8, 2], [9, 2])]
TARGETS = [torch.tensor(ids) for ids in ([7, 2], [4, 5, 6, 2], [8, 9, 10, 11, 2])]
VANILLA = {"architecture": "nat", "target": {"name": "raw"}, "input": {"name": "vanilla"}}


def test_an_autoregressive_loss_counts_the_bits_of_eos_but_not_eos_as_a_token():
    torch.manual_seed(0)
    model = Transformer(CONFIG).eval()
    found = losses(model, SOURCES, TARGETS, None)
    nll = sum(
        float(autoregressive_loss(model, source[None], target[None]).nll)
        for source, target in zip(SOURCES, TARGETS, strict=True)
    )
    assert found["loss"]["value"] == pytest.approx(nll / (1 + 3 + 4) / log(2), rel=1e-4)
    assert found["length"]["value"] == 0
    assert (found["loss"]["tokens"], found["loss"]["sentences"], found["loss"]["unit"]) == (8, 3, "bits/token")


@pytest.mark.parametrize("max_tokens", [1, 8, 1000])
def test_losses_do_not_depend_on_the_batches(max_tokens):
    torch.manual_seed(0)
    model = NonAutoregressiveTransformer(CONFIG).eval()
    expected = losses(model, SOURCES, TARGETS, Proxies.of(VANILLA))
    found = losses(model, SOURCES, TARGETS, Proxies.of(VANILLA), max_tokens)
    for name in ("loss", "length"):
        assert found[name]["value"] == pytest.approx(expected[name]["value"], rel=1e-4)


def test_revealed_tokens_are_counted_at_no_cost():
    """With everything wrong and λ at its end, GLAT hides all but floor(0.3 T) tokens of a target of T."""
    torch.manual_seed(0)
    model = NonAutoregressiveTransformer(CONFIG).eval()
    hidden = losses(model, SOURCES, TARGETS, Proxies.of(VANILLA))
    glanced = losses(model, SOURCES, TARGETS, Proxies.of({**VANILLA, "input": {"name": "glat", "end": 1.0}}))
    assert glanced["loss"]["tokens"] == hidden["loss"]["tokens"]
    assert glanced["loss"]["value"] < hidden["loss"]["value"]
