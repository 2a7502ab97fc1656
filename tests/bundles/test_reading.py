"""The last step of decoding a graph, in numpy, against enumeration."""

import itertools

import numpy as np
import pytest

from natlab.bundles import reading
from natlab.bundles.reading import Said


def random_graph(length, seed):
    """Log-probabilities of links and weights of vertices."""
    draw = np.random.default_rng(seed)
    links = np.where(np.triu(np.ones((length, length)), 1) > 0, draw.normal(size=(length, length)), -np.inf)
    return links, draw.normal(size=length)


@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(5))
def test_paths_come_by_their_rank_each_the_best_of_its_length(penalty, seed):
    links, weights = random_graph(7, seed)
    best = {}
    for count in range(6):
        for inner in itertools.combinations(range(1, 6), count):
            path = [0, *inner, 6]
            total = sum(links[a, b] for a, b in itertools.pairwise(path)) + weights[path].sum()
            best[count + 2] = max(best.get(count + 2, (-np.inf, [])), (total, path))
    ranked = sorted(best.values(), key=lambda pair: -pair[0] / max(1, len(pair[1]) - 2) ** penalty)
    assert reading.likeliest_paths(links, weights, penalty) == [path for _, path in ranked[: 1 + reading.OTHERS]]


def test_a_graph_without_a_path_has_none():
    links = np.full((3, 3), -np.inf)
    assert reading.likeliest_paths(links, np.zeros(3), 1.0) == [[]]
    assert reading.spoken([], np.array([0, 5, 2]), np.zeros(3)) == Said([], 0.0, 3)


def test_a_path_ends_where_nothing_follows():
    assert reading.followed(np.array([2, 3, 3, 0])) == [0, 2, 3]
    assert reading.followed(np.array([1, 0, 3, 0])) == [0, 1]  # nothing is after vertex 1
    assert reading.followed(np.array([0])) == [0]


def test_the_best_is_followed_by_what_says_something_else():
    said = [Said(tokens, 0.0, 9) for tokens in ([1, 2], [1, 2], [3], [1], [3], [4], [5])]
    assert reading.best_of(said) == Said([1, 2], 0.0, 9, ([3], [1], [4]))
