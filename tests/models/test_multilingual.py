"""One encoder for both sides."""

import dataclasses

import pytest
import torch

from natlab.models.load import load, publish
from natlab.models.multilingual import MultilingualEncoder
from natlab.models.transformer import Config

CONFIG = Config(16, 32, 2, 1, 2, 0.0, 12, 15, False)
SOURCE = torch.tensor([[4, 5, 6, 2], [7, 8, 2, 1]])
TARGET = torch.tensor([[14, 9, 1], [4, 5, 13]])  # without eos


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MultilingualEncoder(CONFIG, codebook={"name": "moving", "size": 5}).eval()


def test_each_side_is_encoded_by_its_own_embeddings_and_the_same_layers(model):
    ended = torch.tensor([[14, 9, 2, 1], [4, 5, 13, 2]])
    torch.testing.assert_close(
        model.encode_target(TARGET).encoded, model.encoder.encode(ended, model.embedding.scaled(ended)).encoded
    )
    assert model.encode_target(TARGET).words.tolist() == [[True, True, False, False], [True, True, True, False]]
    torch.testing.assert_close(model.encode_source(SOURCE).encoded, model.encoder(SOURCE).encoded)
    joint = MultilingualEncoder(dataclasses.replace(CONFIG, target_vocabulary=12, joint_vocabulary=True))
    assert joint.embedding is joint.encoder.embedding
    assert not any("layers" in name and not name.startswith("encoder.") for name in joint.state_dict())  # no decoder


def test_a_sentence_is_encoded_alike_in_any_batch(model):
    for encode, tokens in ((model.encode_source, SOURCE[1:, :3]), (model.encode_target, TARGET[:1, :2])):
        row = 1 if encode == model.encode_source else 0
        together = encode(SOURCE if row else TARGET)
        torch.testing.assert_close(encode(tokens).mean[0], together.mean[row])
        mean = together.encoded[row, : 2 if row else 2].mean(0)  # both have two words
        torch.testing.assert_close(together.mean[row], mean)


def test_nothing_noised_and_no_mean_is_the_sentence_as_it_is(model):
    nothing = torch.zeros_like(SOURCE, dtype=torch.bool)
    states = model.denoised(SOURCE, SOURCE, nothing, model.encoder.embedding, None)
    torch.testing.assert_close(states, model.encode_source(SOURCE).encoded)
    masked = nothing.clone()
    masked[0, 1] = True
    other = SOURCE.clone()
    other[0, 1] = 11  # what stands below a mask is not seen
    found = [model.denoised(SOURCE, tokens, masked, model.encoder.embedding, None) for tokens in (SOURCE, other)]
    torch.testing.assert_close(*found)
    assert not torch.allclose(found[0][0], states[0])


def test_the_codes_of_sources_are_those_nearest_to_their_words(model):
    states = model.encode_source(SOURCE).encoded
    words = [states[0, 0], states[0, 1], states[0, 2], states[1, 0], states[1, 1]]
    nearest = [(model.codebook.vectors - word).square().sum(1).argmin().item() for word in words]
    assert model.coded(SOURCE).tolist() == nearest


def test_it_is_published_and_loaded_whole(model, tmp_path):
    publish(tmp_path / "model.pt", model, {"fingerprint": "f"})
    again, _ = load(tmp_path / "model.pt")
    assert again.description() == model.description() and again.state_dict().keys() == model.state_dict().keys()
    torch.testing.assert_close(again.encode_target(TARGET).encoded, model.encode_target(TARGET).encoded)
