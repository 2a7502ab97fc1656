"""Buckets of length: bounds by hand, and each sentence in the one it belongs to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.metrics.by_length import BUCKETS, by_length


def test_the_bounds_are_those_of_the_papers_table():
    """1 ≤ N < 10, 10 ≤ N < 20, …, 50 ≤ N (AXE, Table 8)."""
    assert by_length([1, 9, 10, 19, 20, 29, 30, 39, 40, 49, 50, 1000]) == {
        "1-9": [0, 1], "10-19": [2, 3], "20-29": [4, 5], "30-39": [6, 7], "40-49": [8, 9], "50-": [10, 11],
    }  # fmt: skip


@pytest.mark.parametrize(("lengths", "found"), [([], {}), ([0], {}), ([12, 0, 12], {"10-19": [0, 2]})])
def test_no_bucket_is_empty_and_a_target_without_tokens_is_in_none(lengths, found):
    assert by_length(lengths) == found


@given(st.lists(st.integers(0, 80), max_size=20))
def test_every_target_with_tokens_is_in_one_bucket_whose_name_says_its_bounds(lengths):
    found = by_length(lengths)
    numbers = [number for of_bucket in found.values() for number in of_bucket]
    assert sorted(numbers) == [number for number, length in enumerate(lengths) if length]
    assert list(found) == [name for name in BUCKETS if name in found]
    for name, of_bucket in found.items():
        first, _, last = name.partition("-")
        assert all(int(first) <= lengths[number] <= int(last or lengths[number]) for number in of_bucket)
