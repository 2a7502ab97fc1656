"""Proxy inputs on hand-worked examples and what must hold for any."""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.proxy import registry


@dataclass
class Foreseen:
    """Stands in for a prediction: its tokens are given."""

    tokens: torch.Tensor
    lengths: torch.Tensor
    progress: float = 0.0


def test_vanilla_reveals_nothing():
    target = torch.tensor([[4, 5]])
    assert registry.load("inputs", "vanilla")(target, Foreseen(target, torch.tensor([2]))) is None


def test_glat_reveals_half_of_the_wrong_tokens_at_first_and_three_tenths_at_last():
    target = torch.tensor([[4, 5, 6, 7, 8, 9, 4, 5, 6, 7]])
    wrong_everywhere = Foreseen(torch.zeros_like(target), torch.tensor([10]))
    glat = registry.load("inputs", "glat")
    assert glat(target, wrong_everywhere).sum() == 5  # floor(0.5 * 10)
    wrong_everywhere.progress = 1.0
    assert glat(target, wrong_everywhere).sum() == 3  # floor(0.3 * 10)
    wrong_everywhere.progress = 0.5
    assert glat(target, wrong_everywhere).sum() == 4


def test_glat_rounds_down_and_counts_errors_only():
    target = torch.tensor([[4, 5, 6, 7, 1], [4, 5, 1, 1, 1]])
    prediction = Foreseen(torch.tensor([[4, 9, 9, 9, 9], [4, 5, 9, 9, 9]]), torch.tensor([4, 2]))
    revealed = registry.load("inputs", "glat")(target, prediction)
    assert revealed.sum(1).tolist() == [1, 0]  # floor(0.5 * 3), floor(0.5 * 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1), st.sampled_from(["floor", "bernoulli"]))
def test_glat_never_reveals_padding_and_nothing_when_all_is_right(seed, progress, count):
    torch.manual_seed(seed)
    lengths = torch.randint(1, 9, (5,))
    target = torch.randint(4, 9, (5, 8)).masked_fill(torch.arange(8) >= lengths[:, None], 1)
    glat = registry.load("inputs", "glat", count=count)
    revealed = glat(target, Foreseen(torch.randint(4, 9, (5, 8)), lengths, progress))
    assert not (revealed & target.eq(1)).any()
    assert not glat(target, Foreseen(target, lengths, progress)).any()


@pytest.mark.parametrize("count", ["floor", "bernoulli"])
def test_glat_chooses_positions_evenly(count):
    torch.manual_seed(0)
    target = torch.full((20_000, 5), 4)
    revealed = registry.load("inputs", "glat", start=0.4, count=count)(
        target, Foreseen(torch.zeros_like(target), torch.full((20_000,), 5))
    )
    torch.testing.assert_close(revealed.double().mean(0), torch.full((5,), 0.4, dtype=torch.double), atol=0.02, rtol=0)


@pytest.mark.parametrize("name", registry.names("targets"))
def test_raw_and_kd_take_the_reference_as_it_is(name):
    target = torch.tensor([[4, 5, 6]])
    assert torch.equal(registry.load("targets", name)(target, Foreseen(target, torch.tensor([3]))), target)


def test_kd_and_only_kd_starts_from_a_teachers_targets():
    assert {name: registry.distilled(name) for name in registry.names("targets")} == {"kd": True, "raw": False}
