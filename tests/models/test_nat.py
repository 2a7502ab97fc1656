"""The non-autoregressive Transformer: its canvas, and its masking head."""

import pytest
import torch
from tests import plain

from natlab.models.layers import sinusoidal_positions
from natlab.models.transformer import Config

SOURCE = torch.tensor([[4, 5, 6, 2], [7, 2, 1, 1], [2, 1, 1, 1]])  # of 3, 1 and 0 tokens


def nat(decoder_layers=1, **options):
    torch.manual_seed(0)
    return plain.nat(Config(16, 32, 1, decoder_layers, 2, 0.0, 12, 12, True), **options).eval()


@pytest.mark.parametrize("fill", ["copy", "mask"])
def test_the_canvas_holds_copies_or_the_mask_where_nothing_is_revealed(fill):
    """Without decoder layers the states are the canvas itself, with its positions."""
    model, lengths = nat(0, fill=fill), torch.tensor([3, 2, 1])
    source, target = model.encoder(SOURCE), torch.tensor([[8, 9, 10], [11, 8, 1], [9, 1, 1]])
    revealed = torch.tensor([[False, True, False], [False, False, False], [True, False, False]])
    positions, words = sinusoidal_positions(3, 16), model.embedding.weight * 4
    for shown in (None, revealed):
        found = model.decode(source, lengths, shown, target)
        for row, of_source in enumerate(([4, 5, 6], [7, 7], [2])):
            for t, word in enumerate(of_source):
                expected = words[word] if fill == "copy" else model.fill.vector
                if shown is not None and shown[row, t]:
                    expected = words[target[row, t]]
                torch.testing.assert_close(found[row, t], expected + positions[t])


def test_the_masking_head_reads_states_and_lets_no_gradient_through():
    model = nat(masking=True)
    states = torch.randn(2, 3, 16, requires_grad=True)
    found = model.masked_logits(states.bfloat16())
    assert found.shape == (2, 3) and found.dtype == torch.float32
    expected = states.detach().bfloat16().float() @ model.masking.weight[0] + model.masking.bias
    torch.testing.assert_close(found, expected)
    model.masked_logits(states).sum().backward()
    assert states.grad is None and model.masking.weight.grad is not None
    assert nat().masking is None


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
    lengths, fill = {"name": "absolute", "longest": 9}, {"name": "soft_copy", "tau": 0.5}
    architecture = {"lengths": lengths, "fill": fill, "blank": True, "masking": True, "links": True}
    assert nat(**architecture).description() == {
        "architecture": {"name": "nat", **architecture}, "d_model": 16, "d_hidden": 32, "encoder_layers": 1,
        "decoder_layers": 1, "heads": 2, "dropout": 0.0, "source_vocabulary": 12, "target_vocabulary": 12,
        "joint_vocabulary": True, "learned_positions": None,
        "activation": "relu", "scale_embeddings": True, "precision": "fp32", "bos": 0, "pad": 1, "eos": 2,
    }  # fmt: skip
