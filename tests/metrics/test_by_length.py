"""Buckets of length: bounds by hand, and each sentence in the one it belongs to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.metrics.by_length import PAIRS, TENS, by_length


def test_the_bounds_are_those_of_the_papers_table():
    """1 ≤ N < 10, 10 ≤ N < 20, …, 50 ≤ N (AXE, Table 8)."""
    found = by_length([1, 9, 10, 19, 20, 29, 30, 39, 40, 49, 50, 1000], 1)
    assert {name: found[name] for name in TENS} == {
        "1-9": [0, 1], "10-19": [2, 3], "20-29": [4, 5], "30-39": [6, 7], "40-49": [8, 9], "50-": [10, 11],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lengths", "least", "found"),
    [
        ([], 1, {}), ([0], 1, {}), ([22, 0, 22], 1, {"20-29": [0, 2]}), ([22, 0, 22], 2, {"20-29": [0, 2]}),
        ([22, 1, 22], 2, {"20-29": [0, 2]}), ([22, 0, 22], 3, {}), ([11, 12], 2, {"10-19": [0, 1], "11-12": [0, 1]}),
    ],
)  # fmt: skip
def test_no_bucket_has_too_few_and_a_target_without_tokens_is_in_none(lengths, least, found):
    assert by_length(lengths, least) == found


def test_nine_sentences_are_too_few():
    assert by_length([5] * 9 + [25] * 10) == {"20-29": list(range(9, 19))}


@given(st.lists(st.integers(0, 80), max_size=20))
def test_every_target_with_tokens_is_in_one_bucket_whose_name_says_its_bounds(lengths):
    """And, of up to 20 tokens, in one of two lengths."""
    found = by_length(lengths, 1)
    for buckets, longest in ((TENS, 80), (PAIRS, 20)):
        numbers = [number for name in buckets for number in found.get(name, ())]
        assert sorted(numbers) == [number for number, length in enumerate(lengths) if 0 < length <= longest]
    assert list(found) == [name for name in TENS | PAIRS if name in found]
    for name, of_bucket in found.items():
        first, _, last = name.partition("-")
        assert all(int(first) <= lengths[number] <= int(last or lengths[number]) for number in of_bucket)
