"""L_AL, equations 16 to 18 of AEQA-NAT, on numbers that can be worked out by hand."""

import pytest
import torch
from tests import plain

from natlab.losses.batch import Method, batch_loss
from natlab.losses.interface import Encoded
from natlab.losses.terms.commitment import Commitment
from natlab.losses.terms.sentence_codes import SentenceCodes
from natlab.models.multilingual import MultilingualEncoder
from natlab.models.transformer import Config, Source

CONFIG = Config(2, 4, 1, 1, 1, 0.0, 12, 13, False, learned_positions=5)
SOURCE = torch.tensor([[4, 5, 6, 2], [7, 8, 2, 1]])
TARGET = torch.tensor([[9, 10, 2, 1, 1], [4, 5, 6, 7, 2]])


def side(states, lengths):
    """States [B, S, 2] of sentences of ``lengths``, eos counted."""
    lengths = torch.tensor(lengths)
    padding = torch.arange(states.shape[1]) >= lengths[:, None]
    return Source(None, None, states, padding, None, lengths)


@pytest.fixture
def batch():
    """A source of the words (0, 1) and (3, 0), a target of the word (4, 2), each with eos, which is far off; the codes
    are (0, 0) and (4, 0)."""
    model = MultilingualEncoder(CONFIG, {"name": "moving", "size": 2})
    model.codebook.vectors.copy_(torch.tensor([[0.0, 0], [4, 0]]))
    source = torch.tensor([[[0.0, 1], [3, 0], [99, 99]]], requires_grad=True)
    target = torch.tensor([[[4.0, 2], [99, 99]]], requires_grad=True)
    return Encoded(model, side(source, [3]), torch.tensor([[9]]), torch.tensor([1]), side(target, [2]))


def test_by_hand(batch):
    """Mean codes are (2, 0) of the source and (4, 0) of the target: the squares over dimensions have the mean 2. The
    words are (0, 1) and (-1, 0) off their codes: 1/2 each."""
    aligned, near = SentenceCodes()(batch), Commitment()(batch)
    assert aligned.loss == 2.0 and near.loss == 0.5
    [distance] = aligned.values.values()
    assert distance.unit == "distance" and distance.sums.tolist() == [2.0] and distance.counts.tolist() == [1]


def test_gradients_by_hand_and_none_to_the_target_or_the_codes(batch):
    """d/dh of ((2 - 4)² + 0) / 2 by the mean of two words: (-2 / 2, 0) each; of (h - e)² / 2 / 2 words: (h - e) / 2."""
    source, target = batch.source.encoded, batch.encoded_target.encoded
    SentenceCodes()(batch).loss.backward(retain_graph=True)
    assert source.grad.tolist() == [[[-1, 0], [-1, 0], [0, 0]]] and target.grad is None
    source.grad = None
    Commitment()(batch).loss.backward()
    assert source.grad.tolist() == [[[0, 0.5], [-0.5, 0], [0, 0]]]
    assert not batch.model.codebook.vectors.requires_grad


def test_equation_17_as_printed_has_no_gradient(batch):
    """z_q(h) is the code that is nearest to h: near h it is constant, so a small step of h leaves the printed loss as
    it is, though what stands for its gradient (straight-through) is not 0."""
    codebook, source, target = batch.model.codebook, batch.source, batch.encoded_target

    def printed(states):
        chosen = codebook.vectors[codebook.nearest(states)]
        weights = source.words / source.words.sum(1, keepdim=True)
        with torch.no_grad():
            wanted = codebook.mean(target.encoded, target.words)
        return ((chosen * weights[:, :, None]).sum(1) - wanted).square().mean()

    states = source.encoded
    assert not printed(states).requires_grad
    steps = [states + 1e-2 * torch.randn(states.shape) for _ in range(20)]
    assert {printed(step).item() for step in steps} == {printed(states).item()} == {2.0}
    (straight,) = torch.autograd.grad(SentenceCodes()(batch).loss, states)
    assert straight.abs().sum() > 0


def test_a_batchs_loss_is_the_sum_of_its_weighted_parts():
    """L_AL weighs equation 18 by 0.5; with denoising each by the share of its predictions in the target's tokens."""
    torch.manual_seed(0)
    model = MultilingualEncoder(CONFIG, {"name": "moving", "size": 3}).eval()
    method = Method.of(plain.multilingual({"name": "moving", "size": 3}, plain.L_AL))
    torch.manual_seed(1)
    found = batch_loss(model, SOURCE, TARGET, method, 0.0)
    aligned, near = (found.values[name] for name in ("sentence_codes", "commitment"))
    means = [aligned.sums.sum(), (near.sums / near.counts.clamp(min=1) * found.tokens).sum()]
    share = found.predicted.sum() / 6
    expected = found.values["nll"].sums.sum() + share * (means[0] + 0.5 * means[1])
    torch.testing.assert_close(found.loss, expected)


def test_codes_learn_from_the_words_of_both_sides_in_training_alone():
    torch.manual_seed(0)
    model = MultilingualEncoder(CONFIG, {"name": "moving", "size": 3, "restart": 0.0})
    method = Method.of(plain.multilingual({"name": "moving", "size": 3}, plain.L_AL))
    batch_loss(model.eval(), SOURCE, TARGET, method, 0.0)
    with torch.no_grad():
        batch_loss(model.train(), SOURCE, TARGET, method, 0.0)
    averages = model.codebook.averages
    assert not averages.counts.any()
    averages.counts += 1.0  # not the first batch, which places the codes
    sums, before = averages.sums.clone(), averages.counts.clone()
    batch_loss(model, SOURCE, TARGET, method, 0.0)
    learned = (averages.counts - 0.99 * before).sum() / 0.01
    torch.testing.assert_close(learned, torch.tensor(5.0 + 6.0), rtol=1e-3, atol=1e-3)  # eos is no word
    found = (averages.sums - 0.99 * sums).sum(0) / 0.01
    ended = TARGET[:, :-1].masked_fill(TARGET[:, :-1].eq(2), 1)
    both = [model.encode_source(SOURCE), model.encode_target(ended)]
    torch.testing.assert_close(found, sum(of.encoded[of.words].sum(0) for of in both).detach(), rtol=1e-3, atol=1e-3)
