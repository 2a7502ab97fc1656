"""Buckets of length: bounds by hand, and each sentence in the one it belongs to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.metrics.by_length import BUCKETS, by_length


def test_the_bounds_are_those_of_the_papers_table():
    """1 ≤ N < 10, 10 ≤ N < 20, …, 50 ≤ N (AXE, Table 8)."""
    assert by_length([1, 9, 10, 19, 20, 29, 30, 39, 40, 49, 50, 1000], 1) == {
        "1-9": [0, 1], "10-19": [2, 3], "20-29": [4, 5], "30-39": [6, 7], "40-49": [8, 9], "50-": [10, 11],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lengths", "least", "found"),
    [
        ([], 1, {}), ([0], 1, {}), ([12, 0, 12], 1, {"10-19": [0, 2]}), ([12, 0, 12], 2, {"10-19": [0, 2]}),
        ([12, 1, 12], 2, {"10-19": [0, 2]}), ([12, 0, 12], 3, {}),
    ],
)  # fmt: skip
def test_no_bucket_has_too_few_and_a_target_without_tokens_is_in_none(lengths, least, found):
    assert by_length(lengths, least) == found


def test_nine_sentences_are_too_few():
    assert by_length([5] * 9 + [15] * 10) == {"10-19": list(range(9, 19))}


@given(st.lists(st.integers(0, 80), max_size=20))
def test_every_target_with_tokens_is_in_one_bucket_whose_name_says_its_bounds(lengths):
    found = by_length(lengths, 1)
    numbers = [number for of_bucket in found.values() for number in of_bucket]
    assert sorted(numbers) == [number for number, length in enumerate(lengths) if length]
    assert list(found) == [name for name in BUCKETS if name in found]
    for name, of_bucket in found.items():
        first, _, last = name.partition("-")
        assert all(int(first) <= lengths[number] <= int(last or lengths[number]) for number in of_bucket)
