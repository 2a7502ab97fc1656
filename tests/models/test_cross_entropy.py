import pytest
import torch
import torch.nn.functional as F

from natlab.models.cross_entropy import ROWS, likeliest, linear_cross_entropy


def direct(hidden, weight, target, smoothing):
    """The definition, by the whole table of log-probabilities."""
    logp = F.log_softmax(hidden @ weight.t(), dim=1)
    nll = -logp[torch.arange(len(target)), target]
    others = -logp.sum(1) - nll
    return ((1 - smoothing) * nll + smoothing / (logp.shape[1] - 1) * others).sum(), nll


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("tokens", [1, 7, ROWS["cpu"], ROWS["cpu"] + 3])
def test_value_and_gradients_equal_the_definition(smoothing, tokens):
    torch.manual_seed(1)
    hidden = torch.randn(tokens, 6, requires_grad=True)
    weight = torch.randn(11, 6, requires_grad=True)
    target = torch.randint(11, (tokens,))
    loss, nll = linear_cross_entropy(hidden, weight, target, smoothing)
    expected, expected_nll = direct(hidden.double(), weight.double(), target, smoothing)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(nll.double(), expected_nll, rtol=1e-5, atol=1e-5)
    ours = torch.autograd.grad(3 * loss, (hidden, weight))
    theirs = torch.autograd.grad(3 * expected, (hidden, weight))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("trained", ["hidden", "weight"])
def test_gradients_of_one_side_alone_are_those_of_both(trained):
    torch.manual_seed(1)
    sides, target = {"hidden": torch.randn(5, 6), "weight": torch.randn(11, 6)}, torch.randint(11, (5,))
    sides[trained].requires_grad_()
    loss, nll = linear_cross_entropy(**sides, target=target, smoothing=0.1)
    expected, _ = direct(**sides, target=target, smoothing=0.1)
    (mine,), (other,) = (torch.autograd.grad(of, sides[trained]) for of in (loss, expected))
    torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
    assert not nll.requires_grad


def test_tokens_so_unlikely_that_their_probability_underflows_have_a_finite_loss():
    hidden = torch.tensor([[500.0, 0.0]])
    weight = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    loss, nll = linear_cross_entropy(hidden, weight, torch.tensor([1]))
    assert nll.item() == pytest.approx(500) and loss.item() == pytest.approx(500)


def test_bfloat16_states_give_nearly_the_same_loss():
    torch.manual_seed(0)
    hidden, weight, target = torch.randn(50, 16), torch.randn(30, 16), torch.randint(30, (50,))
    exact, _ = linear_cross_entropy(hidden, weight, target, 0.1)
    rounded, nll = linear_cross_entropy(hidden.bfloat16(), weight, target, 0.1)
    assert nll.dtype == torch.float32
    assert rounded.item() == pytest.approx(exact.item(), rel=0.01)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_likeliest_word_and_the_normaliser_are_those_of_the_logits(dtype):
    torch.manual_seed(0)
    hidden, weight = torch.randn(1100, 8).to(dtype), torch.randn(23, 8)  # more rows than are held at once
    logits = (hidden @ weight.to(dtype).t()).float()
    words, normaliser = likeliest(hidden, weight)
    assert torch.equal(words, logits.argmax(1))
    torch.testing.assert_close(normaliser, logits.logsumexp(1))
