import itertools
from dataclasses import replace

import pytest
import torch

from natlab.kernels import use
from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.transformer import Config, Transformer
from natlab.proxy import registry
from natlab.training.objective import LENGTH_WEIGHT, Proxies, autoregressive_loss, batch_loss, proxied, references_of

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


class Half:
    """Shows three of six tokens."""

    def __call__(self, target, prediction):
        return torch.tensor([[True, False, False, False], [True, False, True, False]])


@pytest.mark.parametrize("predictor", [False, True])
def test_lengths_and_masks_weigh_as_much_as_the_share_of_tokens_that_are_predicted(predictor):
    """Three of six tokens are: the loss is their nll, half of the lengths' part and half of the masks'."""
    torch.manual_seed(0)
    model = NonAutoregressiveTransformer(CONFIG, predictor=predictor)
    loss = batch_loss(model, SOURCE, TARGET, Proxies(registry.load("targets", "raw"), Half()), 0.0)
    encoded = model.encoder(SOURCE)
    chosen = model.length_class(encoded, torch.tensor([2, 4]))
    of_length = -model.length_logits(encoded).log_softmax(1).gather(1, chosen[:, None])[:, 0]
    assert LENGTH_WEIGHT == 0.1  # as in fairseq's and GLAT's NATs
    expected = loss.nll.sum() + 0.1 * 0.5 * (2 * of_length[0] + 4 * of_length[1])
    assert bool(loss.masked_nll > 0) is predictor
    torch.testing.assert_close(loss.loss, expected + 0.5 * loss.masked_nll, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(loss.length_nll, of_length.detach())
    assert not loss.length_nll.requires_grad and not loss.masked_nll.requires_grad


def test_what_each_sentence_costs_and_counts_is_its_own(nat):
    loss = batch_loss(nat, SOURCE, TARGET, Proxies(registry.load("targets", "raw"), Half()), 0.0)
    assert (loss.tokens.tolist(), loss.predicted.tolist()) == ([2, 4], [1, 2])
    encoded, reference = nat.encoder(SOURCE), torch.tensor([[9, 10, 1, 1], [4, 5, 6, 7]])
    logp = nat.logits(nat.decode(encoded, torch.tensor([2, 4]), Half()(None, None), reference)).log_softmax(2)
    torch.testing.assert_close(loss.nll, -torch.stack([logp[0, 1, 10], logp[1, 1, 5] + logp[1, 3, 7]]).detach())
    torch.manual_seed(0)
    teacher = Transformer(CONFIG)
    loss = batch_loss(teacher, SOURCE, TARGET, None, 0.0)
    assert (loss.tokens.tolist(), loss.predicted.tolist()) == ([2, 4], [3, 5])
    for row in range(2):
        alone = batch_loss(teacher, SOURCE[row, None], TARGET[row, None], None, 0.0)
        torch.testing.assert_close(alone.nll[0], loss.nll[row])
    assert loss.length_nll.tolist() == [0, 0] and loss.masked_nll == 0 and loss.proxied is None


def test_smoothing_spreads_its_part_over_all_other_words(nat):
    torch.manual_seed(0)
    teacher = Transformer(CONFIG)
    previous = torch.tensor([[2, 9, 10, 2, 1], [2, 4, 5, 6, 7]])
    of_nat, of_teacher = nat.decode(nat.encoder(SOURCE), torch.tensor([2, 4])), teacher(SOURCE, previous)
    without_eos = TARGET[:, :4].masked_fill(TARGET[:, :4].eq(2), 1)
    for model, made, states, target in ((nat, proxies(), of_nat, without_eos), (teacher, None, of_teacher, TARGET)):
        plain, smooth = (batch_loss(model, SOURCE, TARGET, made, 0.0, smoothing=share) for share in (0.0, 0.2))
        nll, every = plain.nll.sum(), -model.logits(states).log_softmax(2)[target.ne(1)].sum()
        expected = -0.2 * nll + 0.2 / 11 * (every - nll)
        torch.testing.assert_close(smooth.loss - plain.loss, expected, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(smooth.nll, plain.nll)


def test_references_are_targets_without_eos_as_wide_as_the_longest(nat):
    found = references_of(nat, torch.tensor([[9, 10, 2, 1, 1, 1], [4, 5, 6, 2, 1, 1]]), {})
    assert found.tokens.tolist() == [[9, 10, 1], [4, 5, 6]] and found.candidates is None
    assert references_of(nat, torch.tensor([[9, 2]]), {"gamma": torch.ones(3)}).gamma.tolist() == [1, 1, 1]


def test_proxies_have_the_options_of_their_specification():
    spec = {
        "architecture": "nat",
        "target": {"name": "dynamic", "beta": 0.7, "candidates": ["a", "raw"], "teacher": "a"},
        "input": {"name": "glat", "start": 0.9},
    }
    found = Proxies.of(spec)
    assert (type(found.target).__name__, found.target.beta) == ("Dynamic", 0.7)
    assert (type(found.input).__name__, found.input.start, found.input.end) == ("Glat", 0.9, 0.3)
    assert Proxies.of({**spec, "architecture": "transformer"}) is None


def test_proxies_are_chosen_without_a_gradient_by_the_prediction_at_the_progress_given(nat):
    class Shorter:
        def __call__(self, references, prediction):
            assert torch.is_inference_mode_enabled() and prediction.progress == 0.25
            return references.tokens.masked_fill(torch.arange(4) > 1, 1)

    class First:
        def __call__(self, target, prediction):
            return torch.arange(target.shape[1]).expand_as(target) == 0

    references = references_of(nat, TARGET, {})
    made = proxied(nat, SOURCE, references, Proxies(Shorter(), First()), 0.25)
    assert made.target.tolist() == [[9, 10], [4, 5]] and made.lengths.tolist() == [2, 2]
    assert made.revealed.tolist() == [[True, False]] * 2 and made.prediction.model is nat
    assert made.encoded.encoded.requires_grad and made.memories[0].requires_grad
    assert not (made.target.is_inference() or made.lengths.is_inference() or made.revealed.is_inference())
    none = proxied(nat, SOURCE, references, Proxies(Shorter(), registry.load("inputs", "vanilla")), 0.25)
    assert none.revealed is None


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
