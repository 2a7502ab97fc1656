import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import plain
from torch import nn

from natlab.models.layers import (
    DecoderLayer,
    Dropout,
    Embedding,
    EncoderLayer,
    LayerNorm,
    Linear,
    attend,
    attention_mask,
    draw_normal,
    position_embeddings,
    sinusoidal_positions,
)
from natlab.models.transformer import Config


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 12), st.integers(0, 10**6))
def test_attention_equals_torchs(batch, targets, sources, seed):
    """Of keys that fill a vector of the machine, here 8 numbers, and of fewer."""
    torch.manual_seed(seed)
    q = torch.randn(batch, 2, targets, 4, dtype=torch.float64, requires_grad=True)
    k, v = (torch.randn(batch, 2, sources, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    padding = torch.rand(batch, sources) < 0.3
    padding[:, 0] = False
    mask = attention_mask(padding, torch.float64)
    assert (mask is None) == (not padding.any())
    ours = attend(q, k, v, mask)
    theirs = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(ours, theirs)
    weights = torch.randn_like(ours)
    for mine, other in zip(
        torch.autograd.grad(ours, (q, k, v), weights), torch.autograd.grad(theirs, (q, k, v), weights), strict=True
    ):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("length", [1, 5, 8, 11])
def test_causal_attention_hides_what_comes_later(length):
    q, k, v = torch.randn(3, 1, 1, length, 4, dtype=torch.float64)
    torch.testing.assert_close(
        attend(q, k, v, None, causal=True), F.scaled_dot_product_attention(q, k, v, is_causal=True)
    )


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5])
def test_dropout_keeps_the_right_share_and_the_mean(p):
    torch.manual_seed(0)
    x = torch.ones(100_003)
    dropout = Dropout(p)
    y = dropout(x)
    kept = (y != 0).double().mean().item()
    assert abs(kept - (1 - p)) < 5 * math.sqrt(p * (1 - p) / len(x))
    torch.testing.assert_close(y[y != 0], torch.full_like(y[y != 0], 1 / (1 - p)))
    # every fourth number comes of the same random word: none of the four may differ from the others
    for lane in range(4):
        assert abs((y[lane::4] != 0).double().mean().item() - (1 - p)) < 10 * math.sqrt(p * (1 - p) / len(x))


def test_dropouts_gradient_is_its_mask_and_it_is_off_in_evaluation():
    x = torch.randn(7, 5, requires_grad=True)
    dropout = Dropout(0.4)
    y = dropout(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad * x.detach(), y.detach())
    assert dropout.eval()(x) is x


def test_a_block_of_a_shared_matrix_is_initialised_as_a_layer_of_its_own():
    torch.manual_seed(0)
    layer = Linear(64, 192, blocks=3)
    bound = math.sqrt(6 / (64 + 64))
    assert bound * 0.99 < layer.weight.abs().max() <= bound
    assert layer.bias.abs().sum() == 0


def test_a_layer_is_initialised_by_its_gain_and_computes_in_its_inputs_dtype():
    torch.manual_seed(0)
    layer = Linear(48, 80, gain=0.5)
    bound = 0.5 * math.sqrt(6 / (48 + 80))
    assert bound * 0.99 < layer.weight.abs().max() <= bound
    x = torch.randn(3, 48)
    layer.bias.data.normal_()
    torch.testing.assert_close(layer(x), x @ layer.weight.t() + layer.bias)
    low = layer(x.bfloat16())
    assert low.dtype == torch.bfloat16 and layer.weight.dtype == torch.float32
    torch.testing.assert_close(low.float(), layer(x), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("joint", [True, False])
def test_normal_initialisation_is_of_all_but_biases_padding_and_layer_norms(joint):
    torch.manual_seed(0)
    config = Config(64, 96, 1, 2, 4, 0.0, 900, 900, joint, learned_positions=300)
    model = plain.nat(config, fill="mask", lengths="absolute", masking=True)
    for parameter in model.parameters():
        parameter.data.fill_(7.0)
    for module in model.modules():
        if isinstance(module, LayerNorm):
            module.reset_parameters()
    draw_normal(model)
    drawn = {}
    for name, value in model.state_dict().items():
        if "norm" in name or name.endswith("bias"):
            assert value.eq(float(name.endswith("norm.weight"))).all(), name
        else:
            drawn[name] = value[torch.arange(len(value)) != 1] if name.endswith("embedding.weight") else value
    assert model.embedding.weight[1].eq(0).all() and model.encoder.embedding.weight[1].eq(0).all()
    assert {
        "fill.vector",
        "encoder.summary",
        "lengths.linear.weight",
        "positions.weight",
        "encoder.positions.weight",
        "masking.weight",
        "layers.1.cross.kv.weight",
    } < set(drawn)
    for name, value in drawn.items():
        error = 5 / math.sqrt(2 * value.numel())
        assert value.std().item() == pytest.approx(0.02, rel=error), name
        assert abs(value.mean().item()) < 0.02 * 5 / math.sqrt(value.numel()), name


def test_layer_norm_has_mean_and_deviation_of_its_parameters_in_its_inputs_dtype():
    torch.manual_seed(0)
    norm, x = LayerNorm(32), 3 + 5 * torch.randn(4, 32)
    norm.weight.data.fill_(2.0)
    norm.bias.data.fill_(7.0)
    y = norm(x)
    torch.testing.assert_close(y.mean(1), torch.full((4,), 7.0))
    torch.testing.assert_close(y.std(1, correction=0), torch.full((4,), 2.0))
    assert norm(x.bfloat16()).dtype == torch.bfloat16
    assert norm(torch.zeros(1, 32)).eq(7).all()  # no division by zero
    assert norm(torch.tensor([[1e-3, -1e-3] * 16])).max().item() == pytest.approx(7 + 2 / math.sqrt(1 + 10), rel=1e-4)


def test_positions_are_sines_then_cosines_of_number_two_on():
    found = sinusoidal_positions(5, 6)
    for t in range(5):
        angles = [(t + 2) / 10000 ** (i / 2) for i in range(3)]
        expected = [*map(math.sin, angles), *map(math.cos, angles)]
        assert found[t].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("scale, by", [(True, 8), (False, 1)])
def test_embeddings_are_scaled_or_not(scale, by):
    torch.manual_seed(0)
    embedding = Embedding(2000, 64, pad=1, scale=scale)
    assert embedding.weight[1].eq(0).all() and embedding.padding_idx == 1
    assert embedding.weight.std().item() == pytest.approx(1 / 8, rel=0.02)
    tokens = torch.tensor([[4, 1, 7]])
    torch.testing.assert_close(embedding.scaled(tokens), by * embedding.weight[tokens])


def test_sinusoidal_positions_grow_as_needed_and_are_not_saved():
    positions = position_embeddings(64, None)
    assert torch.equal(positions(3, 256), sinusoidal_positions(256, 64)[3:])
    torch.testing.assert_close(positions(250, 300), sinusoidal_positions(300, 64)[250:])
    assert len(positions.table) == 600 and not positions.state_dict()


def test_positions_beyond_the_learned_ones_share_the_last():
    torch.manual_seed(0)
    positions = position_embeddings(64, 500)
    assert positions.weight.std().item() == pytest.approx(1 / 8, rel=0.02)
    assert torch.equal(positions(3, 500), positions.weight[3:])
    found = positions(498, 503)
    assert torch.equal(found, positions.weight[[498, 499, 499, 499, 499]])
    found.sum().backward()
    assert positions.weight.grad[[0, 498, 499], 0].tolist() == [0, 1, 4]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_mask_of_padding_is_minus_infinity_where_padded(dtype):
    padding = torch.tensor([[False, True], [False, False]])
    mask = attention_mask(padding, dtype)
    assert mask.dtype == dtype and mask.shape == (2, 1, 1, 2)
    assert mask[:, 0, 0].tolist() == [[0, -math.inf], [0, 0]]


def test_layers_compute_what_torchs_post_norm_layers_compute():
    torch.manual_seed(0)
    x, padding = torch.randn(2, 5, 8), torch.tensor([[False] * 5, [False, False, False, True, True]])
    memory, lacking = torch.randn(2, 4, 8), torch.tensor([[False, False, False, True], [False] * 4])
    for ours in (EncoderLayer(8, 16, 2, 0.3).eval(), DecoderLayer(8, 16, 2, 0.3).eval()):
        for parameter in ours.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
        cls = nn.TransformerEncoderLayer if isinstance(ours, EncoderLayer) else nn.TransformerDecoderLayer
        theirs = cls(8, 2, 16, 0.0, batch_first=True).eval()
        theirs.load_state_dict(as_torchs(ours))
        mask = attention_mask(padding, x.dtype)
        if cls is nn.TransformerEncoderLayer:
            found, expected = ours(x, mask), theirs(x, src_key_padding_mask=padding)
        else:
            source = ours.cross.memory(memory)
            found = ours(x, source, attention_mask(lacking, x.dtype), mask)
            given = {"tgt_key_padding_mask": padding, "memory_key_padding_mask": lacking}
            expected = theirs(x, memory, **given)
            causal = nn.Transformer.generate_square_subsequent_mask(5)
            torch.testing.assert_close(
                ours(x, source, None, None, causal=True), theirs(x, memory, causal), rtol=1e-4, atol=1e-5
            )
        torch.testing.assert_close(found[~padding], expected[~padding], rtol=1e-4, atol=1e-5)


def as_torchs(layer):
    """The parameters of a layer by the names that torch's layers have for them."""
    made = {}
    for part in ("weight", "bias"):
        get = {name: value for name, value in layer.state_dict().items() if name.endswith(part)}
        made |= {
            f"self_attn.in_proj_{part}": get[f"attention.qkv.{part}"],
            f"self_attn.out_proj.{part}": get[f"attention.out.{part}"],
            f"norm1.{part}": get[f"attention_norm.{part}"],
            f"linear1.{part}": get[f"feed_forward.inner.{part}"],
            f"linear2.{part}": get[f"feed_forward.outer.{part}"],
            f"norm{2 if isinstance(layer, EncoderLayer) else 3}.{part}": get[f"feed_forward_norm.{part}"],
        }
        if isinstance(layer, DecoderLayer):
            made |= {
                f"multihead_attn.in_proj_{part}": torch.cat([get[f"cross.q.{part}"], get[f"cross.kv.{part}"]]),
                f"multihead_attn.out_proj.{part}": get[f"cross.out.{part}"],
                f"norm2.{part}": get[f"cross_norm.{part}"],
            }
    return made


def test_attention_starts_with_the_gain_of_its_matrices_taken_apart():
    """Queries, keys and values as fairseq's: Glorot uniform of each, by 1 / sqrt 2; the others in full."""
    torch.manual_seed(0)
    layer, full = DecoderLayer(64, 64, 4, 0.0), math.sqrt(6 / 128)
    for matrix, share in (
        (layer.attention.qkv, 0.5**0.5), (layer.cross.q, 0.5**0.5), (layer.cross.kv, 0.5**0.5),
        (layer.attention.out, 1), (layer.cross.out, 1), (layer.feed_forward.inner, 1), (layer.feed_forward.outer, 1),
    ):  # fmt: skip
        assert 0.98 * share * full < matrix.weight.abs().max() <= share * full


@pytest.mark.parametrize("cls, places", [(EncoderLayer, 2), (DecoderLayer, 3)])
def test_dropout_is_of_each_sublayers_output(cls, places, monkeypatch):
    """With everything dropped, a layer is layer norm after layer norm of its input."""
    torch.manual_seed(0)
    layer, x, seen = cls(8, 16, 2, 0.25), torch.randn(2, 3, 8), []
    monkeypatch.setattr(Dropout, "forward", lambda self, y: seen.append((self.p, y.shape)) or 0 * y)
    found = layer(x, None) if cls is EncoderLayer else layer(x, layer.cross.memory(x), None, None)
    assert seen == [(0.25, x.shape)] * places
    torch.testing.assert_close(found, F.layer_norm(x, (8,)), rtol=1e-3, atol=1e-3)


def test_steps_of_several_hypotheses_are_those_of_teacher_forcing():
    torch.manual_seed(0)
    layer, sentences, hypotheses, longest = DecoderLayer(8, 16, 2, 0.0).eval(), 2, 3, 4
    x = torch.randn(sentences * hypotheses, longest, 8)
    memory, mask = layer.cross.memory(torch.randn(sentences, 5, 8)), torch.zeros(sentences, 1, 1, 5)
    mask[1, ..., 3:] = -math.inf
    expected = layer(x, memory.repeat_interleave(hypotheses, 1), mask.repeat_interleave(hypotheses, 0), None, True)
    cache = torch.full((2, sentences * hypotheses, 2, longest + 2, 4), torch.nan)
    for at in range(longest):
        newest = x[:, at].view(sentences, hypotheses, 8)
        found = layer.step(newest, cache, at, memory, mask).view(-1, 8)
        torch.testing.assert_close(found, expected[:, at], rtol=1e-4, atol=1e-5)
    assert cache[..., longest:, :].isnan().all() and not cache[..., :longest, :].isnan().any()


def test_no_dropout_is_drawn_where_its_probability_is_none():
    x = torch.randn(3, 5)
    assert Dropout(0.0)(x) is x and Dropout(0.5).train()(x) is not x
    assert [Dropout(0.5)(torch.ones(n)).shape for n in (1, 2, 3, 4, 5)] == [(n,) for n in (1, 2, 3, 4, 5)]
