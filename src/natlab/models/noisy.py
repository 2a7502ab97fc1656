"""Diverse targets of a vanilla NAT: Gaussian noise on the decoder's input (CoDAT, An et al. 2023, section 3.3)."""

import torch
from torch import Tensor

from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.transformer import Source


def states(
    model: NonAutoregressiveTransformer, source: Source, lengths: Tensor, sigma: float, seeds: list[list[int]]
) -> Tensor:
    """Decoder states [B K, T, d] of B sources, K times each, on canvases of ``lengths`` [B], T the longest, to each of
    which noise from N(0, sigma²) is added, drawn from its own of ``seeds`` [B][K].

    The paper names neither sigma nor the place more closely than "the word embedding layer". Embeddings here have a
    standard deviation of 1 or so at each dimension.
    """
    dim, count, width = model.config.d_model, len(seeds[0]), int(lengths.max())
    noise = torch.zeros(len(lengths) * count, width, dim)
    for row, (seed, length) in enumerate(
        (seed, length) for own, length in zip(seeds, lengths.tolist(), strict=True) for seed in own
    ):
        noise[row, :length] = torch.randn(length, dim, generator=torch.Generator().manual_seed(seed))
    noise = (sigma * noise).to(source.embedded)
    return model.decode(source.repeated(count), lengths.repeat_interleave(count), noise=noise)
