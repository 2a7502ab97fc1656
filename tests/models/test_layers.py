import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.models.layers import Dropout, Linear, attend, attention_mask


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.integers(0, 10**6))
def test_attention_equals_torchs(batch, targets, sources, seed):
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


def test_causal_attention_hides_what_comes_later():
    q, k, v = torch.randn(3, 1, 1, 5, 4, dtype=torch.float64)
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
