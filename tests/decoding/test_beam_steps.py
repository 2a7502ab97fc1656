"""Beam search in steps of fixed shapes, against the search whose batches shrink."""

import pytest
import torch
import torch.nn.functional as F
from tests.decoding.models import model_of, random_sources

from natlab.decoding import pad_right
from natlab.decoding.beam_search import search
from natlab.decoding.beam_steps import Steps
from natlab.models.transformer import Transformer


def run(steps, most=1000):
    """Until all sentences are done; how many steps that took."""
    steps.start()
    for taken in range(most):
        if not steps.going.any():
            return taken
        steps.step()
    raise AssertionError("it never ends")


# 3.0: where length pays, it matters that a sentence is done once as many hypotheses as the beam's width have ended
@pytest.mark.parametrize("beam, penalty", [(1, 1.0), (2, 0.8), (5, 1.0), (5, 0.0), (3, 3.0), (30, 1.0)])
@pytest.mark.parametrize("seed", range(3))
@torch.inference_mode()
def test_it_finds_what_the_search_finds(beam, penalty, seed):
    model = model_of(Transformer, seed, vocabulary=24)
    source = pad_right(random_sources(20, 9, 24, seed=seed), 1)
    wanted = [target.tolist() for target in search(model, source, beam, penalty, (1.0, 10))]
    steps = Steps(model, F.pad(source, (0, 3), value=1), beam, penalty, (1.0, 10))
    for _ in range(2):  # from the beginning each time
        taken = run(steps)
        assert [target.tolist() for target in steps.targets()] == wanted
    assert taken <= steps.width and len(set(map(tuple, wanted))) > 3


def test_sentences_that_are_done_are_left_alone():
    model = model_of(Transformer, 1, vocabulary=24)
    steps = Steps(model, pad_right(random_sources(6, 9, 24, seed=1), 1), 3, 1.0)
    run(steps)
    found, best = [target.tolist() for target in steps.targets()], steps.best_score.tolist()
    if int(steps.at) < steps.width:
        steps.step()
    assert [target.tolist() for target in steps.targets()] == found and steps.best_score.tolist() == best


def test_bfloat16_has_caches_of_it():
    model, source = model_of(Transformer, 5), torch.tensor([[4, 6, 5, 2]])
    model.encoder.precision = "bf16"
    steps = Steps(model, source, 1, 1.0)
    run(steps)
    with torch.inference_mode():
        assert steps.targets()[0].tolist() == search(model, source, 1)[0].tolist()


def test_a_step_asks_the_device_for_nothing():
    """A tensor without data cannot answer."""
    model = model_of(Transformer, 5).to("meta")
    steps = Steps(model, torch.zeros(2, 8, dtype=torch.long, device="meta"), 5, 1.0)
    steps.start()
    steps.step()
    with pytest.raises(RuntimeError):
        bool(steps.going.any())
