"""Sentences found by their translations."""

import math

import pytest
import torch
from tests import plain

from natlab.decoding.retrieval import own_is_nearest, retrieval
from natlab.measuring.losses import of_codes
from natlab.models.multilingual import MultilingualEncoder
from natlab.models.transformer import Config

SENTENCES = [torch.tensor(words) for words in ([4, 5, 6, 2], [7, 2], [8, 9, 2], [10, 11, 4, 5, 2])]


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = Config(16, 32, 1, 1, 2, 0.0, 12, 12, True)
    return MultilingualEncoder(config, {"name": "random", "size": 200}).eval()


def test_the_largest_cosine_counts_and_a_tie_does_not():
    sources = torch.tensor([[1.0, 0], [0, 3], [1, 1], [2, 2]])
    targets = torch.tensor([[5.0, 0.1], [3, 1], [2, 2], [1, 1]])
    assert own_is_nearest(sources, targets).tolist() == [True, False, False, False]  # the last two targets are alike


def test_sentences_are_their_own_translations_and_no_others(model):
    """Of one vocabulary and with the same words on both sides each is found; with two targets swapped, two are not.
    However they are batched, the order is the sentences'."""
    for max_tokens in (1, 8, 6000):
        found = retrieval(model, SENTENCES, SENTENCES, max_tokens)
        assert {name: hits.tolist() for name, hits in found.items()} == dict.fromkeys(
            ("retrieval", "code_retrieval"), [True] * 4
        )
        swapped = [SENTENCES[number] for number in (0, 2, 1, 3)]
        assert retrieval(model, SENTENCES, swapped, max_tokens)["retrieval"].tolist() == [True, False, False, True]


def test_measured_with_the_perplexity_of_the_codes_that_are_used(model):
    values = of_codes(model, SENTENCES, SENTENCES)
    assert values["retrieval"]["value"] == 100 and values["retrieval"]["unit"] == "%"
    index = torch.cat([model.coded(sentence[None]) for sentence in SENTENCES])
    shares = index.bincount().double() / len(index)
    entropy = -sum(share * math.log2(share) for share in shares.tolist() if share)
    assert values["code_perplexity"]["value"] == pytest.approx(2**entropy)
    one = MultilingualEncoder(model.config, {"name": "random", "size": 1}).eval()
    assert of_codes(one, SENTENCES, SENTENCES)["code_perplexity"]["value"] == pytest.approx(1)
    assert not any(retrieval(one, SENTENCES, SENTENCES)["code_retrieval"])  # all means are alike
    assert set(of_codes(MultilingualEncoder(model.config).eval(), SENTENCES, SENTENCES)) == {"retrieval"}


def test_of_a_nat_the_codes_on_the_canvases_of_its_likeliest_lengths_count():
    torch.manual_seed(0)
    config = Config(16, 32, 1, 1, 2, 0.0, 12, 12, True)
    nat = plain.nat(config, fill="codes", codebook={"name": "random", "size": 9}).eval()
    index = []
    for sentence in SENTENCES:
        encoded = nat.encoder(sentence[None])
        copied = nat.fill.copied(encoded, nat.lengths.likely(encoded, 1)[:, 0])[0]
        index += [(nat.codebook.vectors - state).square().sum(1).argmin().item() for state in copied]
    shares = torch.tensor(index).bincount() / len(index)
    entropy = -sum(share * math.log2(share) for share in shares.tolist() if share)
    assert of_codes(nat, SENTENCES, SENTENCES)["code_perplexity"]["value"] == pytest.approx(2**entropy)
    assert of_codes(plain.nat(config).eval(), SENTENCES, SENTENCES) == {}
