"""Probabilities around a token's position, by hand and against loops."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from natlab.metrics.positions import REACH, around, token_probability

# P of the token said at position i (row) at position j (column)
PROBABILITIES = torch.tensor([[[0.9, 0.2, 0.1], [0.3, 0.8, 0.4], [0.0, 0.5, 0.7]]])


def test_by_hand():
    every = torch.ones(1, 3, dtype=torch.bool)
    found = around(PROBABILITIES.log(), every, every)
    # distance j - i: -3 … 3
    sums = [0, 0.0, 0.3 + 0.5, 0.9 + 0.8 + 0.7, 0.2 + 0.4, 0.1, 0]
    assert found[0, :, 0].tolist() == pytest.approx(sums)
    assert found[0, :, 1].tolist() == [0, 1, 2, 3, 2, 1, 0]


def test_a_blank_is_not_said_but_has_probabilities_of_others():
    said = torch.tensor([[True, False, True]])
    found = around(PROBABILITIES.log(), said, torch.ones(1, 3, dtype=torch.bool))
    assert found[0, :, 0].tolist() == pytest.approx([0, 0.0, 0.5, 0.9 + 0.7, 0.2, 0.1, 0])
    assert found[0, :, 1].tolist() == [0, 1, 1, 2, 1, 1, 0]


@given(st.integers(1, 7), st.integers(0, 4), st.randoms(use_true_random=False))
def test_padding_counts_nowhere_and_loops_agree(length, padded, random):
    generator = torch.Generator().manual_seed(random.randrange(1000))
    width = length + padded
    probabilities = torch.rand(1, width, width, generator=generator)
    inside = torch.arange(width)[None] < length
    said = inside & (torch.rand(1, width, generator=generator) < 0.7)
    found = around(probabilities.log(), said, inside)
    for distance in range(-REACH, REACH + 1):
        at = [(i, i + distance) for i in range(length) if said[0, i] and 0 <= i + distance < length]
        assert found[0, REACH + distance, 1] == len(at)
        assert float(found[0, REACH + distance, 0]) == pytest.approx(float(sum(probabilities[0][pair] for pair in at)))


def test_means_over_all_tokens_of_short_and_of_long_sentences():
    bands = torch.zeros(5, 2 * REACH + 1, 2, dtype=torch.double)
    lengths = torch.tensor([9, 1, 10, 30, 31])
    bands[:, REACH] = torch.tensor([[6.3, 9], [0.1, 1], [1, 10], [2, 30], [15.5, 31]])
    bands[0, REACH - 1] = torch.tensor([0.8, 8])
    found = token_probability(bands, lengths)
    assert set(found) == {"short/0", "short/-1", "long/0"}
    # of all tokens, not of sentences: (6.3 + 0.1) / 10
    assert found["short/0"]["value"] == pytest.approx(0.64) and found["short/0"]["sentences"] == 2
    assert found["short/0"]["by_sentence"] == [[6.3, 9], [0.1, 1]]
    assert found["short/-1"]["value"] == pytest.approx(0.1)
    assert found["long/0"]["value"] == pytest.approx(0.5) and found["long/0"]["sentences"] == 1


def test_what_follows_a_token_has_a_plus():
    bands = torch.ones(1, 2 * REACH + 1, 2)
    names = [f"long/{name}" for name in ("-3", "-2", "-1", "0", "+1", "+2", "+3")]
    assert list(token_probability(bands, torch.tensor([40]))) == names
