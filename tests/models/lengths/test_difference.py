"""The target's length as a difference from the source's."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from natlab import families


def built(config):
    torch.manual_seed(0)
    return families.load("length", "difference").build(config)


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=5))
def test_the_length_that_training_writes_is_the_length_that_decoding_reads(config, encoded, pairs):
    """Its class says target length less source length, -128 to 127; what lies beyond counts as the outermost."""
    lengths, (sources, targets) = built(config), zip(*pairs, strict=True)
    source = encoded(sources)
    chosen = lengths.classes(source, torch.tensor(targets))
    scores = torch.nn.functional.one_hot(chosen, lengths.linear.out_features).float()
    assert scores.shape[1] == 256
    lengths.forward = lambda source: scores
    read = lengths.likely(source, 1)[:, 0]
    assert read.tolist() == [max(1, source + min(max(target - source, -128), 127)) for source, target in pairs]


def test_lengths_are_predicted_from_the_mean_state_of_the_sentence(config, encoded):
    lengths, source = built(config), encoded([3, 1, 0])
    together = lengths(source)
    assert together.shape == (3, 256)
    for row, states in enumerate(source.encoded):
        mean = states[: source.lengths[row]].mean(0)
        torch.testing.assert_close(together[row], lengths.linear(mean), rtol=1e-4, atol=1e-5)


def test_the_likeliest_come_first(config, encoded):
    lengths, scores = built(config), torch.full((1, 256), -9.0)
    scores[0, 128 + 2], scores[0, 128 - 20], scores[0, 128] = 3.0, 2.0, 1.0
    lengths.forward = lambda source: scores
    assert lengths.likely(encoded([8]), 3).tolist() == [[10, 1, 8]]
