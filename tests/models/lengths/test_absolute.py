"""The target's length as itself."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from tests import plain

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


def test_lengths_are_predicted_from_the_state_before_the_sentence(config, encoded):
    lengths, source = built(config), encoded([3, 1, 0], summary=True)
    torch.testing.assert_close(lengths(source), lengths.linear(source.summary))
    in_bfloat16 = encoded([3, 1, 0], summary=True)
    in_bfloat16.summary = source.summary.bfloat16()
    assert lengths(in_bfloat16).dtype == torch.float32
    torch.testing.assert_close(lengths(in_bfloat16), lengths(source), rtol=0.05, atol=0.05)


def test_the_vector_before_the_sentence_is_read_by_the_encoder_and_its_state_by_the_lengths_alone(config):
    """The first of the encoder's states is the summary, what the decoder sees are the others, one a token; only with
    ``read`` token is there such a vector."""
    torch.manual_seed(0)
    tokens = torch.tensor([[4, 5, 6, 2], [7, 2, 1, 1]])
    model = plain.nat(config, lengths="absolute").eval()
    source = model.encoder(tokens)
    assert source.summary.shape == (2, 16) and source.encoded.shape == (2, 4, 16) and source.lengths.tolist() == [4, 2]
    alone = model.encoder(tokens[1:, :2])
    torch.testing.assert_close(alone.summary, source.summary[1:], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(alone.encoded, source.encoded[1:, :2], rtol=1e-4, atol=1e-5)
    x = model.encoder.embedding.scaled(tokens[:1]) + model.encoder.positions(0, 4)
    x = torch.cat([model.encoder.summary.expand(1, 1, -1), x], 1)
    for layer in model.encoder.layers:
        x = layer(x, None)
    torch.testing.assert_close(source.summary[:1], x[:, 0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(source.encoded[:1], x[:, 1:], rtol=1e-4, atol=1e-5)
    model.lengths(source).logsumexp(1).sum().backward()
    assert model.encoder.summary.grad.any()
    assert torch.equal(source.repeated(2).summary, source.summary.repeat_interleave(2, 0))
    for lengths in ("difference", {"name": "absolute", "read": "mean"}):
        other = plain.nat(config, lengths=lengths)
        assert other.encoder.summary is None and other.encoder(tokens).summary is None


def test_lengths_may_be_predicted_from_the_mean_state_of_the_sentence(config, encoded):
    lengths, source = built(config, read="mean"), encoded([3, 1, 0])
    together = lengths(source)
    assert together.shape == (3, 256)
    for row, states in enumerate(source.encoded):
        mean = states[: source.lengths[row]].mean(0)
        torch.testing.assert_close(together[row], lengths.linear(mean), rtol=1e-4, atol=1e-5)


def test_the_likeliest_come_first(config, encoded):
    lengths = built(config, longest=5)
    lengths.forward = lambda source: torch.tensor([[0.0, 4.0, 1.0, 3.0, 2.0]])
    assert lengths.likely(encoded([8]), 3).tolist() == [[2, 4, 5]]
