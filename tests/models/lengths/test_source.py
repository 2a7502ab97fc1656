"""The source's length times a factor."""

import pytest

from natlab import families


@pytest.mark.parametrize(
    "factor, expected", [(2, [8, 4, 2]), (1.5, [6, 3, 2]), (0.3, [1, 1, 1]), (1.25, [5, 3, 1]), (0.1, [1, 1, 1])]
)
def test_as_many_positions_as_the_factor_says_rounded_half_up_and_at_least_one(config, encoded, factor, expected):
    """Sources of 3, 1 and 0 tokens, and eos."""
    lengths = families.load("length", "source", factor=factor).build(config)
    source = encoded([3, 1, 0])
    assert lengths.likely(source, 1).tolist() == [[length] for length in expected]
    assert lengths.likely(source, 3).tolist() == [[length] * 3 for length in expected]


def test_nothing_is_predicted(config, encoded):
    lengths = families.load("length", "source", factor=2.0).build(config)
    assert lengths(encoded([3])) is None and list(lengths.parameters()) == []
    assert not families.trait("length", "source", "predicted")
