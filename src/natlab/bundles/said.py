"""What a model says of a source."""

from typing import NamedTuple


class Said(NamedTuple):
    """A target.

    tokens: its numbers, without its end.
    score: the mean log-probability, in nats, of what was chosen: of a canvas its positions, of a graph the tokens on
    its path, of an autoregressive model the tokens and the end.
    positions: of the canvas it was read from, or as many as it has tokens.
    others: of a graph whose decoding weighs several paths, what the next best ones say, the best first.
    """

    tokens: list[int]
    score: float
    positions: int
    others: tuple[list[int], ...] = ()
