"""The non-autoregressive Transformer: its canvas, and its masking head."""

import itertools

import pytest
import torch
from tests import plain

from natlab.kernels import use
from natlab.models.layers import attention_mask, sinusoidal_positions
from natlab.models.load import build
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


def test_what_a_layer_predicts_is_joined_to_its_states_before_the_next_one():
    """Two layers, worked by hand: the second reads W [h; e(argmax h E)] + b at each position."""
    model = nat(2, deep_supervision=True)
    source, lengths = model.encoder(SOURCE), torch.tensor([3, 2, 1])
    _, first, second = model.decode_layers(source, lengths)
    assert torch.equal(model.decode(source, lengths), second)
    plainly = nat(2)
    plainly.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("joins.")})
    torch.testing.assert_close(plainly.decode_layers(source, lengths)[1], first)  # nothing is joined before it
    (join,) = model.joins
    words = (first @ model.embedding.weight.T).argmax(2)
    assert len(words.unique()) > 1
    joined = first @ join.weight[:, :16].T + 4 * model.embedding.weight[words] @ join.weight[:, 16:].T + join.bias
    memory = model.layers[1].cross.memory(source.encoded)
    mask = attention_mask(torch.arange(3) >= lengths[:, None], torch.float32)
    torch.testing.assert_close(model.layers[1](joined, memory, source.mask, mask), second)
    join.weight.data[:, :16], join.weight.data[:, 16:] = torch.eye(16), 0
    torch.testing.assert_close(model.decode(source, lengths), plainly.decode(source, lengths))


def test_a_layers_prediction_has_no_gradient_but_its_embedding_has():
    model = nat(2, deep_supervision=True)
    model.joins[0].weight.data[:, :16] = 0  # only the embedding goes on
    source, lengths = model.encoder(SOURCE), torch.tensor([3, 2, 1])
    _, first, second = model.decode_layers(source, lengths)
    first.retain_grad()
    second[0].square().sum().backward()
    assert first.grad is None or not first.grad.any()
    words = (first[0] @ model.embedding.weight.T).argmax(1)
    assert model.embedding.weight.grad[words].any(1).all()


@pytest.mark.parametrize("deep_supervision", [False, True])
def test_states_do_not_depend_on_the_batch(deep_supervision):
    model = nat(3, deep_supervision=deep_supervision)
    lengths = torch.tensor([3, 2, 1])
    together = model.decode(model.encoder(SOURCE), lengths)
    for row, length in enumerate(lengths.tolist()):
        source = SOURCE[row][SOURCE[row].ne(1)]
        alone = model.decode(model.encoder(source[None]), lengths[row : row + 1])
        torch.testing.assert_close(together[row, :length], alone[0])


def test_a_model_of_deep_supervision_is_built_again():
    model = nat(2, deep_supervision=True)
    assert build(model.description()).state_dict().keys() == model.state_dict().keys()
    assert "deep_supervision" not in nat(2).description()["architecture"] and nat(2).joins is None


@pytest.mark.parametrize("how", ["argmax", "permutation"])
def test_codes_come_to_the_tokens_they_are_nearest_to(how):
    """AEQA-NAT, equation 14 and Algorithm 1, by trying each order; a position without a token keeps its code."""
    torch.manual_seed(1)
    model = plain.nat(
        Config(8, 16, 1, 1, 2, 0.0, 12, 12, True), fill="codes", codebook={"name": "random", "size": 9}
    ).eval()
    sources, lengths = torch.tensor([[4, 5, 6, 8, 2], [7, 9, 2, 1, 1]]), torch.tensor([4, 3])
    target = torch.tensor([[11, 10, 9, 8], [10, 1, 9, 1]])
    source = model.encoder(sources)
    with use("reference"):
        found = model.reordering(source, target, lengths, how)
    codes = model.codebook(model.fill.copied(source, lengths)).states
    for b, (length, said) in enumerate([(4, [0, 1, 2, 3]), (3, [0, 2])]):
        scores = model.embedding.scaled(target[b]) @ codes[b].T
        if how == "argmax":
            expected = {i: int(scores[i, :length].argmax()) for i in said}
        else:
            orders = itertools.permutations(said)
            best = max(orders, key=lambda order: float(sum(scores[i, j] for i, j in zip(said, order, strict=True))))
            expected = dict(zip(said, best, strict=True))
        assert found[b].tolist() == [expected.get(i, i) for i in range(4)]
