"""Sampling of graphs against the probabilities of all paths, enumerated."""

import itertools
import math
import sys
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch.testing import assert_close

from natlab.kernels import use
from natlab.kernels.dag_sample import Samples, _random, _sample, dag_sample, dag_sample_reference

INF = math.inf


def random_graphs(lengths, seed=0, scale=2.0, never=0.0, dtype=torch.float64, beyond=0):
    """Transitions, each row's summing to 1, scores and lengths; what is to be ignored is nan."""
    generator = torch.Generator().manual_seed(seed)
    batch, length = len(lengths), max(lengths) + beyond
    links = torch.randn(batch, length, length, generator=generator, dtype=torch.float64) * scale
    links = links.masked_fill(torch.rand(links.shape, generator=generator) < never, -INF)
    at = torch.arange(length)
    exists = (at > at[:, None]) & (at < torch.tensor(lengths)[:, None, None])
    links = links.masked_fill(~exists, -INF)
    links = (links - links.logsumexp(2, keepdim=True).clamp(min=-1e9)).masked_fill(~exists, torch.nan)
    scores = torch.rand(batch, length, generator=generator, dtype=torch.float64).log()
    scores = scores.masked_fill(at >= torch.tensor(lengths)[:, None], torch.nan)
    return links.to(dtype), scores.to(dtype), torch.tensor(lengths)


def successors(links, scores, vertex, temperature, top_p):
    """{j: its probability after ``vertex``} in one graph, as Algorithm 3 has it, in Python's numbers."""
    total = sum(math.exp(score) for score in scores)
    mass = {
        j: math.exp(links[vertex][j]) + math.exp(scores[j]) / total
        for j in range(vertex + 1, len(scores))
        if links[vertex][j] > -INF
    }
    kept, so_far = [], 0.0
    for j in sorted(mass, key=lambda j: -mass[j]):
        if so_far >= top_p * sum(mass.values()) and top_p < 1:
            break
        kept.append(j)
        so_far += mass[j]
    weights = {j: math.exp(mass[j] / temperature) for j in kept}
    return {j: weight / sum(weights.values()) for j, weight in weights.items()}


def path_probabilities(links, scores, temperature, top_p):
    """{path: its probability} of one graph."""
    found, open_paths = {}, {(0,): 1.0}
    while open_paths:
        path, probability = open_paths.popitem()
        after = successors(links, scores, path[-1], temperature, top_p)
        if not after:
            found[path] = probability
        for j, part in after.items():
            open_paths[(*path, j)] = probability * part
    return found


def to(device, *tensors):
    return [tensor.to(device) for tensor in tensors]


def taken(path):
    return tuple(path[path >= 0].tolist())


def test_frequencies_are_the_probabilities_of_paths(device):
    settings_of = itertools.product((0.1, 0.4, 1.0), (0.3, 0.6, 0.9, 1.0))
    for seed, (temperature, top_p) in enumerate(settings_of):
        links, scores, lengths = random_graphs([6, 3, 5], seed)
        seeds = torch.tensor([seed, seed + 100, -seed])
        drawn = dag_sample(*to(device, links, scores, lengths, seeds), 3000, temperature, top_p).paths.cpu()
        for b, length in enumerate(lengths.tolist()):
            graph = links[b, :length, :length].tolist(), scores[b, :length].tolist()
            expected = {path: 3000 * p for path, p in path_probabilities(*graph, temperature, top_p).items()}
            paths, times = drawn[b].unique(dim=0, return_counts=True)
            counts = Counter(dict(zip(map(taken, paths), times.tolist(), strict=True)))
            assert set(counts) <= set(expected)
            often = [path for path in expected if expected[path] >= 5]
            rare = 3000 - sum(counts[path] for path in often), 3000 - sum(expected[path] for path in often)
            found, due = [counts[path] for path in often], [expected[path] for path in often]
            if rare[1] > 1e-6:
                found, due = [*found, rare[0]], [*due, rare[1]]
            if len(found) > 1:
                assert chisquare(found, due).pvalue > 1e-4


@st.composite
def batches(draw):
    lengths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    scale, never = draw(st.sampled_from([0.0, 1.0, 5.0, 300.0])), draw(st.sampled_from([0.0, 0.4]))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    graphs = random_graphs(lengths, draw(st.integers(0, 2**31)), scale, never, dtype, draw(st.integers(0, 2)))
    seeds = draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=len(lengths), max_size=len(lengths)))
    options = draw(st.sampled_from([0.001, 0.05, 1.0])), draw(st.sampled_from([1e-6, 0.5, 0.9, 1.0]))
    return *graphs, torch.tensor(seeds), 20, *options


@settings(max_examples=60)
@given(batch=batches())
def test_the_library_draws_what_the_reference_draws(device, batch):
    found = dag_sample(*(part.to(device) if isinstance(part, torch.Tensor) else part for part in batch))
    for one, other in zip(found, dag_sample_reference(*batch), strict=True):
        assert torch.equal(one.cpu(), other)


@settings(max_examples=30)
@given(batch=batches())
def test_log_probabilities_are_sums_along_the_path(device, batch):
    links, scores, lengths, *rest = batch
    found = dag_sample(*(part.to(device) if isinstance(part, torch.Tensor) else part for part in batch))
    for b, paths in enumerate(found.paths.cpu()):
        for k, path in enumerate(map(taken, paths)):
            assert list(path) == sorted(set(path)) and path[0] == 0
            steps = [0.0] + [links[b, i, j].item() for i, j in itertools.pairwise(path)]
            whole = path[-1] == lengths[b] - 1
            assert_close(found.transitions[b, k].item(), sum(steps) if whole else -INF, rtol=1e-6, atol=1e-6)
            assert_close(found.scores[b, k].item(), sum(scores[b, j].item() for j in path), rtol=1e-6, atol=1e-6)


def test_a_sentence_is_drawn_alone_as_in_any_batch(device):
    links, scores, lengths = random_graphs([40, 1, 13, 40], dtype=torch.float32)
    seeds = torch.tensor([3, 4, 5, 3])
    whole = dag_sample(*to(device, links, scores, lengths, seeds), 30)
    fewer = dag_sample(*to(device, links, scores, lengths, seeds), 7)
    for b, length in enumerate(lengths.tolist()):
        one = slice(b, b + 1)
        alone = to(device, links[one, :length, :length], scores[one, :length], lengths[one], seeds[one])
        found = dag_sample(*alone, 30)
        assert torch.equal(found.paths[0], whole.paths[b, :, :length])
        assert torch.equal(found.transitions[0], whole.transitions[b])
        assert torch.equal(found.scores[0], whole.scores[b])
        assert torch.equal(fewer.paths[b], whole.paths[b, :7])  # a hypothesis does not depend on how many there are
    assert not torch.equal(whole.paths[0], whole.paths[3])  # other graphs


def test_seeds_and_hypotheses_draw_differently(device):
    """In a graph of millions of paths that are equally likely: from each vertex to the next or the one after."""
    step = torch.arange(40) - torch.arange(40)[:, None]
    links = torch.zeros(40, 40).masked_fill((step < 1) | (step > 2), -INF).expand(2, -1, -1)
    graph = to(device, links, torch.zeros(2, 40), torch.tensor([40, 40]), torch.tensor([1, 2]))
    first, second = dag_sample(*graph, 50, 1.0, 1.0).paths.cpu()
    assert len(set(map(taken, [*first, *second]))) == 100


def test_random_numbers_are_splitmix64s():
    """Its first output from seed 0, as published with it."""
    zero = torch.zeros(1, dtype=torch.int64)
    assert _random(zero, zero, zero).item() == (0xE220A8397B1DCDAF >> 11) / 2**53


def test_a_little_of_the_mass_is_the_greatest_successor(device):
    """However warm; and all of the mass, but cold."""
    links, scores, lengths = random_graphs([12], seed=4)
    expected = [0]
    graph = links[0].tolist(), scores[0].tolist()
    while expected[-1] < 11:
        (following,) = successors(*graph, expected[-1], 1.0, 1e-6)
        expected.append(following)
    for temperature, top_p in ((1e6, 1e-6), (1e-5, 1.0)):
        found = dag_sample(*to(device, links, scores, lengths, torch.tensor([9])), 20, temperature, top_p)
        assert {taken(path) for path in found.paths[0].cpu()} == {tuple(expected)}


def test_graphs_of_one_path_of_one_vertex_and_of_none(device):
    links = torch.full((4, 4, 4), -INF)
    links[0, 0, 2] = links[0, 2, 3] = 0.0
    links[3, 0, 1] = -0.5  # and nothing goes on from there
    scores, lengths = torch.tensor([[-1.0, -2.0, -3.0, -4.0]]).expand(4, -1), torch.tensor([4, 1, 0, 4])
    for function, where in ((dag_sample, device), (dag_sample_reference, "cpu")):
        found = Samples(*to("cpu", *function(*to(where, links, scores, lengths, torch.arange(4)), 3)))
        assert found.paths[:, 0].tolist() == [[0, 2, 3, -1], [0, -1, -1, -1], [-1] * 4, [0, 1, -1, -1]]
        assert found.transitions.tolist() == [[0.0] * 3, [0.0] * 3, [-INF] * 3, [-INF] * 3]
        assert found.scores.tolist() == [[-8.0] * 3, [-1.0] * 3, [0.0] * 3, [-3.0] * 3]
        assert torch.equal(found.paths, found.paths[:, :1].expand_as(found.paths))


def test_of_equal_successors_the_first_are_kept(device):
    links, scores = torch.zeros(1, 6, 6), torch.zeros(1, 6)
    for top_p, kept in ((0.3, {1, 2}), (0.4, {1, 2}), (0.41, {1, 2, 3}), (1.0, {1, 2, 3, 4, 5})):
        found = dag_sample(*to(device, links, scores, torch.tensor([6]), torch.tensor([1])), 200, 1.0, top_p)
        assert set(found.paths[0, :, 1].tolist()) == kept


def test_opcheck(device):
    graph = to(device, *(part.nan_to_num(-INF) for part in random_graphs([5, 3])[:2]), torch.tensor([5, 3]))
    torch.library.opcheck(_sample, (*graph, torch.tensor([1, 2], device=device), 4, 0.05, 0.5))


def test_reference_is_what_use_forces(device, monkeypatch):
    graph = to(device, *random_graphs([5, 3]), torch.tensor([1, 2]))
    expected = dag_sample(*graph, 4)
    monkeypatch.setattr(sys.modules[dag_sample.__module__], "_sample", None)
    with use("reference"):
        assert torch.equal(dag_sample(*graph, 4).paths, expected.paths)


def test_refusals():
    links, scores, lengths = random_graphs([4, 2])
    seeds = torch.tensor([1, 2])
    with pytest.raises(ValueError, match="scores"):
        dag_sample(links, scores.float(), lengths, seeds, 2)
    with pytest.raises(ValueError, match="seeds"):
        dag_sample(links, scores, lengths, seeds[:1], 2)
    for samples, temperature, top_p in ((0, 0.1, 0.5), (2, 0.0, 0.5), (2, 0.1, 0.0), (2, 0.1, 1.1), (2, math.nan, 0.5)):
        with pytest.raises(ValueError, match="are possible"):
            dag_sample(links, scores, lengths, seeds, samples, temperature, top_p)
