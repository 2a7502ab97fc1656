"""The weighted mean of the source's tokens, by hand and by its limits."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from natlab import families
from natlab.models.fills.copy import uniform_copy

EMBEDDED = torch.eye(5)  # what a position holds are then the tokens' weights


def weights(tokens, lengths, tau=1.0, padded=5):
    """[B, T, S] for sources of so many ``tokens``, eos not counted, padded to ``padded``."""
    source = SimpleNamespace(
        lengths=torch.tensor(tokens) + 1, embedded=torch.eye(padded).expand(len(tokens), padded, padded)
    )
    return families.load("fill", "soft_copy", tau=tau).build(None)(source, torch.tensor(lengths))


def test_each_token_weighs_by_its_distance():
    """Three tokens on two positions, 0 and 2 of the source: weights 1, e^-1, e^-2 of their sum, and the other way
    round; with tau 2 the root of these. Nothing falls on eos and padding."""
    for tau in (1.0, 2.0):
        near = torch.exp(-torch.tensor([0.0, 1.0, 2.0]) / tau)
        near = near / near.sum()
        found = weights([3], [2], tau)[0]
        torch.testing.assert_close(found, torch.stack([near, near.flip(0)]).new_zeros(2, 5).index_copy(
            1, torch.arange(3), torch.stack([near, near.flip(0)])
        ))  # fmt: skip


def test_positions_between_two_tokens_weigh_both_alike():
    """Two tokens on three positions: the middle one is halfway."""
    found = weights([2], [3])[0]
    assert found[1].tolist() == pytest.approx([0.5, 0.5, 0, 0, 0])
    assert found[0, 0] == pytest.approx(1 / (1 + torch.tensor(-1.0).exp().item()))


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 8)), min_size=1, max_size=4), st.floats(0.1, 9))
def test_weights_are_a_mean_over_the_tokens_of_each_sentence_and_do_not_depend_on_its_batch(pairs, tau):
    tokens, lengths = zip(*pairs, strict=True)
    found = weights(list(tokens), list(lengths), tau, padded=7)
    torch.testing.assert_close(found.sum(2), torch.ones(found.shape[:2]))
    for row, (source, length) in enumerate(pairs):
        assert not found[row, :length, source:].any()
        torch.testing.assert_close(found[row, :length], weights([source], [length], tau, padded=7)[0])


def test_with_a_tau_near_0_it_is_the_copy():
    found = weights([4, 3], [4, 2], tau=1e-3)
    expected = uniform_copy(torch.tensor([4, 3]), torch.tensor([4, 2]), 4)
    assert found[0].argmax(1).tolist() == expected[0].tolist() and found[0].amax(1).tolist() == [1] * 4
    assert found[1, :2].argmax(1).tolist() == expected[1, :2].tolist()


def test_an_empty_source_lends_its_eos_as_the_copy_does():
    assert weights([0], [2])[0].tolist() == [[1, 0, 0, 0, 0]] * 2
