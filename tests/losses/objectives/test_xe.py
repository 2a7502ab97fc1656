"""Cross entropy of the target, token t at position t."""

import pytest
import torch
from tests import plain

from natlab import families
from natlab.losses.batch import batch_loss
from natlab.proxy.interface import Positions


def test_revealed_tokens_cost_nothing(nat, batch, half):
    """Masked-token loss: only what is not revealed is predicted (MPLE, appendix E.6)."""
    loss = batch_loss(nat, *batch, half(), 0.0)
    assert (loss.tokens.sum(), loss.predicted.sum()) == (6, 3)
    encoded = nat.encoder(batch[0])
    reference = torch.tensor([[9, 10, 1, 1], [4, 5, 6, 7]])
    logp = nat.logits(nat.decode(encoded, torch.tensor([2, 4]), half().input(None, None), reference)).log_softmax(2)
    expected = -(logp[0, 1, 10] + logp[1, 1, 5] + logp[1, 3, 7])
    torch.testing.assert_close(loss.values["nll"].sums.sum(), expected.detach(), rtol=1e-4, atol=1e-4)


def test_masked_token_loss_is_the_loss_of_a_model_that_copies_what_is_revealed(nat, batch):
    """MPLE, appendix E.6: with a copy mechanism, revealed tokens have probability 1."""
    loss = batch_loss(nat, *batch, plain.method(input={"name": "cmlm", "ratio": 0.5}), 0.0)
    target, revealed = loss.proxied.target, loss.proxied.revealed
    assert revealed.any() and (loss.proxied.target.ne(1) & ~revealed).any()
    encoded = nat.encoder(batch[0])
    probability = nat.logits(nat.decode(encoded, torch.tensor([2, 4]), revealed, target)).softmax(2)
    copied = torch.where(revealed[:, :, None], torch.nn.functional.one_hot(target, 12), probability)
    inside = target.ne(1)
    expected = -copied.gather(2, target[:, :, None])[:, :, 0][inside].log().sum()
    torch.testing.assert_close(loss.values["nll"].sums.sum(), expected.detach(), rtol=1e-4, atol=1e-4)


def test_a_batch_by_hand(decoded):
    """Probabilities 1/2 and 1/4 of the targets, of which the second's is shown; smoothing 0.3 spreads over 3 words."""
    logits = torch.tensor([[[0.5, 0.25, 0.125, 0.125], [0.25, 0.25, 0.25, 0.25]]]).log()
    xe = families.load("objective", "xe")
    cost = xe(decoded(logits, [[0, 3]]), 0.0)
    assert cost.nll.tolist() == pytest.approx([torch.tensor(8.0).log().item()]) and cost.predicted.tolist() == [2]
    torch.testing.assert_close(cost.loss, cost.nll.sum())
    shown = decoded(logits, [[0, 3]], [[False, True]])
    cost = xe(shown, 0.3)
    half, quarter, eighth = torch.tensor([2.0, 4.0, 8.0]).log()
    torch.testing.assert_close(cost.nll, half[None])
    torch.testing.assert_close(cost.loss, 0.7 * half + 0.1 * (quarter + 2 * eighth))
    assert cost.predicted.tolist() == [1] and cost.values == {}


def test_what_a_target_costs_under_z_star_is_the_sum_of_its_tokens(decoded):
    logits = torch.tensor([[[0.5, 0.25, 0.125, 0.125]] * 3, [[0.25, 0.25, 0.25, 0.25]] * 3]).log()
    made = decoded(logits, [[0, 2, 3], [2]])
    positions = Positions.of(made.model, logits, made.lengths)
    found = families.load("objective", "xe").nll(positions, made.target)
    torch.testing.assert_close(found, torch.tensor([128.0, 4.0]).log())
