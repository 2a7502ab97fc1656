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
    """A function: sources of so many tokens, eos not counted, with states at random, of the sentence too if asked."""

    def sources(tokens, dim=16, summary=False):
        lengths = torch.tensor(tokens) + 1
        padding = torch.arange(int(lengths.max())) >= lengths[:, None]
        encoded, of_all = torch.randn(*padding.shape, dim), torch.randn(len(tokens), dim) if summary else None
        return SimpleNamespace(lengths=lengths, padding=padding, encoded=encoded, summary=of_all)

    return sources
