"""The probability of tokens around their position, against a model asked one sentence at a time."""

import pytest
import torch
from tests import plain

from natlab.decoding import decode
from natlab.measuring.positions import token_probability
from natlab.models.transformer import Config

CONFIG = Config(16, 32, 1, 1, 2, 0.1, 12, 12, True)
SOURCES = [torch.tensor(ids) for ids in ([4, 5, 6, 7, 8, 2], [6, 7, 8, 2], [9, 2])]
TARGETS = [torch.tensor([4] * length + [2]) for length in (3, 31, 9)]
DECODING = {"kind": "argmax", "length_candidates": 1, "length_factor": 1.5}


def model_of(blank=False):
    torch.manual_seed(1)
    model = plain.nat(CONFIG, blank=blank).eval()
    with torch.no_grad():
        model.lengths.linear.bias[128] = 10.0  # as long as the source
        if blank:  # at some positions ε is the likeliest
            model.embedding.weight[model.config.bos] *= 3
    return model


def expected(model, source, distance):
    """(sum of probabilities, tokens) at this distance, from the logits of one sentence."""
    encoded = model.encoder(source[None])
    length = max(1, int(1.5 * (len(source) - 1) + 0.5))
    logits = model.logits(model.decode(encoded, torch.tensor([length])))[0]
    probabilities = logits.softmax(1)
    said = decode(model, source[None], DECODING)[0].tolist()
    found, places = [], [i for i in range(length) if not (model.blank and at(model, logits[i]) == model.config.bos)]
    assert [at(model, logits[i]) for i in places] == said
    for token, place in zip(said, places, strict=True):
        if 0 <= place + distance < length:
            found.append(float(probabilities[place + distance, token]))
    return sum(found), len(found)


def at(model, logits):
    possible = [i for i in range(12) if i not in (model.config.pad, model.config.eos)]
    possible = [i for i in possible if model.blank or i != model.config.bos]
    return possible[int(logits[possible].argmax())]


@pytest.mark.parametrize("blank", [False, True])
@pytest.mark.parametrize("max_tokens", [1, 1000])
@torch.inference_mode()
def test_each_token_at_its_own_position_and_around_it(blank, max_tokens):
    model = model_of(blank)
    found = token_probability(model, SOURCES, TARGETS, DECODING, max_tokens)
    for group, chosen in (("short", (0, 2)), ("long", (1,))):
        for name, distance in (("-2", -2), ("-1", -1), ("0", 0), ("+1", 1), ("+3", 3)):
            sums, tokens = zip(*[expected(model, SOURCES[i], distance) for i in chosen], strict=True)
            if sum(tokens):
                value = found[f"{group}/{name}"]
                assert value["value"] == pytest.approx(sum(sums) / sum(tokens), rel=1e-4)
                assert [count for _, count in value["by_sentence"]] == list(tokens)
                assert value["sentences"] == len(chosen)


def test_blanks_are_among_what_the_test_decodes():
    model = model_of(blank=True)
    said = [len(decode(model, source[None], DECODING)[0]) for source in SOURCES]
    assert 0 < sum(said) < sum(int(1.5 * (len(source) - 1) + 0.5) for source in SOURCES)
