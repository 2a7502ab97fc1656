"""The reward of hypotheses, worked out by hand."""

import pytest
import torch
from tests.losses.objectives import canvas

from natlab import families
from natlab.kernels import use
from natlab.losses.terms.reward import rewarded


@pytest.fixture(autouse=True)
def _kernels():
    with use("reference"):
        yield


def test_by_hand():
    """Against the mean of those that are there: 0.5 of the first sentence's; one alone is neither good nor bad."""
    scores = torch.tensor([[-1.0, -3.0, -7.0], [-2.0, -1.0, -1.0]]).double().requires_grad_()
    rewards = torch.tensor([[0.9, 0.1, 0.6], [0.7, 0.2, 0.2]]).double()
    there = torch.tensor([[True, True, False], [True, False, False]])
    loss = rewarded(scores, rewards, there)
    assert loss.tolist() == pytest.approx([-(0.4 * -1 - 0.4 * -3) / 2, 0])
    (gradient,) = torch.autograd.grad(loss.sum(), scores)
    assert gradient.flatten().tolist() == pytest.approx([-0.2, 0.2, 0, 0, 0, 0])
    assert torch.autograd.gradcheck(lambda scores: rewarded(scores, rewards, there), scores)


def test_of_a_batch_it_is_the_mean_over_sentences_times_the_tokens():
    net = canvas.model("dag", factor=3)
    term = families.load("term", "reward", samples=40, temperature=1.0, top_p=1.0, keep=0.5)
    added = term(canvas.decoded(net, "dag"))
    assert added.loss.item() == pytest.approx(float(added.values["reward"].sums.mean()) * 4)
    added.loss.backward()
    assert net.links.query.weight.grad.any() and net.embedding.weight.grad.any()


def test_a_step_along_its_gradient_earns_more():
    """Hypotheses that earn more get likelier, so that a greater share of what is drawn is they."""
    net = canvas.model("dag", factor=3)
    term = families.load("term", "reward", samples=200, temperature=0.3, top_p=0.9, keep=0.02)
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    earned = []
    for _ in range(40):
        optimiser.zero_grad()
        added = term(canvas.decoded(net, "dag"))
        added.loss.backward()
        optimiser.step()
        earned.append(float(added.values["earned"].sums.sum() / added.values["earned"].counts.sum()))
    assert earned[-1] > earned[0]
