"""Positions drawn by chance: from a sentence's own random numbers, whatever batch it is in, or from any."""

import torch
from torch import Tensor

GOLDEN = -7046029254386353131  # 2^64 over the golden ratio, as a signed number


def smallest(chance: Tensor, inside: Tensor, count: Tensor) -> Tensor:
    """Bool [B, T]: the ``count`` [B] positions of each row that are ``inside`` [B, T] and have the smallest chance."""
    rank = chance.masked_fill(~inside, torch.inf).argsort(1).argsort(1)
    return rank < count[:, None]


def of_sentences(tokens: Tensor, lengths: Tensor, width: int, seed: int) -> Tensor:
    """Random numbers [B, width] from 0 to 1, float64, of each sentence: the first ``lengths`` [B] of ``tokens`` [B, S].
    They follow from these and ``seed`` alone, by SplitMix64 (Steele et al. 2014), on the device where the tokens
    are."""
    places = torch.arange(max(tokens.shape[1], width), device=tokens.device)
    inside = places[: tokens.shape[1]] < lengths[:, None]
    words = _mixed(tokens + (places[: tokens.shape[1]] + 1) * GOLDEN) * inside
    sentence = _mixed(words.sum(1) + seed)  # [B]
    bits = _mixed(sentence[:, None] + (places[:width] + 1) * GOLDEN)
    return (bits >> 11 & (1 << 53) - 1).double() / 2**53


def _mixed(x: Tensor) -> Tensor:
    """SplitMix64's finaliser of int64 numbers, whose products wrap; its shifts bring in zeros."""
    x = (x ^ (x >> 30 & (1 << 34) - 1)) * -4658895280553007687
    x = (x ^ (x >> 27 & (1 << 37) - 1)) * -7723592293110705685
    return x ^ (x >> 31 & (1 << 33) - 1)
