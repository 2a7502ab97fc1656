"""The best that members of a family could do, on sentences of which it can be worked out."""

from functools import partial

import pytest
import torch

from benchmarks import families
from natlab.kernels import use

TWO = {("ein", "haus"): 0.5, ("das", "heim"): 0.5}


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    monkeypatch.setattr(families, "STARTS", 3)
    monkeypatch.setattr(families, "STEPS", 60)
    with use("reference"):
        yield


def test_a_graph_has_a_vertex_for_each_word_and_what_can_follow_it():
    assert families.vertices(TWO) == 6
    # "haus" can follow both, and "." all three; "das" before either noun is another than before one
    more = {("ein", "haus", "."): 0.5, ("das", "haus", "."): 0.25, ("das", "heim", "."): 0.25}
    assert families.vertices(more) == 2 + 2 + 2 + 1
    assert families.vertices({("a",): 0.5, ("a", "b"): 0.5}) == 4


def test_words_that_say_each_other_cost_a_bit_where_each_has_a_position_and_none_where_each_mode_has_a_path():
    p, family = torch.tensor([0.5, 0.5], dtype=torch.double), families.Family(list(TWO))
    for vertices, least in ((4, 1.0), (6, 0.0)):
        found = families.least(p, partial(family.graph, vertices), family.graph_log_q)
        assert found == pytest.approx(least, abs=1e-3)
    # a canvas of two positions and one of three, of which one is ε: a mode each
    assert families.least(p, partial(family.blanks, 1), family.blanks_log_q) == pytest.approx(0, abs=1e-3)
    assert families.least(p, partial(family.ctc, 2), family.ctc_log_q) == pytest.approx(1, abs=1e-3)
