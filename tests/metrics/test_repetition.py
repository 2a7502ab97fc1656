"""Repeated tokens and n-grams by hand, and their bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.metrics.repetition import repeated_ngrams, repeated_token_rate, repeated_tokens

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


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        # a b, b a, a b, b c: the second "a b" repeats; no three words in a row do
        ("a b a b c", [(2, 5), (1, 4), (0, 3), (0, 2)]),
        ("a a a a", [(3, 4), (2, 3), (1, 2), (0, 1)]),
        ("a b c a b c a", [(4, 7), (3, 6), (2, 5), (1, 4)]),
        ("a", [(0, 1), (0, 0), (0, 0), (0, 0)]),
        ("", [(0, 0)] * 4),
    ],
)
def test_repeated_ngrams_by_hand(line, counts):
    assert [repeated_ngrams([line], n) for n in (1, 2, 3, 4)] == [[count] for count in counts]


@given(SENTENCES, st.integers(1, 4))
def test_ngrams_that_repeat_are_fewer_than_all_and_longer_ones_repeat_no_more(hypotheses, n):
    shorter, longer = repeated_ngrams(hypotheses, n), repeated_ngrams(hypotheses, n + 1)
    for line, (repeated, total), (repeated_longer, _) in zip(hypotheses, shorter, longer, strict=True):
        assert total == max(0, len(line.split()) - n + 1)
        assert repeated_longer <= repeated <= max(0, total - 1)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=8), st.integers(1, 4))
def test_a_sentence_said_twice_repeats_all_its_ngrams(words, n):
    """But those across the seam may be new."""
    ((once, total),) = repeated_ngrams([" ".join(words)], n)
    ((twice, _),) = repeated_ngrams([" ".join(words + words)], n)
    assert twice >= once + total
