"""Which position of a canvas follows which, by hand."""

import pytest
import torch
from tests import plain

from natlab.kernels import use
from natlab.models.transformer import Config


@pytest.fixture
def links():
    torch.manual_seed(0)
    return plain.nat(
        Config(8, 16, 1, 1, 2, 0.0, 12, 12, True), lengths={"name": "source", "factor": 2}, links=True
    ).links.double()


def test_transitions_are_attention_over_later_positions_by_gated_heads(links):
    states, lengths = torch.randn(2, 5, 8, dtype=torch.double), torch.tensor([5, 3])
    with use("reference"):
        found = links(states, lengths).exp()
    for b, length in enumerate(lengths.tolist()):
        x = torch.cat([states[b], links.positions(0, 5).double()], 1)
        query, key, gates = (of(x) for of in (links.query, links.key, links.gates))
        for i in range(5):
            expected = torch.zeros(5, dtype=torch.double)
            if i < length - 1:
                for head, share in enumerate(gates[i].softmax(0)):
                    of_head = slice(4 * head, 4 * head + 4)
                    scores = key[i + 1 : length, of_head] @ query[i, of_head] / 2  # the root of its 4 dimensions
                    expected[i + 1 : length] += share * scores.softmax(0)
            torch.testing.assert_close(found[b, i], expected)


def test_they_are_computed_in_float32_whatever_the_states(links):
    links.float()
    states = torch.randn(1, 4, 8).bfloat16()
    with use("reference"):
        found = links(states, torch.tensor([4]))
        torch.testing.assert_close(found, links(states.float(), torch.tensor([4])))
    assert found.dtype == torch.float32
