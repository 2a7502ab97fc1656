import itertools
from dataclasses import replace

import pytest
import torch

from natlab.kernels import use
from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.transformer import Config, Transformer
from natlab.proxy import registry
from natlab.training.objective import LENGTH_WEIGHT, Proxies, autoregressive_loss, batch_loss

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
    torch.testing.assert_close(loss.nll.sum(), expected.detach())
    assert (loss.tokens.sum(), loss.predicted.sum(), loss.length_nll.sum()) == (6, 8, 0)


def test_nat_loss_is_the_log_probability_of_each_token_alone_and_of_the_length(nat):
    loss = batch_loss(nat, SOURCE, TARGET, proxies(), progress=0.0)
    nll = length_nll = weighted = 0.0
    for source, target in ((SOURCE[:1], [9, 10]), (SOURCE[1:, :3], [4, 5, 6, 7])):
        encoded = nat.encoder(source)
        length = torch.tensor([len(target)])
        logp = nat.logits(nat.decode(encoded, length)).log_softmax(2)[0]
        nll -= sum(logp[i, word] for i, word in enumerate(target))
        of_length = -nat.length_logits(encoded).log_softmax(1)[0, nat.length_class(encoded, length)[0]]
        length_nll += of_length
        weighted += LENGTH_WEIGHT * len(target) * of_length
    torch.testing.assert_close(loss.nll.sum(), nll.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(loss.length_nll.sum(), length_nll.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(loss.loss, nll + weighted, rtol=1e-4, atol=1e-4)
    assert (loss.tokens.sum(), loss.predicted.sum()) == (6, 6)


def test_gradients_of_parts_of_a_batch_add_up_to_the_batchs(nat):
    """Gradient accumulation weighs each token alike, whatever the sizes of the parts."""

    def gradient(rows):
        nat.zero_grad()
        part = batch_loss(nat, SOURCE[rows], TARGET[rows], proxies(), 0.0, smoothing=0.1)
        part.loss.backward()
        return int(part.predicted.sum()), [parameter.grad.clone() for parameter in nat.parameters()]

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
    loss = batch_loss(nat, SOURCE, TARGET, made, 0.0)
    assert (loss.tokens.sum(), loss.predicted.sum()) == (6, 3)
    encoded = nat.encoder(SOURCE)
    reference = torch.tensor([[9, 10, 1, 1], [4, 5, 6, 7]])
    logp = nat.logits(nat.decode(encoded, torch.tensor([2, 4]), Half()(None, None), reference)).log_softmax(2)
    expected = -(logp[0, 1, 10] + logp[1, 1, 5] + logp[1, 3, 7])
    torch.testing.assert_close(loss.nll.sum(), expected.detach(), rtol=1e-4, atol=1e-4)


def test_masked_token_loss_is_the_loss_of_a_model_that_copies_what_is_revealed(nat):
    """MPLE, appendix E.6: with a copy mechanism, revealed tokens have probability 1."""
    made = Proxies(registry.load("targets", "raw"), registry.load("inputs", "cmlm", ratio=0.5))
    loss = batch_loss(nat, SOURCE, TARGET, made, 0.0)
    target, revealed = loss.proxied.target, loss.proxied.revealed
    assert revealed.any() and (loss.proxied.target.ne(1) & ~revealed).any()
    encoded = nat.encoder(SOURCE)
    probability = nat.logits(nat.decode(encoded, torch.tensor([2, 4]), revealed, target)).softmax(2)
    copied = torch.where(revealed[:, :, None], torch.nn.functional.one_hot(target, 12), probability)
    inside = target.ne(1)
    expected = -copied.gather(2, target[:, :, None])[:, :, 0][inside].log().sum()
    torch.testing.assert_close(loss.nll.sum(), expected.detach(), rtol=1e-4, atol=1e-4)


def test_the_lengths_to_predict_are_those_of_the_proxy_target(nat):
    class Shorter:
        def __call__(self, references, prediction):
            return references.tokens.masked_fill(torch.arange(4) > 0, 1)

    loss = batch_loss(nat, SOURCE, TARGET, Proxies(Shorter(), registry.load("inputs", "vanilla")), 0.0)
    encoded = nat.encoder(SOURCE)
    one = nat.length_class(encoded, torch.tensor([1, 1]))
    expected = -nat.length_logits(encoded).log_softmax(1).gather(1, one[:, None]).sum()
    torch.testing.assert_close(loss.length_nll.sum(), expected.detach())
    assert loss.tokens.tolist() == [1, 1] and loss.proxied.target.tolist() == [[9], [4]]


def test_the_masking_head_learns_which_positions_are_masked_and_changes_nothing_else():
    """Its loss is the binary cross-entropy under Z* of which tokens are masked; all other gradients are as without."""

    class Half:
        def __call__(self, target, prediction):
            return torch.tensor([[True, False, False, False], [True, False, True, False]])

    made, gradients = Proxies(registry.load("targets", "raw"), Half()), []
    for predictor in (False, True):
        torch.manual_seed(0)
        model = NonAutoregressiveTransformer(replace(CONFIG, dropout=0.1), predictor=predictor)
        torch.manual_seed(1)
        loss = batch_loss(model, SOURCE, TARGET, made, 0.0)
        loss.loss.backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if not name.startswith("masked")})
        assert bool(loss.masked_nll) is predictor
    assert gradients[0].keys() == gradients[1].keys()
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])
    assert model.masked.weight.grad.any()
    model.eval()
    states = model.decode(model.encoder(SOURCE), torch.tensor([2, 4]))
    shown = model.masked_logits(states).sigmoid().log(), (-model.masked_logits(states)).sigmoid().log()
    masked, revealed = shown
    expected = -(revealed[0, 0] + masked[0, 1] + revealed[1, 0] + masked[1, 1] + revealed[1, 2] + masked[1, 3])
    torch.testing.assert_close(batch_loss(model, SOURCE, TARGET, made, 0.0).masked_nll, expected.detach())


OPTIONS = {"axe": {"delta": 1.0}}
CANDIDATES = {
    "candidates": torch.tensor([[[9, 1, 1, 1], [9, 10, 1, 1]], [[4, 5, 7, 1], [4, 5, 6, 7]]]),
    "bleu": torch.full((2, 2, 2), 50.0),
    "gamma": torch.ones(2),
}


@pytest.mark.parametrize("target, input", itertools.product(registry.names("targets"), registry.names("inputs")))
def test_any_target_works_with_any_input_and_training_reduces_the_loss(target, input):
    torch.manual_seed(0)
    model = NonAutoregressiveTransformer(CONFIG, blank=registry.trait(target, "blank"), predictor=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    made, seen = (
        Proxies(registry.load("targets", target, **OPTIONS.get(target, {})), registry.load("inputs", input)),
        [],
    )
    for _ in range(25):
        with use("reference"):
            loss = batch_loss(model, SOURCE, TARGET, made, 0.0, candidates=CANDIDATES if target == "dynamic" else None)
        optimizer.zero_grad()
        (loss.loss / loss.predicted.sum()).backward()
        optimizer.step()
        seen.append(float(loss.nll.sum()) / max(1, int(loss.predicted.sum())))
    assert seen[-1] < 0.6 * seen[0]
