"""The search for γ: against enumeration on a small grid's worth of weights, and what it promises of its result."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.select import gamma


def drawn(seed, sentences=30, candidates=4):
    rng = np.random.default_rng(seed)
    pairwise = rng.uniform(0, 100, (sentences, candidates, candidates))
    pairwise[:, range(candidates), range(candidates)] = 100
    return pairwise, rng.uniform(0, 100, (sentences, candidates))


@given(st.integers(0, 10**6))
def test_the_chosen_candidate_has_the_highest_weighted_bleu(seed):
    pairwise, _ = drawn(seed, sentences=5)
    weights = np.random.default_rng(seed).choice(gamma.GRID, 4)
    for n, found in enumerate(gamma.chosen(pairwise, weights)):
        scores = [sum(weights[i] * pairwise[n, i, j] for i in range(4)) for j in range(4)]
        assert scores[found] == pytest.approx(max(scores))


def test_of_equal_candidates_the_first_is_chosen():
    assert gamma.chosen(np.full((2, 3, 3), 100.0), np.array([0.1, 0.7, 0.2])).tolist() == [0, 0]


@pytest.mark.parametrize("seed", range(10))
def test_no_single_weight_improves_the_result(seed):
    pairwise, real = drawn(seed)
    found, tried = gamma.search(pairwise, real)
    best = gamma.l_target(pairwise, real, found)
    assert best <= gamma.l_target(pairwise, real, np.ones(4))
    for weight, values in enumerate(tried):
        for value in gamma.GRID:
            other = found.copy()
            other[weight] = value
            assert values[value] == gamma.l_target(pairwise, real, other) >= best


@pytest.mark.parametrize("seed", range(5))
def test_with_two_candidates_the_search_finds_what_enumeration_finds(seed):
    pairwise, real = drawn(seed, candidates=2)
    best = min(gamma.l_target(pairwise, real, np.array(pair)) for pair in itertools.product(gamma.GRID, repeat=2))
    assert gamma.l_target(pairwise, real, gamma.search(pairwise, real)[0]) == pytest.approx(best)


def test_many_bad_candidates_that_are_alike_do_not_outvote_a_good_one():
    pairwise = np.full((6, 5, 5), 100.0)
    pairwise[:, 4, :4] = pairwise[:, :4, 4] = 3.0
    real = np.tile([1.0, 1.0, 1.0, 1.0, 40.0], (6, 1))
    assert gamma.l_target(pairwise, real, np.ones(5)) == -1
    assert gamma.l_target(pairwise, real, gamma.search(pairwise, real)[0]) == -40


def test_a_weight_that_changes_nothing_stays_at_one():
    pairwise, real = drawn(0)
    pairwise[:, 2] = 50.0  # as a reference, the third candidate likes all equally
    assert gamma.search(pairwise, real)[0][2] == 1


def test_l_target_is_that_of_the_chosen():
    pairwise = np.array([[[100, 20], [60, 100]], [[100, 90], [10, 100]]], dtype=float)
    real = np.array([[30.0, 40.0], [50.0, 70.0]])
    # 160 against 120, 110 against 190
    assert gamma.l_target(pairwise, real, np.ones(2)) == -(30 + 70) / 2


def test_the_grid_is_that_of_the_papers_steps():
    assert len(gamma.GRID) == 31 and (gamma.GRID[0], gamma.GRID[3], gamma.GRID[-1]) == (0, 0.3, 3)


def test_sums_that_differ_by_rounding_only_are_equal():
    pairwise = np.array([[[10.0, 10.0 + 1e-8], [10.0, 10.0]]])
    assert gamma.chosen(pairwise, np.ones(2)).tolist() == [0]
    pairwise[0, 0, 1] += 1e-5
    assert gamma.chosen(pairwise, np.ones(2)).tolist() == [1]


def test_of_several_best_values_the_nearest_is_taken():
    """With any weight of the second above 0.2 the good candidate is chosen: from 0 that is 0.3, from 1 it stays."""
    pairwise = np.array([[[10.0, 0.0], [0.0, 50.0]]])
    real = np.array([[0.0, 1.0]])
    found, tried = gamma._descent(pairwise, real, np.array([1.0, 0.0]))
    assert found.tolist() == [1.0, 0.3] and tried[1][0.2] == 0 and tried[1][0.3] == -1
    assert gamma._descent(pairwise, real, np.array([1.0, 1.0]))[0].tolist() == [1.0, 1.0]


def test_the_search_goes_on_until_no_weight_can_be_improved():
    """Searched on from what was found, nothing changes."""
    for seed in range(20):
        pairwise, real = drawn(seed, sentences=8)
        found, _ = gamma._descent(pairwise, real, np.ones(4))
        again, _ = gamma._descent(pairwise, real, found.copy())
        assert again.tolist() == found.tolist()
