"""AXE's loss against all alignments there are, and the paper's own example."""

from math import log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.losses.objectives.axe import Axe
from natlab.proxy.interface import Positions

EPSILON = 0  # the blank's symbol


def alignments(n, m):
    """All sequences of operations that read n targets and m predictions."""
    if (n, m) == (0, 0):
        yield ()
    for name, i, j in (("align", 1, 1), ("skip prediction", 0, 1), ("skip target", 1, 0)):
        if i <= n and j <= m:
            yield from ((*before, name) for before in alignments(n - i, m - j))


def costs(operations, log_probs, target, delta, shown=()):
    """What each operation costs (Table 1); ``shown``: positions whose own token is certain."""
    i = j = 0
    for name in operations:
        i, j = i + (name != "skip prediction"), j + (name != "skip target")
        at = max(j, 1) - 1
        if name == "skip prediction":
            yield name, -log_probs[at, EPSILON]
        else:
            certain = i - 1 == at and at in shown
            weight = delta if name == "skip target" else 1
            yield name, 0 * log_probs[at, EPSILON] if certain else -weight * log_probs[at, target[i - 1]]


def cheapest(logits, target, delta, shown=()):
    """(cost, operations) of the cheapest alignment, by enumeration."""
    log_probs = logits.log_softmax(1)
    every = [
        (sum(cost for _, cost in costs(done, log_probs, target, delta, shown)), done)
        for done in alignments(len(target), len(target))
    ]
    return min(every, key=lambda found: float(found[0]))


@given(
    seed=st.integers(0, 10**6),
    targets=st.lists(st.lists(st.integers(3, 6), min_size=1, max_size=4), min_size=1, max_size=3),
    delta=st.sampled_from([0.5, 1.0, 5.0]),
    predict=st.sampled_from(["all", "masks"]),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_it_is_the_cheapest_of_all_alignments(decoded, seed, targets, delta, predict, data):
    width = max(map(len, targets))
    logits = 3 * torch.randn(len(targets), width, 7, dtype=torch.double, generator=torch.Generator().manual_seed(seed))
    inside = torch.arange(width) < torch.tensor([len(target) for target in targets])[:, None]
    shown = torch.tensor(data.draw(st.lists(st.booleans(), min_size=inside.numel(), max_size=inside.numel())))
    shown = shown.view(inside.shape) & inside
    batch = decoded(logits, targets, shown)
    cost = Axe(delta, predict)(batch, smoothing=0.0)
    certain = [row.nonzero()[:, 0].tolist() if predict == "masks" else () for row in shown]
    found = [cheapest(*pair, delta, free) for *pair, free in zip(logits, targets, certain, strict=True)]
    torch.testing.assert_close(cost.nll, torch.stack([value for value, _ in found]).detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(cost.loss, cost.nll.sum())
    masked = [len(target) - len(free) for target, free in zip(targets, certain, strict=True)]
    assert cost.predicted.tolist() == masked
    for name in ("skipped_targets", "skipped_predictions"):
        value = cost.values[name]
        counted = [done.count(name[:-1].replace("_", " ").replace("skipped", "skip")) for _, done in found]
        assert (value.sums.tolist(), value.counts.tolist(), value.unit) == (counted, list(map(len, targets)), "share")


@pytest.mark.parametrize("predict", ["all", "masks"])
def test_gradients_are_those_of_the_alignments_cost(decoded, predict):
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 7, dtype=torch.double, requires_grad=True)
    targets, shown = [[3, 4, 5, 6], [5, 5]], [[False, True, False, False], [True, False, False, False]]
    assert torch.autograd.gradcheck(
        lambda states: Axe(1.5, predict)(decoded(states, targets, shown), 0.0).loss, (logits,), fast_mode=False
    )


def test_the_paper_s_example(decoded):
    """Figure 2: predictions that start with a shift, "it tastes pretty good though" against [skip] it tastes good
    though.

    Operations: skip prediction 1, align it-2 and tastes-3, skip target pretty at 3, align good-4, though-5."""
    it, tastes, pretty, good, though = range(3, 8)
    likely = torch.full((5, 8), 0.01, dtype=torch.double)
    for position, word in enumerate((EPSILON, it, tastes, good, though)):
        likely[position, word] = 0.5
    likely[0, it], likely[2, pretty] = 0.3, 0.2
    likely[:, 1] += 1 - likely.sum(1)  # the rest to a word that nobody wants
    cost = Axe(delta=1.5)(decoded(likely.log()[None], [[it, tastes, pretty, good, though]]), 0.0)
    assert float(cost.nll) == pytest.approx(-5 * log(0.5) - 1.5 * log(0.2))
    assert {name: int(value.sums) for name, value in cost.values.items()} == {
        "skipped_targets": 1,
        "skipped_predictions": 1,
    }


def test_observed_tokens_cost_nothing_at_their_own_place_only(decoded):
    logits = torch.zeros(1, 2, 4, dtype=torch.double)
    free = Axe(1.0)(decoded(logits, [[3, 3]], [[True, True]]), 0.0)
    assert float(free.nll) == 0 and free.predicted.tolist() == [0]
    half = Axe(1.0)(decoded(logits, [[3, 3]], [[True, False]]), 0.0)
    assert float(half.nll) == pytest.approx(log(4)) and half.predicted.tolist() == [1]
    assert float(Axe(1.0, "all")(decoded(logits, [[3, 3]], [[True, True]]), 0.0).nll) == pytest.approx(2 * log(4))


def test_smoothing_leaves_the_alignment_and_skipped_targets_as_they_are(decoded):
    torch.manual_seed(1)
    logits = 2 * torch.randn(1, 4, 7, dtype=torch.double)
    batch = decoded(logits, [[3, 4, 5, 6]])
    plain, smooth = (Axe(0.3)(batch, smoothing) for smoothing in (0.0, 0.2))
    assert plain.values["skipped_targets"].sums.tolist() == smooth.values["skipped_targets"].sums.tolist() != [0]
    torch.testing.assert_close(plain.nll, smooth.nll)
    log_probs = logits[0].log_softmax(1)
    _, operations = cheapest(logits[0], [3, 4, 5, 6], 0.3)
    skipped = sum(float(c) for name, c in costs(operations, log_probs, [3, 4, 5, 6], 0.3) if name == "skip target")
    others = sum(float(c) for name, c in costs(operations, log_probs, [3, 4, 5, 6], 0.3) if name != "skip target")
    every = -float(log_probs.sum())  # each position predicts once
    expected = skipped + 0.8 * others + 0.2 / 6 * (every - others)
    assert float(smooth.loss) == pytest.approx(expected)


def test_dynamic_kd_weighs_a_target_by_its_cost_under_full_masks(decoded):
    torch.manual_seed(2)
    logits = torch.randn(1, 3, 7, dtype=torch.double)
    batch = decoded(logits, [[3, 4, 5]], [[True, False, False]])
    nll = Axe(2.0).nll(Positions.of(batch.model, logits, batch.lengths), batch.target)
    assert float(nll) == pytest.approx(float(cheapest(logits[0], [3, 4, 5], 2.0)[0]), rel=1e-5)
