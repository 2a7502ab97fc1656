"""A batch of two sentences, and a model to learn from it."""

import pytest
import torch
from tests import plain

from natlab.models.transformer import Config

CONFIG = Config(16, 32, 1, 1, 2, 0.0, 12, 12, True)


@pytest.fixture
def batch():
    """(sources [2, S], targets [2, T + 1]), of 2 and 4 target tokens."""
    return torch.tensor([[4, 5, 6, 2], [7, 8, 2, 1]]), torch.tensor([[9, 10, 2, 1, 1], [4, 5, 6, 7, 2]])


@pytest.fixture
def nat():
    torch.manual_seed(0)
    return plain.nat(CONFIG)


class Half:
    """Shows three of the batch's six tokens."""

    offers = ("revealed tokens",)

    def __call__(self, target, prediction):
        return torch.tensor([[True, False, False, False], [True, False, True, False]])


@pytest.fixture
def half():
    """How a plain NAT learns where three of the batch's six tokens are shown, its terms as asked."""

    def method(**parts):
        made = plain.method(**parts)
        made.input = Half()
        return made

    return method
