"""Noise on the decoder's input."""

import torch
from tests import plain

from natlab.models import noisy
from natlab.models.transformer import Config

LENGTHS, SEEDS = torch.tensor([3, 2]), [[1, 2, 3], [4, 5, 6]]


def model():
    """Without decoder layers: its states are the canvas itself, with its positions."""
    torch.manual_seed(0)
    return plain.nat(Config(16, 32, 1, 0, 2, 0.0, 12, 12, True)).eval()


def added(net, sigma, sources, lengths, seeds):
    """What is added [B K, T, d] to the canvases of plain decoding."""
    source = net.encoder(sources)
    plainly = net.decode(source.repeated(len(seeds[0])), lengths.repeat_interleave(len(seeds[0])))
    return noisy.states(net, source, lengths, sigma, seeds) - plainly


def test_each_target_has_noise_of_its_own_seed_on_its_own_canvas():
    net, sources = model(), torch.tensor([[4, 5, 6, 2], [7, 8, 2, 1]])
    found = added(net, 0.5, sources, LENGTHS, SEEDS).view(2, 3, 3, 16)
    assert not found[1, :, 2].any(), "beyond the canvas"
    for b, length in enumerate([3, 2]):
        for k in range(3):
            drawn = torch.randn(length, 16, generator=torch.Generator().manual_seed(SEEDS[b][k]))
            torch.testing.assert_close(found[b, k, :length], 0.5 * drawn, rtol=0, atol=1e-5)
    alone = added(net, 0.5, sources[1:, :3], LENGTHS[1:], SEEDS[1:])
    torch.testing.assert_close(alone, found[1, :, :2])
    assert not added(net, 0.0, sources, LENGTHS, SEEDS).any()
