"""The library in float32 against the references in float64 at a training batch's size: relative error at most 1e-5.

Log-probabilities are compared relative to their size, or to 1 nat where they are smaller; gradients relative to the
greatest of their tensor. References run a sentence at a time, which bounds their memory, and once for all devices.
"""

import functools

import pytest
import torch

from natlab.kernels import (
    assign,
    axe_align,
    ctc_best_alignment,
    dag_best_path,
    dag_decode,
    dag_links,
    dag_loss,
    gather_log_softmax,
    sentence_bleu,
    use,
)

B, T, L, V, H, D, BAND = 32, 48, 384, 8000, 8, 64, 32
BOUND = 1e-5


@functools.cache
def batch() -> dict[str, torch.Tensor]:
    """A batch as a model makes it, in float32: logits, tokens, heads, and the scores that references make of them."""
    generator = torch.Generator().manual_seed(0)
    target_lengths = torch.randint(T // 4, T + 1, (B,), generator=generator)
    target_lengths[0] = T
    lengths = target_lengths * (L // T)
    logits = torch.randn(B, L, V, generator=generator) * 3
    tokens = torch.randint(V, (B, T), generator=generator)
    query, key = torch.randn(2, B, L, H, D, generator=generator)
    gates = torch.randn(B, L, H, generator=generator).log_softmax(2)
    made = {"logits": logits, "tokens": tokens, "lengths": lengths, "target_lengths": target_lengths}
    made |= {"query": query, "key": key, "gates": gates}
    with use("reference"):
        sentences = zip(*(tensor.split(1) for tensor in (logits, tokens, lengths, target_lengths)), strict=True)
        made["match"] = torch.cat([gather_log_softmax(*sentence) for sentence in sentences])
        made["links"] = dag_links(query, key, gates, lengths)
        made["band"] = dag_links(query, key, gates, lengths, BAND)
    made["blank"] = torch.randn(B, L, generator=generator) - 2
    return made


def log_prob_error(measured, expected):
    """Relative to the expected log-probability, or to 1 nat; the same must be impossible."""
    measured, possible = measured.detach().cpu().double(), expected.isfinite()
    assert torch.equal(measured[~possible], expected[~possible])
    error = (measured - expected)[possible].abs() / expected[possible].abs().clamp(min=1)
    return error.max().item()


def gradient_error(measured, expected):
    return ((measured.cpu().double() - expected).abs().max() / expected.abs().max()).item()


def run(op, inputs, others, grad):
    """The result of ``op`` and, for the gradient ``grad`` of it, those of its inputs."""
    inputs = [tensor.detach().requires_grad_() for tensor in inputs]
    result = op(*inputs, *others)
    possible = result > -torch.inf
    grads = torch.autograd.grad(result[possible], inputs, grad.to(result)[possible])
    return result.detach(), grads


@functools.cache
def expected(op, names, others, shape, sentences=range(B)):
    """`run` of the reference in float64, sentence by sentence."""
    grad = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    results = []
    with use("reference"):
        for b in sentences:
            inputs = [batch()[name][b : b + 1].double() for name in names]
            arguments = [batch()[name][b : b + 1] if isinstance(name, str) else name for name in others]
            results.append(run(op, inputs, arguments, grad[b : b + 1]))
    values, grads = zip(*results, strict=True)
    return grad, torch.cat(values), [torch.cat(parts) for parts in zip(*grads, strict=True)]


def check(device, op, names, others, shape, sentences=range(B)):
    grad, values, grads = expected(op, names, others, shape, sentences)
    inputs = [batch()[name].to(device) for name in names]
    arguments = [batch()[name].to(device) if isinstance(name, str) else name for name in others]
    measured, measured_grads = run(op, inputs, arguments, grad)
    assert log_prob_error(measured[list(sentences)], values) <= BOUND
    for one, other in zip(measured_grads, grads, strict=True):
        assert gradient_error(one[list(sentences)], other) <= BOUND


def test_gather_log_softmax(device):
    others = ("tokens", "lengths", "target_lengths")
    check(device, gather_log_softmax, ("logits",), others, (B, T, L), range(0, B, 8))


@pytest.mark.parametrize("band", [None, BAND])
def test_dag_links(device, band):
    check(device, dag_links, ("query", "key", "gates"), ("lengths", band), (B, L, band or L))


@pytest.mark.parametrize("links, band", [("links", None), ("band", BAND)])
def test_dag_loss(device, links, band):
    check(device, dag_loss, ("match", links), ("lengths", "target_lengths", band), (B,))


def axe_cost(logp, blank, target_lengths, lengths):
    return axe_align(logp, blank, target_lengths, lengths, delta=2.0).cost


def test_axe_align(device):
    check(device, axe_cost, ("match", "blank"), ("target_lengths", "lengths"), (B,))


@functools.cache
def expected_path(op, names, others, options=()):
    inputs = [batch()[name].double() for name in names]
    with use("reference"):
        return op(*inputs, *(batch()[name] for name in others), **dict(options))[0]


def check_path(device, op, names, others, options=()):
    """The log-probability; that the path has it is `op`'s own test, as paths may differ by less than float32 holds."""
    arguments = [batch()[name].to(device) for name in (*names, *others)]
    log_prob = op(*arguments, **dict(options))[0]
    assert log_prob_error(log_prob, expected_path(op, names, others, options)) <= BOUND


@pytest.mark.parametrize("links, band", [("links", None), ("band", BAND)])
def test_dag_best_path(device, links, band):
    check_path(device, dag_best_path, ("match", links), ("lengths", "target_lengths"), (("band", band),))


@pytest.mark.parametrize("strategy", ["greedy", "lookahead", "viterbi", "joint_viterbi"])
def test_dag_decode(device, strategy):
    options = (("strategy", strategy), ("max_length", T))
    check_path(device, dag_decode, ("links", "blank"), ("lengths",), options)


def test_ctc_best_alignment(device):
    names = "tokens", "lengths", "target_lengths"
    check_path(device, ctc_best_alignment, ("match", "blank"), names)


@functools.cache
def expected_cost():
    with use("reference"):
        return cost_of(assign(*assignment_problem("cpu")))


def assignment_problem(device):
    """OaXE's: the negative log-probability of target token j at position i, for as many positions as tokens."""
    return (-batch()["match"][:, :, :T]).transpose(1, 2).contiguous().to(device), batch()["target_lengths"].to(device)


def cost_of(columns):
    cost, lengths = assignment_problem("cpu")
    taken = cost.double().gather(2, columns.cpu().clamp(min=0)[:, :, None]).squeeze(2)
    return taken.masked_fill(torch.arange(T) >= lengths[:, None], 0).sum(1)


def test_assign(device):
    assert log_prob_error(cost_of(assign(*assignment_problem(device))), expected_cost()) <= BOUND


@functools.cache
def expected_bleu():
    with use("reference"):
        return sentence_bleu(*sentences("cpu"))


def sentences(device):
    """Hypotheses that share much with the references: each token of these with probability 0.8."""
    generator = torch.Generator().manual_seed(2)
    tokens, lengths = batch()["tokens"], batch()["target_lengths"]
    changed = torch.rand(tokens.shape, generator=generator) < 0.2
    hypotheses = torch.where(changed, torch.randint(V, tokens.shape, generator=generator), tokens)
    return [tensor.to(device) for tensor in (hypotheses, lengths, tokens, lengths)]


def test_sentence_bleu(device):
    measured = sentence_bleu(*sentences(device)).cpu()
    assert (measured - expected_bleu()).abs().max() <= 1e-6
