"""Auxiliary models as a command line names them."""

from natlab.measuring.auxiliary import auxiliary


def test_models_beside_are_named_once_each():
    assert auxiliary(["a=b.pt", "c=d=e.pt"]) == {"a": "b.pt", "c": "d=e.pt"}
    assert auxiliary([]) == {}
