"""The length prediction's loss."""

import pytest
import torch
from tests import plain

from natlab.losses.batch import batch_loss
from natlab.models.transformer import Config


@pytest.mark.parametrize("lengths", ["difference", "absolute"])
@pytest.mark.parametrize("weight", [0.1, 2.0])
def test_each_sentences_length_costs_as_many_times_as_it_has_tokens(batch, lengths, weight):
    torch.manual_seed(0)
    model = plain.nat(Config(16, 32, 1, 1, 2, 0.0, 12, 12, True), lengths=lengths)
    found, without = (
        batch_loss(model, *batch, plain.method(terms=terms), 0.0)
        for terms in ([{"name": "length", "weight": weight}], [])
    )
    encoded = model.encoder(batch[0])
    scores = model.lengths(encoded).log_softmax(1)
    # sources of 3 and 2 tokens, targets of 2 and 4
    classes = [128 - 1, 128 + 2] if lengths == "difference" else [1, 3]
    nll = -torch.stack([scores[0, classes[0]], scores[1, classes[1]]])
    torch.testing.assert_close(found.values["length"].sums, nll.detach(), rtol=1e-4, atol=1e-5)
    assert found.values["length"].counts.tolist() == [2, 4] and "length" not in without.values
    torch.testing.assert_close(found.loss - without.loss, weight * (2 * nll[0] + 4 * nll[1]), rtol=1e-4, atol=1e-4)


def test_unless_told_it_weighs_a_tenth_as_in_fairseqs_and_glats_nats():
    assert plain.method(terms=["length"]).terms[0].term.weight == 0.1
