"""Models that a command line names beside a decoding's own."""

from natlab.measuring.beside import beside


def test_models_beside_are_named_once_each():
    assert beside(["a=b.pt", "c=d=e.pt"]) == {"a": "b.pt", "c": "d=e.pt"}
    assert beside([]) == {}
