"""The terms of L_SQA (AEQA-NAT, equations 7 to 10), by hand and by their gradients."""

import pytest
import torch
from tests import plain

from natlab.kernels import use
from natlab.losses.batch import batch_loss
from natlab.models.transformer import Config

CONFIG = Config(16, 32, 1, 1, 2, 0.0, 12, 12, True)
TERMS = ("commitment", "sentence_codes", "state_codes")


@pytest.fixture
def nat():
    torch.manual_seed(0)
    return plain.nat(CONFIG, fill="codes", codebook={"name": "random", "size": 7}).eval().double()


def costs(nat, batch, term, weight=1.0):
    """(loss with the term less without, its Value)."""
    both = []
    for terms in ([], [{"name": term, "weight": weight}]):
        torch.manual_seed(1)
        both.append(
            batch_loss(nat, *batch, plain.method(input={"name": "codes", "number": "uniform"}, terms=terms), 0.0)
        )
    return both[1].loss - both[0].loss, both[1].values[term]


def nearest(nat, states):
    return nat.codebook.vectors[torch.cdist(states, nat.codebook.vectors).argmin(-1)]


def test_each_term_is_its_equation(nat, batch):
    """By a loop over sentences of 2 and 4 target and 3 and 2 source tokens; the target's states are the encoder's by
    the decoder's embeddings."""
    words, tokens = (3, 2), (2, 4)
    source, target = nat.encoder(batch[0]), nat.encoder(batch[1])  # one vocabulary, one table
    for term in TERMS:
        loss, value = costs(nat, batch, term, 0.5)
        expected = []
        for row in range(2):
            x, y = source.encoded[row, : words[row]], target.encoded[row, : tokens[row]]
            if term == "commitment":
                of_row = tokens[row] * (x - nearest(nat, x)).square().mean()
            elif term == "sentence_codes":
                of_row = tokens[row] * (nearest(nat, x).mean(0) - nearest(nat, y).mean(0)).square().mean()
            else:
                torch.manual_seed(1)
                method = plain.method(input={"name": "codes", "number": "uniform"}, terms=[])
                made = batch_loss(nat, *batch, method, 0.0).proxied
                states = nat.decode(made.encoded, made.canvas, kept=made.codes.kept)
                of_row = (states[row, : tokens[row]] - nearest(nat, y)).square().mean(1).sum()
            expected.append(float(of_row))
        torch.testing.assert_close(value.sums.tolist(), expected)
        assert value.counts.tolist() == [2, 4] and value.unit == "distance"
        assert float(loss) == pytest.approx(0.5 * sum(expected))


def test_gradients_reach_what_the_equations_say(nat, batch):
    """(8) and (9) the encoder, not the codes; (10) the decoder and, through it, the encoder; the target's side
    nothing."""
    for term in TERMS:
        nat.zero_grad()
        loss, _ = costs(nat, batch, term)
        loss.backward()
        of_decoder = nat.layers[0].feed_forward.outer.weight.grad
        of_encoder = nat.encoder.layers[0].feed_forward.outer.weight.grad
        assert of_encoder.abs().sum() > 0
        assert (of_decoder.abs().sum() > 1e-9) == (term == "state_codes")


def test_without_straight_through_equation_9_has_no_gradient(nat, batch):
    """The mean of codes chosen by argmin: moving a state a little changes nothing."""
    source = nat.encoder(batch[0])
    moved = source.encoded + 1e-6 * torch.randn_like(source.encoded)
    assert torch.equal(nearest(nat, source.encoded), nearest(nat, moved))


def test_on_a_graph_states_are_those_of_the_best_path():
    """Vertices that say bos or nothing cost nothing; eos is none of T's tokens."""
    torch.manual_seed(0)
    nat = plain.nat(
        CONFIG,
        lengths={"name": "source", "factor": 3},
        links=True,
        fill="codes",
        codebook={"name": "moving", "size": 7},
    ).eval()
    batch = torch.tensor([[4, 5, 6, 2], [7, 8, 2, 1]]), torch.tensor([[9, 10, 2, 1, 1], [4, 5, 6, 7, 2]])
    method = plain.method(objective="dag", input={"name": "codes", "number": "uniform"}, terms=["state_codes"])
    with use("reference"):
        values = batch_loss(nat, *batch, method, 0.0).values
    assert values["state_codes"].counts.tolist() == [2, 4]
