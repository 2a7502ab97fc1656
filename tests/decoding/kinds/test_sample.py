"""Input Sampling, position by position."""

from math import log

import pytest
import torch
from tests import plain
from tests.decoding.models import model_of, random_sources

from natlab.decoding import decode, decode_corpus
from natlab.decoding.kinds import sample
from natlab.decoding.kinds.argmax import Argmax


def sampler(seed=6):
    """A model with a masking head and its predictor, of which about half of all positions are masked."""
    model = model_of(plain.nat, seed, 20, masking=True)
    model.masking.weight.data *= 0.2
    return model, model_of(plain.nat, seed + 1, 20)


@pytest.mark.parametrize("logit, expected", [(50.0, "masked"), (-50.0, "revealed")])
def test_input_sampling_with_a_sure_head_is_argmax_or_the_predictors(logit, expected):
    model, predictor = sampler()
    model.masking.weight.data.zero_()
    model.masking.bias.data.fill_(logit)
    for source in random_sources(8, 9, 20, seed=1):
        found = decode(model, source[None], {"kind": "sample", "predictor": "p"}, {"p": predictor})[0]
        if expected == "masked":
            assert found.tolist() == Argmax()(model, source[None])[0].tolist()
        else:
            logits = predictor.logits(predictor.decode(predictor.encoder(source[None]), torch.tensor([len(found)])))[0]
            logits[:, [0, 1, 2]] = -torch.inf
            assert found.tolist() == logits.argmax(1).tolist()


def test_input_sampling_does_not_depend_on_the_batch_but_on_its_seed():
    model, predictor = sampler()
    sources = random_sources(60, 12, 20, seed=2)

    def found(size, seed=1):
        decoding = {"kind": "sample", "predictor": "p", "seed": seed}
        made = decode_corpus(model, sources, decoding, 10**6, size, {"p": predictor})
        return [target.tolist() for target in made]

    assert found(1) == found(7) == found(60)
    assert found(60) != found(60, seed=2)


def test_positions_are_revealed_as_often_as_the_head_says():
    model, predictor = sampler()
    model.masking.bias.data.fill_(-0.3)
    source = torch.tensor([[4, 5, 6, 7, 8, 9, 2]])
    with torch.no_grad():
        encoded = model.encoder(source)
        lengths = sample.draw(model, source, predictor, 8.0).lengths
        assert lengths.item() >= 8
        masked = model.masked_logits(model.decode(encoded, lengths)).sigmoid()[0]
    drawn = torch.stack([sample.draw(model, source, predictor, 8.0, seed).revealed[0] for seed in range(2000)])
    torch.testing.assert_close(drawn.float().mean(0), 1 - masked, atol=0.05, rtol=0)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_the_log_probability_of_a_draw_is_that_of_its_input_and_its_target(seed):
    """log P(Z|X) + log P(T|Z,X), position by position (MPLE, appendix E.6), of one sentence at a time."""
    model, predictor = sampler()
    for source in random_sources(6, 9, 20, seed=3):
        made = sample.draw(model, source[None], predictor, seed=seed)
        with torch.no_grad():
            encoded, length = model.encoder(source[None]), made.lengths
            masked = model.masked_logits(model.decode(encoded, length)).sigmoid()[0].tolist()
            given = model.decode(encoded, length, made.revealed, made.tokens)
            allowed = [word for word in range(20) if word not in (0, 1, 2)]
            theirs = predictor.logits(predictor.decode(predictor.encoder(source[None]), length))[0, :, allowed].softmax(
                1
            )
            ours = model.logits(given)[0, :, allowed].softmax(1)
        expected = 0.0
        for i, word in enumerate(made.tokens[0].tolist()):
            if made.revealed[0, i]:
                expected += log((1 - masked[i]) * float(theirs[i, allowed.index(word)]))
                assert theirs[i].argmax() == allowed.index(word)
            else:
                expected += log(masked[i] * float(ours[i, allowed.index(word)]))
                assert ours[i].argmax() == allowed.index(word)
        assert made.log_probability[0].item() == pytest.approx(expected, rel=1e-4)
        assert seed is not None or not made.revealed.any()
