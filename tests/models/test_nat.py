"""The non-autoregressive Transformer: its canvas, its lengths, its masking head."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from natlab.decoding import argmax
from natlab.models.layers import sinusoidal_positions
from natlab.models.nat import NonAutoregressiveTransformer, uniform_copy
from natlab.models.transformer import Config

SOURCE = torch.tensor([[4, 5, 6, 2], [7, 2, 1, 1], [2, 1, 1, 1]])  # of 3, 1 and 0 tokens


def nat(decoder_layers=1, **options):
    torch.manual_seed(0)
    return NonAutoregressiveTransformer(Config(16, 32, 1, decoder_layers, 2, 0.0, 12, 12, True), **options).eval()


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=5))
def test_the_length_that_training_writes_is_the_length_that_decoding_reads(pairs):
    """Its class says target length less source length, -128 to 127; what lies beyond counts as the outermost."""
    model = nat()
    sources, targets = torch.tensor(pairs).unbind(1)
    tokens = torch.full((len(pairs), int(sources.max()) + 1), 4)
    tokens[torch.arange(len(pairs)), sources] = 2
    tokens = tokens.masked_fill(torch.arange(tokens.shape[1]) > sources[:, None], 1)
    chosen = model.length_class(model.encoder(tokens), targets)
    scores = torch.nn.functional.one_hot(chosen, model.length.out_features).float()
    read = argmax.likely_lengths(scores, sources, 1, 1.0)[:, 0]
    assert read.tolist() == [max(1, source + min(max(target - source, -128), 127)) for source, target in pairs]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5))
def test_uniform_copy_takes_the_nearest_source_token(source, target, more):
    """round(t (S - 1) / (T - 1)) of S source tokens, position t of T; halfway either of the two."""
    found = uniform_copy(torch.tensor([source]), torch.tensor([target]), target + more)[0].tolist()
    assert len(found) == target + more and max(found) <= source - 1
    for t, at in enumerate(found[:target]):
        exactly = Fraction(t * (source - 1), max(1, target - 1))
        assert abs(at - exactly) <= Fraction(1, 2)


@pytest.mark.parametrize("canvas", ["copy", "mask"])
def test_the_canvas_holds_copies_or_the_mask_where_nothing_is_revealed(canvas):
    """Without decoder layers the states are the canvas itself, with its positions."""
    model, lengths = nat(0, canvas=canvas), torch.tensor([3, 2, 1])
    source, target = model.encoder(SOURCE), torch.tensor([[8, 9, 10], [11, 8, 1], [9, 1, 1]])
    revealed = torch.tensor([[False, True, False], [False, False, False], [True, False, False]])
    positions, words = sinusoidal_positions(3, 16), model.embedding.weight * 4
    for shown in (None, revealed):
        found = model.decode(source, lengths, shown, target)
        for row, of_source in enumerate(([4, 5, 6], [7, 7], [2])):
            for t, word in enumerate(of_source):
                expected = words[word] if canvas == "copy" else model.mask_embedding
                if shown is not None and shown[row, t]:
                    expected = words[target[row, t]]
                torch.testing.assert_close(found[row, t], expected + positions[t])


def test_lengths_are_predicted_from_the_mean_state_of_the_sentence():
    model = nat()
    together = model.length_logits(model.encoder(SOURCE))
    assert together.shape == (3, 256)
    for row, tokens in enumerate(SOURCE):
        states = model.encoder(tokens[None, tokens != 1]).encoded[0]
        torch.testing.assert_close(together[row], model.length(states.mean(0)), rtol=1e-4, atol=1e-5)


def test_the_masking_head_reads_states_and_lets_no_gradient_through():
    model = nat(predictor=True)
    states = torch.randn(2, 3, 16, requires_grad=True)
    found = model.masked_logits(states.bfloat16())
    assert found.shape == (2, 3) and found.dtype == torch.float32
    expected = states.detach().bfloat16().float() @ model.masked.weight[0] + model.masked.bias
    torch.testing.assert_close(found, expected)
    model.masked_logits(states).sum().backward()
    assert states.grad is None and model.masked.weight.grad is not None
    assert not hasattr(nat(), "masked")


def test_memories_that_are_given_are_those_that_are_read():
    model = nat(2)
    source, lengths = model.encoder(SOURCE), torch.tensor([3, 2, 1])
    memories = source.memories(model.layers)
    expected = model.decode(source, lengths)
    assert torch.equal(model.decode(source, lengths, memories=memories), expected)
    others = model.decode(source, lengths, memories=[2 * memory for memory in memories])
    assert not torch.allclose(others, expected)


def test_dropout_is_of_the_canvas_too():
    model = nat(0)
    model.dropout.p, lengths = 0.5, torch.tensor([3, 2, 1])
    source = model.encoder(SOURCE)
    kept = model.decode(source, lengths)
    dropped = model.train().decode(source, lengths)
    zero = dropped == 0
    assert zero.any() and not zero.all()
    torch.testing.assert_close(dropped[~zero], 2 * kept[~zero])


def test_a_description_says_all_that_makes_a_model():
    options = {"canvas": "mask", "blank": True, "predictor": True}
    assert nat(**options).description() == {
        "architecture": "nat", **options, "d_model": 16, "d_hidden": 32, "encoder_layers": 1, "decoder_layers": 1,
        "heads": 2, "dropout": 0.0, "source_vocabulary": 12, "target_vocabulary": 12, "joint_vocabulary": True,
        "precision": "fp32", "bos": 0, "pad": 1, "eos": 2,
    }  # fmt: skip
