"""Decodings are tested without a build of the kernels."""

import pytest

from natlab.kernels import use


@pytest.fixture(autouse=True)
def _kernels():
    with use("reference"):
        yield
