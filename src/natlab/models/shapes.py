"""Sizes that follow from data. On a GPU the device has to be asked for them, which nothing may do that is captured as a
CUDA graph (`natlab.decoding.captured`): there they are fixed beforehand."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

_width: ContextVar[int | None] = ContextVar("width", default=None)


def longest(lengths: Tensor) -> int:
    """The greatest of the canvas' lengths [B], or the width that is fixed."""
    fixed_one = _width.get()
    return int(lengths.max()) if fixed_one is None else fixed_one


def any_padded(padding: Tensor) -> bool:
    """Whether ``padding`` [B, L] may hold: where sizes are fixed, always."""
    return _width.get() is not None or bool(padding.any())


@contextmanager
def fixed(width: int) -> Iterator[None]:
    """Within it all canvases are ``width`` positions wide, whatever their lengths, and nothing is asked of the device.
    The caller sees to it that none is longer."""
    token = _width.set(width)
    try:
        yield
    finally:
        _width.reset(token)
