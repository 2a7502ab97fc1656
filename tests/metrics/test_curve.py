"""A training's curve at shares of it."""

from hypothesis import given
from hypothesis import strategies as st

from natlab.metrics.curve import PERCENTS, at_shares


def line(update, subset="valid", **values):
    return {"subset": subset, "num_updates": update, **values}


def test_it_is_the_last_validation_until_then():
    curve = [line(0, bleu=1.0), line(4, bleu=2.0), line(6, "train", bleu=9.0), line(8, bleu=3.0), line(10, bleu=4.0)]
    found = {name: value["value"] for name, value in at_shares(curve).items()}
    expected = {0: 1.0, 40: 2.0, 50: 2.0, 60: 2.0, 70: 2.0, 80: 3.0, 90: 3.0, 100: 4.0}
    assert found == {f"bleu/{percent}": value for percent, value in expected.items()}


def test_a_training_from_nothing_begins_with_its_first_validation():
    found = at_shares([line(5, nll_loss=2.0, impossible_share=0.5, lr=0.1), line(10, nll_loss=1.0)])
    assert found["nll_loss/50"] == {"value": 2.0, "unit": "bits/token", "update": 5}
    assert found["impossible_share/50"]["unit"] == "" and "impossible_share/100" not in found
    assert {name for name in found if name.endswith(("/0", "/10", "/40"))} == set()
    assert at_shares([]) == {}


@given(st.lists(st.integers(1, 1000), min_size=1, unique=True).map(sorted))
def test_every_value_is_one_of_the_curve_and_none_comes_before_its_time(updates):
    found = at_shares([line(update, score=float(update)) for update in updates])
    for percent in PERCENTS:
        until = [update for update in updates if update / updates[-1] <= percent / 100 + 1e-12]
        expected = until[-1] if until else None
        assert found.get(f"score/{percent}", {"value": None})["value"] == expected
