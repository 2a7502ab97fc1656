"""The prediction under Z*: what it is at each length, and that nothing is worked out twice."""

from types import SimpleNamespace

import torch
from hypothesis import given
from hypothesis import strategies as st
from tests import plain

from natlab.models.transformer import Config
from natlab.proxy.interface import Positions, Prediction

SOURCE = torch.tensor([[4, 5, 6, 2], [7, 8, 2, 1], [9, 4, 5, 2]])


def prediction_of_a_model():
    torch.manual_seed(0)
    model = plain.nat(Config(16, 32, 1, 2, 2, 0.0, 12, 12, True))
    encoded = model.encoder(SOURCE)
    return Prediction(model, encoded, encoded.memories(model.layers), 0.0, plain.method().objective)


@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6)), min_size=1, max_size=8), max_size=3))
def test_each_sentence_is_predicted_as_if_it_were_alone_whatever_was_asked_before(asked):
    prediction = prediction_of_a_model()
    model = prediction.model
    target = torch.randint(4, 12, (8, 6))
    for pairs in asked:
        rows, lengths = torch.tensor(pairs).unbind(1)
        at = prediction.at(lengths, rows)
        assert torch.equal(at.lengths, lengths)
        of_target = at.log_probs(target[: len(rows), : at.tokens.shape[1]])
        everywhere = at.log_probs_everywhere(target[: len(rows)])
        for i, (row, length) in enumerate(pairs):
            encoded = model.encoder(SOURCE[row : row + 1])
            logits = model.logits(model.decode(encoded, torch.tensor([length])))[0]
            logp = logits.log_softmax(1)
            assert torch.equal(at.tokens[i, :length], logits.argmax(1))
            torch.testing.assert_close(at.normaliser[i, :length], logits.logsumexp(1))
            own = logp[torch.arange(length), target[i, :length]]
            torch.testing.assert_close(of_target[i, :length], own, rtol=1e-4, atol=1e-4)
            assert not of_target[i, length:].any()
            torch.testing.assert_close(everywhere[i, :, :length], logp[:, target[i]].t(), rtol=1e-4, atol=1e-4)


@given(st.sets(st.integers(0, 11), min_size=1), st.booleans())
def test_among_few_words_a_prediction_bounds_their_probability(words, known):
    prediction, lengths, words = prediction_of_a_model(), torch.tensor([2, 4, 3]), torch.tensor(sorted(words))
    if known:
        prediction.at(lengths)
    at, whole = prediction.at(lengths, among=words), prediction.at(lengths)
    target = words[torch.randint(len(words), (3, 4))]
    assert (at.log_probs(target) >= whole.log_probs(target) - 1e-5).all()
    logits = (whole.states @ prediction.model.embedding.weight[words].t())[whole.inside]
    torch.testing.assert_close(at.normaliser[at.inside], logits.logsumexp(1))
    assert torch.equal(at.tokens[at.inside], words[logits.argmax(1)])


def test_targets_of_unlike_lengths_are_decoded_apart(foreseen):
    prediction = foreseen(torch.randn(300, 12, 8))
    lengths = torch.tensor([12, 2, 3]).repeat(100)
    at = prediction.at(lengths)
    assert [length for _, length in prediction.model.decoded] == 100 * [12] + 100 * [2, 3]
    assert torch.equal(at.states[at.inside], prediction.model.states[at.inside])


def test_a_sentence_at_a_length_is_decoded_once(foreseen):
    prediction = foreseen(torch.zeros(3, 6, 8))
    prediction.at(torch.tensor([2, 2, 5, 2]), torch.tensor([0, 0, 0, 2]))
    prediction.at(torch.tensor([5, 2, 3]))
    prediction.of(torch.tensor([[4, 4, 1], [4, 4, 1], [4, 4, 4]]))
    assert sorted(prediction.model.decoded) == [(0, 2), (0, 5), (1, 2), (2, 2), (2, 3)]


def test_no_gradient_flows_through():
    at = prediction_of_a_model().at(torch.tensor([2, 3, 4]))
    assert not at.states.requires_grad and not at.log_probs(torch.full((3, 4), 4)).requires_grad


def test_rounding_makes_no_probability_more_than_certain():
    """The logits are 1 and 2, the normaliser, rounded, less than the second."""
    states, model = torch.tensor([[[1.0, 2.0]]]), SimpleNamespace(embedding=SimpleNamespace(weight=torch.eye(2)))
    at = Positions(model, states, torch.tensor([[1]]), torch.tensor([[1.5]]), torch.tensor([1]))
    assert at.log_probs(torch.tensor([[1]])).tolist() == [[0]]
    assert at.log_probs_everywhere(torch.tensor([[0, 1]])).tolist() == [[[-0.5], [0]]]


def test_the_positions_of_states_are_their_likeliest_tokens_and_normalisers():
    prediction = prediction_of_a_model()
    at = prediction.at(torch.tensor([2, 4, 3]))
    again = Positions.of(prediction.model, at.states, at.lengths)
    assert torch.equal(again.tokens[again.inside], at.tokens[at.inside]) and torch.equal(again.inside, at.inside)
    torch.testing.assert_close(again.normaliser[again.inside], at.normaliser[at.inside])
    torch.testing.assert_close(again.normaliser, prediction.model.logits(at.states).logsumexp(2))
    assert not again.normaliser.requires_grad and not again.embedding.requires_grad
