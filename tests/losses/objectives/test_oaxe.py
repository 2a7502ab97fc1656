"""OaXE's loss against all permutations there are."""

import itertools
from math import log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.losses.interface import SHARE
from natlab.losses.objectives.oaxe import Oaxe
from natlab.proxy.interface import Positions


def likeliest(log_probs, target, shown=()):
    """(log-probabilities of the tokens at their positions, the likeliest permutation), by enumeration; tokens at
    ``shown`` positions stay."""
    orders = (
        order
        for order in itertools.permutations(range(len(target)))
        if all(order[position] == position for position in shown)
    )
    permutations = [[target[k] for k in order] for order in orders]
    found = (([float(log_probs[at, word]) for at, word in enumerate(words)], words) for words in permutations)
    return max(found, key=lambda pair: sum(pair[0]))


@given(
    seed=st.integers(0, 10**6),
    targets=st.lists(st.lists(st.integers(3, 6), min_size=1, max_size=5), min_size=1, max_size=3),
    truncate=st.sampled_from([None, 0.05, 0.3]),
    predict=st.sampled_from(["all", "masks"]),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_it_is_the_loss_of_the_likeliest_permutation(decoded, seed, targets, truncate, predict, data):
    width = max(map(len, targets))
    logits = 3 * torch.randn(len(targets), width, 7, dtype=torch.double, generator=torch.Generator().manual_seed(seed))
    inside = torch.arange(width) < torch.tensor([len(target) for target in targets])[:, None]
    shown = torch.tensor(data.draw(st.lists(st.booleans(), min_size=inside.numel(), max_size=inside.numel())))
    shown = shown.view(inside.shape) & inside
    batch = decoded(logits, targets, shown)
    cost = Oaxe(predict, truncate)(batch, smoothing=0.0)
    for row, target in enumerate(targets):
        fixed = shown[row].nonzero()[:, 0].tolist() if predict == "masks" else []
        found, _ = likeliest(logits[row].log_softmax(1), target, fixed)
        paid = [value for at, value in enumerate(found) if at not in fixed]
        kept = [value for value in paid if truncate is None or value >= log(truncate)]
        assert float(cost.nll[row]) == pytest.approx(-sum(kept), rel=1e-5, abs=1e-6)
        assert int(cost.predicted[row]) == len(paid)  # what is dropped divides, too
        assert int(cost.values["truncated"].sums[row]) == len(paid) - len(kept)
        assert int(cost.values["truncated"].counts[row]) == int(cost.values["moved"].counts[row]) == len(paid)
    torch.testing.assert_close(cost.loss, cost.nll.sum())
    assert {value.unit for value in cost.values.values()} == {SHARE}


@pytest.mark.parametrize("predict, truncate", [("all", None), ("all", 0.2), ("masks", 0.2)])
def test_gradients_are_those_of_the_permutations_loss(decoded, predict, truncate):
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 7, dtype=torch.double, requires_grad=True)
    targets, shown = [[3, 4, 5, 6], [5, 4]], [[False, True, False, False], [True, False, False, False]]
    assert torch.autograd.gradcheck(
        lambda states: Oaxe(predict, truncate)(decoded(states, targets, shown), 0.1).loss, (logits,), fast_mode=False
    )


def test_a_hand_worked_example(decoded):
    """Two positions that would rather have the words the other way round: -2 log 0.6, not -2 log 0.2."""
    likely = torch.tensor([[[0.1, 0.05, 0.05, 0.2, 0.6], [0.1, 0.05, 0.05, 0.6, 0.2]]], dtype=torch.double)
    batch = decoded(likely.log(), [[3, 4]])
    assert float(Oaxe()(batch, 0.0).nll) == pytest.approx(-2 * log(0.6))
    assert int(Oaxe()(batch, 0.0).values["moved"].sums) == 2
    assert float(Oaxe(truncate=0.6 + 1e-6)(batch, 0.0).nll) == 0 and Oaxe(truncate=0.61)(batch, 0.0).predicted == 2


def test_dynamic_kd_weighs_a_target_by_its_likeliest_permutation_under_full_masks(decoded):
    torch.manual_seed(2)
    logits = torch.randn(1, 3, 7, dtype=torch.double)
    batch = decoded(logits, [[3, 4, 5]], [[True, False, False]])
    nll = Oaxe("masks").nll(Positions.of(batch.model, logits, batch.lengths), batch.target)
    assert float(nll) == pytest.approx(-sum(likeliest(logits[0].log_softmax(1), [3, 4, 5])[0]), rel=1e-5)
