"""A uniform copy of the source."""

from fractions import Fraction

import torch
from hypothesis import given
from hypothesis import strategies as st

from natlab.models.fills.copy import uniform_copy


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5))
def test_uniform_copy_takes_the_nearest_source_token(source, target, more):
    """round(t (S - 1) / (T - 1)) of S source tokens, position t of T; halfway either of the two."""
    found = uniform_copy(torch.tensor([source]), torch.tensor([target]), target + more)[0].tolist()
    assert len(found) == target + more and max(found) <= source - 1
    for t, at in enumerate(found[:target]):
        exactly = Fraction(t * (source - 1), max(1, target - 1))
        assert abs(at - exactly) <= Fraction(1, 2)


@given(st.integers(1, 30), st.integers(1, 30))
def test_uniform_copy_is_monotone_and_reaches_both_ends(source, target):
    at = uniform_copy(torch.tensor([source]), torch.tensor([target]), target + 2)[0, :target].tolist()
    assert at[0] == 0 and (target == 1 or at[-1] == source - 1)
    assert at == sorted(at)
    if source == target:
        assert at == list(range(source))
