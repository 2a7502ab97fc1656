"""The repeated-token rate by hand, and its bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.metrics.repetition import repeated_token_rate, repeated_tokens

SENTENCES = st.lists(st.lists(st.sampled_from("abc"), max_size=8).map(" ".join), max_size=5)


@pytest.mark.parametrize(
    ("hypotheses", "rate"),
    [
        (["a a b"], 100 / 3),
        (["a a a a"], 75),
        (["a b a b"], 0),
        (["a b", "b c"], 0),
        (["a a", "b c"], 25),
        ([], 0),
        ([""], 0),
    ],
)
def test_by_hand(hypotheses, rate):
    assert repeated_token_rate(hypotheses) == pytest.approx(rate)


@given(SENTENCES)
def test_within_bounds_and_none_without_neighbours(hypotheses):
    assert 0 <= repeated_token_rate(hypotheses) < 100
    assert repeated_token_rate(token for line in hypotheses for token in line.split()) == 0


def test_counts_of_each_sentence():
    assert repeated_tokens(["a a a b", "", "a b a"]) == [(2, 4), (0, 0), (0, 3)]


@given(SENTENCES)
def test_the_rate_is_that_of_the_sums(hypotheses):
    repeated, tokens = (sum(counts) for counts in zip(*[(0, 0), *repeated_tokens(hypotheses)], strict=True))
    assert repeated_token_rate(hypotheses) == pytest.approx(100 * repeated / max(tokens, 1))
