import itertools

import pytest
import torch

from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.transformer import Config, Transformer
from natlab.proxy import registry
from natlab.training.objective import LENGTH_WEIGHT, Proxies, autoregressive_loss, non_autoregressive_loss

CONFIG = Config(16, 32, 1, 1, 2, 0.0, 12, 12, True)
SOURCE = torch.tensor([[4, 5, 6, 2], [7, 8, 2, 1]])
TARGET = torch.tensor([[9, 10, 2, 1, 1], [4, 5, 6, 7, 2]])


def proxies(target="raw", input="vanilla"):
    return Proxies(registry.load("targets", target), registry.load("inputs", input))


@pytest.fixture
def nat():
    torch.manual_seed(0)
    return NonAutoregressiveTransformer(CONFIG)


def test_autoregressive_loss_is_the_log_probability_of_each_token_and_of_eos():
    torch.manual_seed(0)
    model = Transformer(CONFIG)
    loss = autoregressive_loss(model, SOURCE, TARGET)
    expected = 0.0
    for source, target in ((SOURCE[:1], [9, 10, 2]), (SOURCE[1:, :3], [4, 5, 6, 7, 2])):
        logp = model.logits(model(source, torch.tensor([[2, *target[:-1]]]))).log_softmax(2)[0]
        expected -= sum(logp[i, word] for i, word in enumerate(target))
    torch.testing.assert_close(loss.nll, expected.detach())
    assert (loss.tokens, loss.predicted, loss.length_nll.item()) == (6, 8, 0)


def test_nat_loss_is_the_log_probability_of_each_token_alone_and_of_the_length(nat):
    loss = non_autoregressive_loss(nat, SOURCE, TARGET, proxies(), progress=0.0)
    nll = length_nll = weighted = 0.0
    for source, target in ((SOURCE[:1], [9, 10]), (SOURCE[1:, :3], [4, 5, 6, 7])):
        encoded = nat.encoder(source)
        length = torch.tensor([len(target)])
        logp = nat.logits(nat.decode(encoded, length)).log_softmax(2)[0]
        nll -= sum(logp[i, word] for i, word in enumerate(target))
        of_length = -nat.length_logits(encoded).log_softmax(1)[0, nat.length_class(encoded, length)[0]]
        length_nll += of_length
        weighted += LENGTH_WEIGHT * len(target) * of_length
    torch.testing.assert_close(loss.nll, nll.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(loss.length_nll, length_nll.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(loss.loss, nll + weighted, rtol=1e-4, atol=1e-4)
    assert (loss.tokens, loss.predicted) == (6, 6)


def test_gradients_of_parts_of_a_batch_add_up_to_the_batchs(nat):
    """Gradient accumulation weighs each token alike, whatever the sizes of the parts."""

    def gradient(rows):
        nat.zero_grad()
        part = non_autoregressive_loss(nat, SOURCE[rows], TARGET[rows], proxies(), 0.0, smoothing=0.1)
        part.loss.backward()
        return part.predicted, [parameter.grad.clone() for parameter in nat.parameters()]

    (n1, first), (n2, second), (n, whole) = gradient([0]), gradient([1]), gradient([0, 1])
    assert n1 + n2 == n
    for a, b, c in zip(first, second, whole, strict=True):
        torch.testing.assert_close((a + b) / n, c / n, rtol=1e-4, atol=1e-5)


def test_revealed_tokens_cost_nothing(nat):
    """Masked-token loss: only what is not revealed is predicted (MPLE, appendix E.6)."""

    class Half:
        def __call__(self, target, prediction):
            return torch.tensor([[True, False, False, False], [True, False, True, False]])

    made = Proxies(registry.load("targets", "raw"), Half())
    loss = non_autoregressive_loss(nat, SOURCE, TARGET, made, 0.0)
    assert (loss.tokens, loss.predicted) == (6, 3)
    encoded = nat.encoder(SOURCE)
    reference = torch.tensor([[9, 10, 1, 1], [4, 5, 6, 7]])
    logp = nat.logits(nat.decode(encoded, torch.tensor([2, 4]), Half()(None, None), reference)).log_softmax(2)
    expected = -(logp[0, 1, 10] + logp[1, 1, 5] + logp[1, 3, 7])
    torch.testing.assert_close(loss.nll, expected.detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("target, input", itertools.product(registry.names("targets"), registry.names("inputs")))
def test_any_target_works_with_any_input_and_training_reduces_the_loss(nat, target, input):
    optimizer = torch.optim.Adam(nat.parameters(), lr=0.01)
    made, seen = proxies(target, input), []
    for _ in range(60):
        loss = non_autoregressive_loss(nat, SOURCE, TARGET, made, 0.0)
        optimizer.zero_grad()
        (loss.loss / loss.predicted).backward()
        optimizer.step()
        seen.append(float(loss.nll))
    assert seen[-1] < 0.2 * seen[0]
