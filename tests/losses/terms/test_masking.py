"""The loss of the head that says which tokens are masked."""

from dataclasses import replace

import torch
from tests import plain

from natlab.losses.batch import batch_loss
from natlab.models.transformer import Config

CONFIG = Config(16, 32, 1, 1, 2, 0.0, 12, 12, True)


def test_the_masking_head_learns_which_positions_are_masked_and_changes_nothing_else(batch, half):
    """Its loss is the binary cross-entropy under Z* of which tokens are masked; all other gradients are as without."""
    gradients = []
    for masking in (False, True):
        torch.manual_seed(0)
        model = plain.nat(replace(CONFIG, dropout=0.1), masking=masking)
        torch.manual_seed(1)
        method = half(terms=["length"] + masking * ["masking"])
        loss = batch_loss(model, *batch, method, 0.0)
        loss.loss.backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if not name.startswith("masking.")})
        assert ("masked" in loss.values) is masking
    assert gradients[0].keys() == gradients[1].keys()
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])
    assert model.masking.weight.grad.any()
    model.eval()
    states = model.decode(model.encoder(batch[0]), torch.tensor([2, 4]))
    masked, revealed = model.masked_logits(states).sigmoid().log(), (-model.masked_logits(states)).sigmoid().log()
    first, second = revealed[0, 0] + masked[0, 1], revealed[1, 0] + masked[1, 1] + revealed[1, 2] + masked[1, 3]
    found = batch_loss(model, *batch, method, 0.0).values["masked"]
    torch.testing.assert_close(found.sums, -torch.stack([first, second]).detach())
    assert found.counts.tolist() == [2, 4] and found.unit == "bits/token"


def test_it_weighs_as_it_is_told(batch, half):
    """Half of the tokens are predicted."""
    torch.manual_seed(0)
    model = plain.nat(CONFIG, masking=True)
    for weight in (1.0, 0.25):
        terms = [{"name": "masking", "weight": weight}]
        loss, without = (batch_loss(model, *batch, half(terms=made), 0.0) for made in (terms, []))
        expected = 0.5 * weight * loss.values["masked"].sums.sum()
        torch.testing.assert_close(loss.loss - without.loss, expected, rtol=1e-4, atol=1e-5)
