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


def mixed(x):
    """SplitMix64's finaliser as printed (Steele et al. 2014, figure 16), in 64 bits without a sign."""
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
    return x ^ x >> 31


def test_numbers_are_splitmix64s():
    """The first of its published sequence from seed 1234567; a sentence starts one of the sum of its words', a word
    being one, from the token, as far on as its place."""
    golden = 0x9E3779B97F4A7C15
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [mixed((1234567 + n * golden) % 2**64) for n in (1, 2, 3)] == published
    found = of_sentences(TOKENS[1:2], LENGTHS[1:2], 3, 11)
    words = sum(mixed((token + n * golden) % 2**64) for n, token in enumerate((7, 2), 1))
    sentence = mixed((words + 11) % 2**64)
    expected = [(mixed((sentence + n * golden) % 2**64) >> 11) / 2**53 for n in (1, 2, 3)]
    assert found[0].tolist() == expected


def test_numbers_are_even():
    """20,000 of 1,000 sentences in ten parts: chi-square with 9 degrees of freedom, below its 99.9 % quantile."""
    tokens = torch.arange(4, 4 + 5000).view(1000, 5)
    found = of_sentences(tokens, torch.full((1000,), 5), 20, 7)
    assert found.min() >= 0 and found.max() < 1
    counts = torch.histc(found, 10, 0, 1)
    assert float(((counts - 2000) ** 2 / 2000).sum()) < 27.9
    assert abs(torch.corrcoef(torch.stack([found[:, 0], found[:, 1]]))[0, 1]) < 0.12
