"""Constraints on pairs of hypotheses, worked out by hand."""

import pytest
import torch
from tests.losses.objectives import canvas

from natlab import families
from natlab.kernels import use
from natlab.losses.terms.contrastive import contrast


@pytest.fixture(autouse=True)
def _kernels():
    with use("reference"):
        yield


def of(scores, rewards, margin, there=None):
    scores, rewards = torch.tensor([scores]).double(), torch.tensor([rewards]).double()
    there = torch.ones_like(scores, dtype=torch.bool) if there is None else torch.tensor([there])
    return [float(part[0]) for part in contrast(scores, rewards, there, margin)]


def test_by_hand():
    # the second is the best and the third comes next: 2 - 1 + 2 margins, 2 - 1.5 + 1, 1.5 - 1 + 1
    scores, rewards = [-1.0, -2.0, -1.5], [0.2, 0.9, 0.5]
    assert of(scores, rewards, 0.1) == pytest.approx([(1.2 + 0.6 + 0.6) / 3, 3, 3])
    # in the right order only what the margin is not kept by costs: 1 apart for 2 ranks, 0.5 for 1
    assert of([-2.0, -1.0, -1.5], rewards, 0.1) == pytest.approx([0, 0, 3])
    assert of([-2.0, -1.0, -1.5], rewards, 0.6) == pytest.approx([(0.2 + 0.1 + 0.1) / 3, 3, 3])


def test_equal_rewards_share_a_rank_and_are_no_pair():
    assert of([-1.0, -1.0, -1.0, -1.0], [0.5, 0.1, 0.5, 0.9], 0.1) == pytest.approx(
        [(2 * 0.1 + 0.2 + 2 * 0.1) / 5, 5, 5]
    )
    assert of([-1.0, -2.0], [0.5, 0.5], 0.1) == [0, 0, 0]


def test_what_is_not_there_counts_in_no_pair_and_no_rank():
    scores, rewards = [-1.0, 0.0, -2.0, -1.5], [0.2, 0.4, 0.9, 0.5]
    assert of(scores, rewards, 0.1, [True, False, True, True]) == pytest.approx([0.8, 3, 3])
    assert of(scores, rewards, 0.1, [True, False, False, False]) == [0, 0, 0]


def test_gradcheck():
    rewards = torch.tensor([[0.2, 0.9, 0.5, 0.5], [0.3, 0.1, 0.0, 0.2]]).double()
    there = torch.tensor([[True] * 4, [True, True, False, True]])
    scores = torch.randn(2, 4, dtype=torch.double, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda scores: contrast(scores, rewards, there, 0.2)[0], scores)


def test_of_a_batch_it_is_the_mean_over_sentences_times_the_tokens():
    net = canvas.model("dag", factor=3)
    term = families.load("term", "contrastive", samples=40, temperature=1.0, top_p=1.0, keep=0.5, margin=0.1)
    added = term(canvas.decoded(net, "dag"))
    each = added.values["contrastive"]
    assert each.counts.tolist() == [1, 1] and (each.sums > 0).any()
    assert added.loss.item() == pytest.approx(float(each.sums.mean()) * 4)  # tokens of the two targets
    assert 0 < added.values["violated"].sums.sum() <= added.values["violated"].counts.sum()
    added.loss.backward()
    assert net.links.query.weight.grad.any() and net.embedding.weight.grad.any()


def test_a_step_along_its_gradient_ranks_better():
    """Of two graphs' hypotheses the violations get fewer."""
    net = canvas.model("dag", factor=3)
    term = families.load("term", "contrastive", samples=40, temperature=1.0, top_p=1.0, keep=0.5, margin=0.03)
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    losses = []
    for _ in range(15):
        optimiser.zero_grad()
        added = term(canvas.decoded(net, "dag"))
        added.loss.backward()
        optimiser.step()
        losses.append(added.loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_sentence_left_out_costs_nothing():
    net = canvas.model("dag", factor=2)
    term = families.load("term", "contrastive", samples=40, temperature=1.0, top_p=1.0, alpha=0.0)
    added = term(canvas.decoded(net, "dag"))
    assert added.loss.item() == 0 and added.values["left_out"].sums.tolist() == [1, 1]
    added.loss.backward()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)
