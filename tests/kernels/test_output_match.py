"""The fused output layer against logits, then gathering."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from natlab.kernels import gather_log_softmax, output_match, use
from natlab.kernels.gather_log_softmax import gather_log_softmax_reference
from natlab.kernels.output_match import LOGITS, _output_match, output_match_reference


def random_batch(lengths, targets, vocabulary=7, width=4, dtype=torch.float64, seed=0, beyond=0):
    """hidden, weight, tokens, lengths, target lengths; so many vertices and tokens lie beyond the longest."""
    generator = torch.Generator().manual_seed(seed)
    batch, length, target = len(lengths), max(lengths) + beyond, max(targets) + beyond
    hidden = torch.randn(batch, length, width, generator=generator, dtype=torch.float64).to(dtype)
    weight = torch.randn(vocabulary, width, generator=generator, dtype=torch.float64) * 2
    weight = weight.to(torch.float64 if dtype == torch.float64 else torch.float32)
    tokens = torch.randint(vocabulary, (batch, target), generator=generator)
    return hidden, weight, tokens, torch.tensor(lengths), torch.tensor(targets)


@st.composite
def batches(draw):
    """Of any lengths, padded to any size, with repeated tokens."""
    batch = draw(st.integers(1, 5))
    lengths = draw(st.lists(st.integers(0, 6), min_size=batch, max_size=batch))
    targets = draw(st.lists(st.integers(0, 6), min_size=batch, max_size=batch))
    sizes = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    return random_batch(lengths, targets, *sizes, seed=draw(st.integers(0, 2**31)), beyond=draw(st.integers(0, 2)))


def then_gathered(hidden, weight, *rest):
    return gather_log_softmax_reference(hidden @ weight.to(hidden.dtype).t(), *rest)


def gradients(function, hidden, weight, tokens, lengths, targets, grad):
    hidden, weight = hidden.detach().requires_grad_(), weight.detach().requires_grad_()
    match = function(hidden, weight, tokens, lengths, targets)
    possible = match > -math.inf
    return torch.autograd.grad(match[possible], (hidden, weight), grad.to(match)[possible])


def to(device, *tensors):
    return [tensor.to(device) for tensor in tensors]


@pytest.fixture(params=[1, 20, 1 << 20], ids=lambda logits: f"{logits} logits at once")
def chunks(request, monkeypatch):
    """How many logits a chunk holds: those of one vertex, of some, of all."""
    monkeypatch.setitem(LOGITS, "cpu", request.param)
    monkeypatch.setitem(LOGITS, "cuda", request.param)


@pytest.mark.usefixtures("chunks")
def test_values_and_gradients_are_those_of_logits_then_gathered(device):
    @settings(max_examples=40)
    @given(batch=batches())
    def check(batch):
        grad = torch.randn(*batch[2].shape, batch[0].shape[1], dtype=torch.float64)
        expected, expected_grads = then_gathered(*batch), gradients(then_gathered, *batch, grad)
        for function, where in ((output_match_reference, "cpu"), (output_match, device)):
            assert_close(function(*to(where, *batch)).cpu(), expected, rtol=1e-9, atol=1e-12)
            for one, other in zip(gradients(function, *to(where, *batch), grad), expected_grads, strict=True):
                assert_close(one.cpu(), other, rtol=1e-9, atol=1e-12)

    check()


@pytest.mark.usefixtures("chunks")
def test_gradcheck(device):
    hidden, weight, *rest = to(device, *random_batch([4, 1, 3], [3, 5, 0]))
    inputs = hidden.requires_grad_(), weight.requires_grad_()
    assert torch.autograd.gradcheck(lambda *given: output_match(*given, *rest).exp(), inputs)


@pytest.mark.parametrize("which", [0, 1])
def test_one_side_only_may_need_a_gradient(device, which):
    batch = to(device, *random_batch([4, 1, 3], [3, 5, 2]))
    grad = torch.randn(3, 5, 4, dtype=torch.float64)
    expected = gradients(output_match, *batch, grad)[which]
    match = output_match(*batch[:which], batch[which].requires_grad_(), *batch[which + 1 :])
    possible = match > -math.inf
    assert_close(torch.autograd.grad(match[possible], batch[which], grad.to(match)[possible])[0], expected)
    assert not output_match(*(tensor.detach() for tensor in batch)).requires_grad


def test_opcheck(device):
    hidden, weight, *rest = to(device, *random_batch([4, 1, 3], [3, 5, 2]))
    torch.library.opcheck(_output_match, (hidden.requires_grad_(), weight.requires_grad_(), *rest))


def test_compiles_without_a_break(device):
    batch = to(device, *random_batch([4, 1, 3], [3, 5, 2]))
    compiled = torch.compile(output_match, fullgraph=True, backend="aot_eager")
    assert_close(compiled(*batch), output_match(*batch), rtol=0, atol=0)


@pytest.mark.usefixtures("chunks")
def test_what_lies_beyond_the_lengths_reaches_nothing(device):
    hidden, weight, tokens, lengths, targets = to(device, *random_batch([5, 0, 3], [3, 2, 6], beyond=1))
    clean = hidden.clone(), weight, tokens.clone(), lengths, targets
    for b in range(3):
        hidden[b, lengths[b] :] = 1e30
        tokens[b, targets[b] :] = -7
    grad = torch.randn(3, 7, 6, dtype=torch.float64)
    for function in (output_match, output_match_reference):
        assert_close(function(hidden, weight, tokens, lengths, targets), function(*clean), rtol=0, atol=0)
        found = gradients(function, hidden, weight, tokens, lengths, targets, grad)
        for one, other in zip(found, gradients(function, *clean, grad), strict=True):
            assert_close(one, other, rtol=1e-12, atol=0)
        assert all(not found[0][b, lengths[b] :].any() for b in range(3))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_with_a_float32_weight(device, dtype):
    """Logits are of hidden's dtype, as `gather_log_softmax` gets them otherwise; the weight's gradient is float32."""
    batch = to(device, *random_batch([20, 3], [30, 9], 100, 16, dtype))
    grad = torch.randn(2, 30, 20)

    def gathered(hidden, weight, *rest):
        return gather_log_softmax(hidden @ weight.to(dtype).t(), *rest)

    match = output_match(*batch)
    assert match.dtype == torch.float32
    assert_close(match, gathered(*batch), rtol=1e-2, atol=1e-2)
    found, expected = (gradients(function, *batch, grad) for function in (output_match, gathered))
    assert [one.dtype for one in found] == [dtype, torch.float32]
    for one, other in zip(found, expected, strict=True):
        assert_close(one.float(), other.float(), rtol=5e-2, atol=5e-2 * other.abs().max().item())


def test_reference_is_what_use_forces(device):
    hidden, *rest = to(device, *random_batch([4, 2], [3, 5]))
    with use("reference"):
        match = output_match(hidden.requires_grad_(), *rest)
    assert "natlab" not in str(match.grad_fn)
    assert_close(match, output_match_reference(hidden, *rest), rtol=0, atol=0)


def test_refusals():
    hidden, weight, tokens, lengths, targets = random_batch([4, 2], [3, 5])
    with pytest.raises(ValueError, match="do not fit"):
        output_match(hidden, weight[:, 1:], tokens, lengths, targets)
    with pytest.raises(ValueError, match="do not fit"):
        output_match(hidden, weight, tokens[:1], lengths, targets)
    with pytest.raises(ValueError, match="int64"):
        output_match(hidden, weight, tokens.int(), lengths, targets)
    with pytest.raises(ValueError, match="weight is torch.float32, hidden torch.float64"):
        output_match(hidden, weight.float(), tokens, lengths, targets)
    for wrong in (lengths + 1, lengths - 3):
        with pytest.raises(RuntimeError, match="length"):
            output_match(hidden, weight, tokens, wrong, targets)
    tokens[1, 4] = 7
    with pytest.raises(IndexError, match="outside the vocabulary of 7"):
        output_match(hidden, weight, tokens, lengths, targets)
