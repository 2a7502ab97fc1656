"""Seeds of random numbers that are a sentence's own, whatever batch it is in."""

import zlib

from torch import Tensor


def of_sentences(tokens: Tensor, lengths: Tensor, seed: int) -> list[int]:
    """A seed of 32 bits for each sentence, from ``seed`` and its tokens: of ``tokens`` [B, S] the first ``lengths``."""
    rows = zip(tokens.cpu(), lengths.tolist(), strict=True)
    return [zlib.crc32(row[:length].numpy().tobytes(), seed) for row, length in rows]
