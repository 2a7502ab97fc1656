"""Positions drawn by chance."""

import torch

from natlab.models.draws import of_sentences, smallest

TOKENS = torch.tensor([[4, 5, 6, 2], [7, 2, 1, 1], [4, 5, 6, 2]])
LENGTHS = torch.tensor([4, 2, 4])


def test_the_smallest_of_those_inside_are_taken():
    chance = torch.tensor([[0.4, 0.1, 0.3, 0.0], [0.9, 0.2, 0.5, 0.1]])
    inside = torch.tensor([[True, True, True, False], [True, True, False, False]])
    found = smallest(chance, inside, torch.tensor([2, 1]))
    assert found.tolist() == [[False, True, True, False], [False, True, False, False]]


def test_a_sentence_has_its_own_numbers_in_any_batch():
    """Of equal sentences they are equal, at any padding and width; of other sentences, positions and seeds others."""
    found = of_sentences(TOKENS, LENGTHS, 6, 1)
    assert torch.equal(found[0], found[2])
    alone = of_sentences(TOKENS[1:2, :2], LENGTHS[1:2], 3, 1)
    assert torch.equal(alone, found[1:2, :3])
    assert len({*found[:2].flatten().tolist(), *of_sentences(TOKENS[:2], LENGTHS[:2], 6, 2).flatten().tolist()}) == 24


def test_order_of_words_counts():
    swapped = torch.tensor([[5, 4, 6, 2]])
    assert not torch.equal(of_sentences(swapped, LENGTHS[:1], 4, 1), of_sentences(TOKENS[:1], LENGTHS[:1], 4, 1))


def test_numbers_are_even():
    """20,000 of 1,000 sentences in ten parts: chi-square with 9 degrees of freedom, below its 99.9 % quantile."""
    tokens = torch.arange(4, 4 + 5000).view(1000, 5)
    found = of_sentences(tokens, torch.full((1000,), 5), 20, 7)
    assert found.min() >= 0 and found.max() < 1
    counts = torch.histc(found, 10, 0, 1)
    assert float(((counts - 2000) ** 2 / 2000).sum()) < 27.9
    assert abs(torch.corrcoef(torch.stack([found[:, 0], found[:, 1]]))[0, 1]) < 0.12
