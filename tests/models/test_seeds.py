"""Seeds that are a sentence's own."""

import zlib

import pytest
import torch

from natlab.models.seeds import of_sentences


def test_a_seed_is_of_the_sentences_tokens_and_the_seed_given():
    tokens, lengths = torch.tensor([[4, 5, 6, 2], [7, 2, 1, 1], [4, 5, 6, 2]]), torch.tensor([4, 2, 4])
    first, second, third = of_sentences(tokens, lengths, 9)
    assert first == third == zlib.crc32(torch.tensor([4, 5, 6, 2]).numpy().tobytes(), 9) != second
    assert [second] == of_sentences(tokens[1:2, :2], lengths[1:2], 9) != of_sentences(tokens[1:2], lengths[1:2], 8)
    assert 0 <= min(first, second) and max(first, second) < 2**32
    with pytest.raises(ValueError, match="shorter|longer"):
        of_sentences(tokens, lengths[:2], 9)
