"""Gathered log-probabilities against the softmax written out."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from natlab.kernels import use
from natlab.kernels.gather_log_softmax import (
    _gather_log_softmax,
    gather_log_softmax,
    gather_log_softmax_reference,
)

INF = math.inf


@st.composite
def batches(draw):
    """Logits (some -inf, some rows wholly), tokens with repetitions, lengths and target lengths."""
    batch, vocabulary = draw(st.integers(1, 3)), draw(st.integers(1, 6))
    lengths = draw(st.lists(st.integers(1, 5), min_size=batch, max_size=batch))
    targets = draw(st.lists(st.integers(0, 6), min_size=batch, max_size=batch))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    length, target = max(lengths) + draw(st.integers(0, 2)), max(targets) + draw(st.integers(0, 2))
    logits = torch.randn(batch, length, vocabulary, generator=generator, dtype=torch.float64) * 3
    never = torch.rand(logits.shape, generator=generator) < draw(st.sampled_from([0, 0.4]))
    tokens = torch.randint(vocabulary, (batch, target), generator=generator)
    return logits.masked_fill(never, -INF), tokens, torch.tensor(lengths), torch.tensor(targets)


def random_batch(lengths, targets, vocabulary, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(len(lengths), max(lengths), vocabulary, generator=generator, dtype=torch.float64) * 3
    tokens = torch.randint(vocabulary, (len(lengths), max(targets)), generator=generator)
    return logits.to(dtype), tokens, torch.tensor(lengths), torch.tensor(targets)


def written_out(logits, tokens, lengths, targets):
    """The log-probabilities and, for the gradient `grad` of them, the function that gives the logits' gradient."""
    batch, length, vocabulary = logits.shape
    match = torch.full((batch, tokens.shape[1], length), -INF, dtype=torch.float64)
    derivative = torch.zeros(*match.shape, vocabulary, dtype=torch.float64)
    for b in range(batch):
        for l in range(lengths[b]):
            weights = [math.exp(logit) for logit in logits[b, l]]
            for t in range(targets[b]):
                token = tokens[b, t]
                if weights[token]:
                    match[b, t, l] = math.log(weights[token] / sum(weights))
                    derivative[b, t, l] = -torch.tensor(weights, dtype=torch.float64) / sum(weights)
                    derivative[b, t, l, token] += 1
    return match, derivative


def gradient(function, logits, tokens, lengths, targets, grad):
    logits = logits.detach().requires_grad_()
    match = function(logits, tokens, lengths, targets)
    possible = match > -INF
    return torch.autograd.grad(match[possible], logits, grad.to(match)[possible])[0]


def to(device, *tensors):
    return [tensor.to(device) for tensor in tensors]


@settings(max_examples=40)
@given(batch=batches(), seed=st.integers(0, 2**31))
def test_values_and_gradients_are_those_written_out(device, batch, seed):
    expected, derivative = written_out(*batch)
    grad = torch.randn(expected.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    expected_gradient = torch.einsum("btlv,btl->blv", derivative, grad)
    for function, where in ((gather_log_softmax_reference, "cpu"), (gather_log_softmax, device)):
        assert_close(function(*to(where, *batch)).cpu(), expected, rtol=1e-9, atol=1e-12)
        measured = gradient(function, *to(where, *batch), grad).cpu()
        assert_close(measured, expected_gradient, rtol=1e-9, atol=1e-12)


def test_gradcheck(device):
    logits, tokens, lengths, targets = to(device, *random_batch([4, 1, 3], [3, 5, 0], 6))

    def probabilities(logits):
        return gather_log_softmax(logits, tokens, lengths, targets).exp()

    assert torch.autograd.gradcheck(probabilities, [logits.requires_grad_()])


def test_opcheck(device):
    logits, *rest = to(device, *random_batch([4, 1, 3], [3, 5, 0], 6))
    torch.library.opcheck(_gather_log_softmax, (logits.requires_grad_(), *rest))


def test_compiles_without_a_break(device):
    batch = to(device, *random_batch([4, 1, 3], [3, 5, 2], 6))
    grad = torch.randn(3, 5, 4)
    compiled = torch.compile(gather_log_softmax, fullgraph=True, backend="aot_eager")
    assert_close(compiled(*batch), gather_log_softmax(*batch), rtol=0, atol=0)
    expected = gradient(gather_log_softmax, *batch, grad)
    assert_close(gradient(compiled, *batch, grad), expected, rtol=0, atol=0)


@pytest.mark.parametrize("vocabulary", [1, 31, 1025])
def test_sentences_of_mixed_lengths_are_as_alone(device, vocabulary):
    """Whatever the padding holds, and with padding's gradient 0."""
    logits, tokens, lengths, targets = to(device, *random_batch([9, 1, 5], [3, 7, 40], vocabulary))
    for b in range(3):
        logits[b, lengths[b] :] = torch.nan
        tokens[b, targets[b] :] = -7
    grad = torch.randn(3, 40, 9, dtype=torch.float64)
    match = gather_log_softmax(logits, tokens, lengths, targets)
    assert_close(match, gather_log_softmax_reference(logits, tokens, lengths, targets), rtol=1e-9, atol=1e-12)
    whole = gradient(gather_log_softmax, logits, tokens, lengths, targets, grad)
    for b, (length, target) in enumerate(zip(lengths.tolist(), targets.tolist(), strict=True)):
        alone = logits[b : b + 1, :length], tokens[b : b + 1, :target], lengths[b : b + 1], targets[b : b + 1]
        assert_close(gather_log_softmax(*alone)[0], match[b, :target, :length], rtol=0, atol=0)
        of_alone = gradient(gather_log_softmax, *alone, grad[b : b + 1, :target, :length])
        assert_close(of_alone[0], whole[b, :length], rtol=0, atol=0)
        assert not whole[b, length:].any()
        assert torch.isneginf(match[b, target:]).all() and torch.isneginf(match[b, :, length:]).all()


def test_a_vertex_that_can_emit_nothing_is_impossible_and_has_no_gradient(device):
    logits, *rest = to(device, *random_batch([3], [4], 5))
    logits[0, 1] = -INF
    for function in (gather_log_softmax, gather_log_softmax_reference):
        match = function(logits.requires_grad_(), *rest)
        assert torch.isneginf(match[0, :, 1]).all()
        (grad,) = torch.autograd.grad(match.sum(), logits)
        assert not grad[0, 1].any() and grad.isfinite().all()


def test_logits_far_apart(device):
    """Neither large logits nor large differences overflow or lose what they should keep."""
    logits = torch.tensor([[[1e4, 1e4 - 3, -1e4], [-1e4, -1e4, -1e4], [0.0, -200.0, -90.0]]])
    tokens, lengths, targets = torch.tensor([[0, 1, 2]]), torch.tensor([3]), torch.tensor([3])
    expected = logits.double().log_softmax(2).transpose(1, 2).float()
    assert_close(gather_log_softmax(*to(device, logits, tokens, lengths, targets)).cpu(), expected)


def test_nan_stays_visible(device):
    logits, *rest = to(device, *random_batch([2], [2], 5))
    logits[0, 0, 3] = torch.nan
    logits[0, 1] = torch.nan
    assert gather_log_softmax(logits, *rest).isnan().all()
    assert gather_log_softmax_reference(logits, *rest).isnan().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_float32(device, dtype):
    """Also where a token occurs often: its gradient is rounded once."""
    logits, tokens, lengths, targets = to(device, *random_batch([20, 3], [30, 9], 100, dtype))
    tokens[0, :20] = 5
    grad = torch.randn(2, 30, 20)
    match = gather_log_softmax(logits, tokens, lengths, targets)
    assert match.dtype == torch.float32
    assert_close(match, gather_log_softmax(logits.float(), tokens, lengths, targets), rtol=1e-6, atol=1e-6)
    measured = gradient(gather_log_softmax, logits, tokens, lengths, targets, grad)
    whole = gradient(gather_log_softmax, logits.float(), tokens, lengths, targets, grad)
    assert measured.dtype == dtype
    assert_close(measured, whole.to(dtype), rtol=1e-2, atol=1e-5)


def test_reference_is_what_use_forces(device):
    logits, *rest = to(device, *random_batch([4, 2], [3, 5], 6))
    with use("reference"):
        match = gather_log_softmax(logits.requires_grad_(), *rest)
    assert "natlab" not in str(match.grad_fn)
    assert_close(match, gather_log_softmax_reference(logits, *rest), rtol=0, atol=0)


def test_refusals():
    logits, tokens, lengths, targets = random_batch([4, 2], [3, 5], 6)
    with pytest.raises(ValueError, match="do not fit"):
        gather_log_softmax(logits, tokens[:1], lengths, targets)
    with pytest.raises(ValueError, match="int64"):
        gather_log_softmax(logits, tokens.int(), lengths, targets)
    tokens[1, 4] = 6
    with pytest.raises(IndexError, match="outside the vocabulary of 6"):
        gather_log_softmax(logits, tokens, lengths, targets)


def test_lengths_out_of_range_are_refused_on_the_cpu():
    logits, tokens, lengths, targets = random_batch([4, 2], [3, 5], 6)
    with pytest.raises(RuntimeError, match="length"):
        gather_log_softmax(logits, tokens, lengths + 1, targets)
    with pytest.raises(RuntimeError, match="length"):
        gather_log_softmax(logits, tokens, lengths, targets - 4)
