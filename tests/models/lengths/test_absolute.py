"""The target's length as itself."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from natlab import families


def built(config, **options):
    torch.manual_seed(0)
    return families.load("length", "absolute", **options).build(config)


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(1, 90)), min_size=1, max_size=5))
def test_the_length_that_training_writes_is_the_length_that_decoding_reads(config, encoded, pairs):
    """1 to the longest, whatever the source's; what lies beyond counts as the longest."""
    lengths, (sources, targets) = built(config, longest=60), zip(*pairs, strict=True)
    source = encoded(sources)
    chosen = lengths.classes(source, torch.tensor(targets))
    assert chosen.tolist() == [min(target, 60) - 1 for target in targets]
    scores = torch.nn.functional.one_hot(chosen, lengths.linear.out_features).float()
    lengths.forward = lambda source: scores
    assert lengths.likely(source, 1)[:, 0].tolist() == [min(target, 60) for target in targets]


def test_lengths_are_predicted_from_the_mean_state_of_the_sentence(config, encoded):
    lengths, source = built(config), encoded([3, 1, 0])
    together = lengths(source)
    assert together.shape == (3, 256)
    for row, states in enumerate(source.encoded):
        mean = states[: source.lengths[row]].mean(0)
        torch.testing.assert_close(together[row], lengths.linear(mean), rtol=1e-4, atol=1e-5)


def test_the_likeliest_come_first(config, encoded):
    lengths = built(config, longest=5)
    lengths.forward = lambda source: torch.tensor([[0.0, 4.0, 1.0, 3.0, 2.0]])
    assert lengths.likely(encoded([8]), 3).tolist() == [[2, 4, 5]]
