"""Transition scores against sums over heads and vertices written out."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from natlab.kernels import use
from natlab.kernels.dag_links import _dag_links, dag_links, dag_links_reference

INF = math.inf


@st.composite
def graphs(draw):
    """Queries, keys, log-gates, lengths and a band, in float64, with heads left out here and there."""
    batch, heads, dimension = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 5))
    lengths = draw(st.lists(st.integers(1, 7), min_size=batch, max_size=batch))
    length = max(lengths) + draw(st.integers(0, 2))
    band = draw(st.none() | st.integers(1, 9))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    query, key = torch.randn(2, batch, length, heads, dimension, generator=generator, dtype=torch.float64) * 2
    gates = torch.randn(batch, length, heads, generator=generator, dtype=torch.float64).log_softmax(2)
    out = torch.rand(gates.shape, generator=generator) < draw(st.sampled_from([0, 0.3]))
    return query, key, gates.masked_fill(out, -INF), torch.tensor(lengths), band


def random_graphs(lengths, heads=2, dimension=3, dtype=torch.float64, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    shape = len(lengths), max(lengths), heads, dimension
    query, key = torch.randn(2, *shape, generator=generator, dtype=torch.float64) * scale
    gates = torch.randn(shape[:3], generator=generator, dtype=torch.float64).log_softmax(2)
    return query.to(dtype), key.to(dtype), gates, torch.tensor(lengths)


def written_out(query, key, gates, lengths, band):
    """The dense links, one sum after another."""
    batch, length, heads, dimension = query.shape
    links = torch.full((batch, length, length), -INF, dtype=torch.float64)
    for b in range(batch):
        for i in range(lengths[b]):
            reached = [j for j in range(i + 1, lengths[b]) if band is None or j - i <= band]
            probabilities = [0.0] * len(reached)
            for h in range(heads):
                weights = [math.exp(query[b, i, h] @ key[b, j, h] / math.sqrt(dimension)) for j in reached]
                for n, weight in enumerate(weights):
                    probabilities[n] += math.exp(gates[b, i, h]) * weight / sum(weights)
            for j, probability in zip(reached, probabilities, strict=True):
                links[b, i, j] = math.log(probability) if probability else -INF
    return links


def as_band(links, band):
    """Dense links as banded ones."""
    batch, length, _ = links.shape
    banded = torch.full((batch, length, band), -INF, dtype=links.dtype)
    for i in range(length):
        for k in range(min(band, length - i - 1)):
            banded[:, i, k] = links[:, i, i + 1 + k]
    return banded


def gradients(function, query, key, gates, lengths, band, grad):
    """The gradients of query, key and gates for that of the links, where these are possible."""
    inputs = [tensor.detach().requires_grad_() for tensor in (query, key, gates)]
    links = function(*inputs, lengths, band)
    possible = links > -INF
    return torch.autograd.grad(links[possible], inputs, grad.to(links)[possible])


def to(device, *tensors):
    return [tensor.to(device) for tensor in tensors]


@settings(max_examples=40)
@given(graph=graphs())
def test_values_are_those_of_the_sums_written_out(device, graph):
    *tensors, band = graph
    expected = written_out(*graph)
    if band is not None:
        expected = as_band(expected, band)
    assert_close(dag_links_reference(*graph), expected, rtol=1e-9, atol=1e-12)
    assert_close(dag_links(*to(device, *tensors), band).cpu(), expected, rtol=1e-9, atol=1e-12)


@settings(max_examples=40)
@given(graph=graphs(), seed=st.integers(0, 2**31))
def test_gradients_are_the_references(device, graph, seed):
    *tensors, band = graph
    width = tensors[0].shape[1] if band is None else band
    grad = torch.randn(*tensors[0].shape[:2], width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    expected = gradients(dag_links_reference, *graph, grad)
    measured = gradients(dag_links, *to(device, *tensors), band, grad)
    for one, other in zip(measured, expected, strict=True):
        assert_close(one.cpu(), other, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("band", [None, 2])
def test_gradcheck(device, band):
    query, key, gates, lengths = to(device, *random_graphs([5, 1, 3]))
    inputs = [tensor.requires_grad_() for tensor in (query, key, gates)]

    def probabilities(*inputs):
        return dag_links(*inputs, lengths, band).exp()

    assert torch.autograd.gradcheck(probabilities, inputs)


@pytest.mark.parametrize("band", [0, 2])
def test_opcheck(device, band):
    query, key, gates, lengths = to(device, *random_graphs([5, 1, 3]))
    inputs = [tensor.requires_grad_() for tensor in (query, key, gates)]
    torch.library.opcheck(_dag_links, (*inputs, lengths, band))


def test_compiles_without_a_break(device):
    query, key, gates, lengths = to(device, *random_graphs([5, 1, 3]))
    grad = torch.randn(3, 5, 5)
    compiled = torch.compile(dag_links, fullgraph=True, backend="aot_eager")
    assert_close(compiled(query, key, gates, lengths), dag_links(query, key, gates, lengths), rtol=0, atol=0)
    expected = gradients(dag_links, query, key, gates, lengths, None, grad)
    for one, other in zip(gradients(compiled, query, key, gates, lengths, None, grad), expected, strict=True):
        assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("band", [None, 1, 40, 200])
def test_sentences_of_mixed_lengths_are_as_alone(device, band):
    """Over several blocks of rows and columns, whatever the padding holds, and with padding's gradient 0."""
    lengths = [90, 1, 64, 33, 2, 32]
    query, key, gates, lengths = to(device, *random_graphs(lengths, heads=3, dimension=33))
    for b, length in enumerate(lengths):
        for tensor in (query, key, gates):
            tensor[b, length:] = torch.nan
    grad = torch.randn(len(lengths), 90, band or 90, dtype=torch.float64)
    links = dag_links(query, key, gates, lengths, band)
    assert_close(links, dag_links_reference(query, key, gates, lengths, band), rtol=1e-9, atol=1e-9)
    grads = gradients(dag_links, query, key, gates, lengths, band, grad)
    references = gradients(dag_links_reference, query, key, gates, lengths, band, grad)
    for one, other in zip(grads, references, strict=True):
        assert_close(one, other, rtol=1e-7, atol=1e-9)
    for b, length in enumerate(lengths.tolist()):
        alone = [tensor[b : b + 1, :length].contiguous() for tensor in (query, key, gates)]
        width = length if band is None else band
        shown = links[b, :length, :width]
        assert_close(dag_links(*alone, lengths[b : b + 1], band)[0], shown, rtol=1e-12, atol=1e-12)
        of_alone = gradients(dag_links, *alone, lengths[b : b + 1], band, grad[b : b + 1, :length, :width])
        for one, other in zip(of_alone, grads, strict=True):
            assert_close(one[0], other[b, :length], rtol=1e-9, atol=1e-11)
            assert not other[b, length:].any()
        assert torch.isneginf(links[b, length - 1 :]).all()


def test_a_graph_of_one_vertex_has_no_transition(device):
    query, key, gates, lengths = to(device, *random_graphs([1]))
    assert dag_links(query, key, gates, lengths).tolist() == [[[-INF]]]
    assert dag_links(query, key, gates, lengths, band=3).tolist() == [[[-INF] * 3]]
    inputs = [tensor.requires_grad_() for tensor in (query, key, gates)]
    for grad in torch.autograd.grad(dag_links(*inputs, lengths).exp().sum(), inputs):
        assert not grad.any()


def test_a_vertex_without_heads_has_no_transition_and_no_gradient(device):
    query, key, gates, lengths = to(device, *random_graphs([4]))
    gates[0, 1] = -INF
    inputs = [tensor.requires_grad_() for tensor in (query, key, gates)]
    for function in (dag_links, dag_links_reference):
        links = function(*inputs, lengths)
        assert torch.isneginf(links[0, 1]).all()
        grads = torch.autograd.grad(links[:, 0].exp().square().sum() + links[:, 1, 2:].sum(), inputs)
        assert all(grad.isfinite().all() for grad in grads)
        assert not grads[0][0, 1].any() and not grads[2][0, 1].any()


def test_transitions_from_a_vertex_sum_to_one(device):
    links = dag_links(*to(device, *random_graphs([70, 40], heads=8, dtype=torch.float32)))
    for b, length in enumerate([70, 40]):
        total = links[b, : length - 1].exp().sum(1)
        assert_close(total, torch.ones_like(total))


def test_float32_keeps_probabilities_that_its_exponents_cannot_hold(device):
    """Scores hundreds of nats apart: nothing becomes impossible that is not, and gradients stay right."""
    *tensors, lengths = random_graphs([40], heads=2, dimension=4, scale=20.0)
    query, key, gates = (tensor.float() for tensor in tensors)
    expected = dag_links_reference(query.double(), key.double(), gates.double(), lengths)
    assert expected[expected > -INF].min() < -500
    links = dag_links(*to(device, query, key, gates, lengths)).cpu()
    assert_close(links.double(), expected, rtol=1e-5, atol=1e-4)
    grad = torch.randn(1, 40, 40)
    measured = gradients(dag_links, *to(device, query, key, gates, lengths), None, grad)
    truth = gradients(dag_links_reference, query.double(), key.double(), gates.double(), lengths, None, grad)
    for one, other in zip(measured, truth, strict=True):
        assert_close(one.cpu().double(), other, rtol=1e-3, atol=1e-3 * other.abs().max().item())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_float32(device, dtype):
    query, key, gates, lengths = to(device, *random_graphs([50, 7], heads=4, dimension=16, dtype=dtype))
    grad = torch.randn(2, 50, 50)
    links = dag_links(query, key, gates, lengths)
    assert links.dtype == torch.float32
    assert_close(links, dag_links(query.float(), key.float(), gates, lengths), rtol=1e-6, atol=1e-6)
    measured = gradients(dag_links, query, key, gates, lengths, None, grad)
    whole = gradients(dag_links, query.float(), key.float(), gates, lengths, None, grad)
    assert [one.dtype for one in measured] == [dtype, dtype, torch.float64]
    for one, other in zip(measured[:2], whole[:2], strict=True):
        assert_close(one, other.to(dtype), rtol=1e-2, atol=1e-4)


def test_reference_is_what_use_forces(device):
    query, key, gates, lengths = to(device, *random_graphs([6, 3]))
    with use("reference"):
        links = dag_links(query.requires_grad_(), key, gates, lengths)
    assert "natlab" not in str(links.grad_fn)
    assert_close(links, dag_links_reference(query, key, gates, lengths), rtol=0, atol=0)


def test_refusals():
    query, key, gates, lengths = random_graphs([6, 3])
    with pytest.raises(ValueError, match="do not fit"):
        dag_links(query, key[:, 1:], gates, lengths)
    with pytest.raises(ValueError, match="query is torch.float64, key torch.float32"):
        dag_links(query, key.float(), gates, lengths)
    with pytest.raises(ValueError, match="int64"):
        dag_links(query, key, gates, lengths.int())
    with pytest.raises(ValueError, match="band of 0"):
        dag_links(query, key, gates, lengths, band=0)


def test_lengths_out_of_range_are_refused_on_the_cpu():
    query, key, gates, _ = random_graphs([6, 3])
    for lengths in ([7, 3], [6, -1]):
        with pytest.raises(RuntimeError, match="length"):
            dag_links(query, key, gates, torch.tensor(lengths))
