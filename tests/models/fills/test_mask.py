"""One learned vector everywhere."""

import torch

from natlab import families
from natlab.models.transformer import Config

CONFIG = Config(16, 32, 1, 1, 2, 0.0, 12, 12, True)


def test_the_same_vector_stands_at_all_positions_and_learns_from_each():
    fill = families.load("fill", "mask").build(CONFIG)
    found = fill(None, torch.tensor([2, 5, 1]))
    assert found.shape == (3, 5, 16)
    assert torch.equal(found, fill.vector.expand(3, 5, 16)) and fill.vector.std() > 0.5
    found[:, :2].sum().backward()
    assert torch.equal(fill.vector.grad, torch.full((16,), 6.0))
