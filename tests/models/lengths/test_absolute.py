"""The target's length as itself."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from natlab import families
from natlab.models.nat import NonAutoregressiveTransformer


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


def test_cmlm_reads_it_off_the_state_of_a_vector_before_the_source_which_the_decoder_does_not_see(config):
    torch.manual_seed(0)
    model = NonAutoregressiveTransformer(config, {"name": "absolute"}, {"name": "mask"}).eval()
    whole = model.encoder(torch.tensor([[4, 5, 6, 2], [7, 8, 2, 1]]))
    assert whole.encoded.shape[:2] == (2, 4) and whole.lengths.tolist() == [4, 3]
    torch.testing.assert_close(model.lengths(whole), model.lengths.linear(whole.summary))
    alone = model.encoder(torch.tensor([[7, 8, 2]]))  # neither depends on padding
    torch.testing.assert_close(whole.summary[1:], alone.summary)
    torch.testing.assert_close(whole.encoded[1:, :3], alone.encoded)
    assert whole.repeated(2).summary.shape[0] == 4
    mean = NonAutoregressiveTransformer(config, {"name": "absolute", "read": "mean"}, {"name": "mask"})
    assert mean.encoder(torch.tensor([[4, 2]])).summary is None
