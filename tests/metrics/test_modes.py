from natlab.corpus.exact import Distribution
from natlab.metrics import modes

HOUSE = Distribution(([(("ein", "haus"), 0.5), (("das", "haus"), 0.3), (("ein", "heim"), 0.2)],))
MAN = Distribution(([(("mann",), 1.0)],))


def test_each_target_that_is_reached_counts_once_with_its_probability():
    found = modes.reached([["das haus", "das heim", "ein heim", "das haus"], ["frau"]], [HOUSE, MAN])
    assert found["modes"] == {"value": 1, "unit": "targets", "by_sentence": [2, 0]}
    assert found["modes_mass"] == {"value": 25, "unit": "%", "by_sentence": [50, 0]}
