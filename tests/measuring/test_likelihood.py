"""How likely a model finds targets."""

from math import log

import pytest
import torch
from tests import plain

from natlab.losses.batch import autoregressive_loss
from natlab.measuring.likelihood import nats_per_token
from natlab.measuring.losses import losses
from natlab.models.transformer import Config, Transformer

CONFIG = Config(16, 32, 1, 1, 2, 0.1, 12, 12, True)
SOURCES = [torch.tensor(ids) for ids in ([4, 5, 2], [6, 7, 8, 2], [9, 2])]
TARGETS = [torch.tensor(ids) for ids in ([7, 2], [4, 5, 6, 2], [8, 9, 10, 11, 2])]


def test_of_an_autoregressive_model_it_is_the_likelihood_of_tokens_and_end_by_token():
    torch.manual_seed(0)
    model = Transformer(CONFIG).eval()
    each = [
        float(autoregressive_loss(model, source[None], target[None]).values["nll"].sums)
        for source, target in zip(SOURCES, TARGETS, strict=True)
    ]
    found = nats_per_token(model, SOURCES, TARGETS, None)
    assert found["value"] == pytest.approx(sum(each) / 8, rel=1e-3) and found["unit"] == "nats/token"
    assert [tokens for _, tokens in found["by_sentence"]] == [1, 3, 4]
    assert [nats for nats, _ in found["by_sentence"]] == pytest.approx(each, rel=1e-3)


def test_of_a_nat_the_length_counts_too():
    torch.manual_seed(0)
    model, method = plain.nat(CONFIG).eval(), plain.method()
    of = losses(model, SOURCES, TARGETS, method)
    found = nats_per_token(model, SOURCES, TARGETS, method)
    assert found["value"] == pytest.approx(log(2) * (of["loss"]["value"] + of["length"]["value"]), rel=1e-4)


def test_outputs_come_without_their_end_and_may_be_empty():
    torch.manual_seed(0)
    model, method = plain.nat(CONFIG).eval(), plain.method()
    bare = [target[:-1] for target in TARGETS]
    assert nats_per_token(model, SOURCES, bare, method) == nats_per_token(model, SOURCES, TARGETS, method)
    bare[1] = bare[1][:0]
    found = nats_per_token(model, SOURCES, bare, method)
    assert [tokens for _, tokens in found["by_sentence"]] == [1, 4]
