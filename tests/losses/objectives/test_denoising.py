"""Masked language modelling of both sides."""

import pytest
import torch
from tests import plain

from natlab.losses.batch import NLL, Method, batch_loss
from natlab.losses.objectives import denoising
from natlab.models.multilingual import MultilingualEncoder
from natlab.models.transformer import Config, Source

SOURCE = torch.tensor([[4, 5, 6, 2], [7, 8, 2, 1]])
TARGET = torch.tensor([[9, 10, 2, 1, 1], [4, 5, 6, 7, 2]])


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MultilingualEncoder(Config(16, 32, 1, 1, 2, 0.0, 12, 13, False)).eval()


def loss(model, **options):
    torch.manual_seed(3)
    return batch_loss(model, SOURCE, TARGET, Method.of(plain.multilingual(**options)), 0.0)


def test_a_share_of_the_words_of_both_sides_is_predicted_one_at_least(model):
    few, half = loss(model, masked=0.01), loss(model, masked=0.5)
    assert few.predicted.tolist() == [2, 2] and few.tokens.tolist() == [2, 4]
    assert half.predicted.tolist() == [2 + 1, 1 + 2]  # of 3 and 2, of 2 and 4; 1.5 is rounded to 2
    assert half.values[NLL].counts.tolist() == [3, 3]
    torch.testing.assert_close(half.loss, half.values[NLL].sums.sum())


def test_all_words_masked_cost_what_the_tied_output_layers_say(model, monkeypatch):
    monkeypatch.setattr(denoising, "KEPT", 0.0)
    monkeypatch.setattr(denoising, "REPLACED", 0.0)
    found = loss(model, masked=0.999, given=None)  # of 4 words 4
    expected = torch.zeros(2)
    for tokens, embedding in ((SOURCE, model.encoder.embedding), (TARGET, model.embedding)):
        for row, sentence in enumerate(tokens):
            of = sentence[sentence.ne(1)]
            inputs = torch.stack([*model.mask.expand(len(of) - 1, -1), embedding.scaled(of[-1:])[0]])
            states = model.encoder.encode(of[None], inputs[None]).encoded[0, :-1]
            log_probs = torch.log_softmax(states @ embedding.weight.T, 1)
            expected[row] -= log_probs[range(len(of) - 1), of[:-1]].sum()
    torch.testing.assert_close(found.values[NLL].sums, expected)


def test_the_mean_of_the_sentence_or_of_its_translation_is_given_by_chance(model, monkeypatch):
    seen = []
    original = model.denoised
    monkeypatch.setattr(model, "denoised", lambda *given: seen.append(given[-1]) or original(*given))
    loss(model)
    own = (
        model.encode_source(SOURCE).mean,
        model.encode_target(TARGET[:, :-1].masked_fill(TARGET[:, :-1].eq(2), 1)).mean,
    )
    sides = []
    for _ in range(20):
        batch_loss(model, SOURCE, TARGET, Method.of(plain.multilingual()), 0.0)
    for source, target in zip(seen[::2], seen[1::2], strict=True):
        for given, (its, other) in ((source, own), (target, own[::-1])):
            for row in range(2):
                mine, theirs = (torch.allclose(given[row], of[row], atol=1e-6) for of in (its, other))
                assert mine != theirs
                sides.append(mine)
    assert 0.25 < sum(sides) / len(sides) < 0.75


def test_eight_of_ten_chosen_words_are_masked_and_one_is_another():
    torch.manual_seed(0)
    tokens = torch.full((200, 101), 7)
    tokens[:, 100] = 2
    side = Source(tokens, None, None, tokens.eq(1), None, torch.full((200,), 101))
    chosen = side.words.clone()
    chosen[:, 50:] = False
    noised, masked = denoising._noise(side, chosen, torch.nn.Embedding(30, 4))
    share = [float(of.sum() / chosen.sum()) for of in (masked, noised.ne(tokens))]
    assert share[0] == pytest.approx(0.8, abs=0.02) and share[1] == pytest.approx(0.1 * 25 / 26, abs=0.02)
    assert not (masked & ~chosen).any() and not (noised.ne(tokens) & (masked | ~chosen)).any()
    assert noised.min() == 2 and noised[:, :50].min() >= 4  # no special symbol


def test_without_weight_it_has_no_gradient_and_is_measured_all_the_same(model):
    model.train()
    found = loss(model, weight=0.0)
    found.loss.backward()
    assert found.loss == 0 and found.values[NLL].sums.sum() > 0
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in model.parameters())
