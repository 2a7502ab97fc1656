"""Which translations a generated corpus allows, against the list of all of them."""

import pytest

from natlab.corpus.exact import Distribution
from natlab.metrics.allowed import allowed

AB = Distribution((((("a",), 0.5), (("b", "b"), 0.5)), ((("c",), 0.9), (("d",), 0.1))))


def test_what_is_on_the_list_and_nothing_else():
    listed = [" ".join(tokens) for tokens, _ in AB.enumerated()]
    assert sorted(listed) == ["a c", "a d", "b b c", "b b d"]
    others = ["", "a", "c", "a b c", "b c", "a c c", "A c"]
    assert allowed([*listed, *others], [AB] * 11) == [True] * 4 + [False] * 7


def test_each_is_held_against_its_own_distribution():
    only = Distribution((((("x",), 1.0),),))
    assert allowed(["x", "x"], [only, AB]) == [True, False]
    with pytest.raises(ValueError):
        allowed(["x"], [only, AB])
