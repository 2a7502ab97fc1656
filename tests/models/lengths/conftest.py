"""Sources that have been encoded, or only their lengths."""

from types import SimpleNamespace

import pytest
import torch

from natlab.models.transformer import Config


@pytest.fixture(scope="session")
def config():
    return Config(16, 32, 1, 1, 2, 0.0, 12, 12, True)


@pytest.fixture(scope="session")
def encoded():
    """A function: sources of so many tokens, eos not counted, with states at random."""

    def sources(tokens, dim=16):
        lengths = torch.tensor(tokens) + 1
        padding = torch.arange(int(lengths.max())) >= lengths[:, None]
        return SimpleNamespace(lengths=lengths, padding=padding, encoded=torch.randn(*padding.shape, dim), summary=None)

    return sources
