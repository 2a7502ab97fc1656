"""What a batch costs: the chosen proxy variables, the objective, the terms that count, and each sentence's part."""

import itertools
from dataclasses import replace

import pytest
import torch
from tests import plain

from natlab import families
from natlab.config import rows
from natlab.kernels import use
from natlab.losses.batch import Method, Timed, autoregressive_loss, batch_loss, proxied, references_of, unaided
from natlab.losses.interface import SHARE, Added, Value
from natlab.models.transformer import Config, Transformer
from natlab.proxy.interface import Positions

CONFIG = Config(16, 32, 1, 1, 2, 0.0, 12, 12, True)
SOURCE = torch.tensor([[4, 5, 6, 2], [7, 8, 2, 1]])
TARGET = torch.tensor([[9, 10, 2, 1, 1], [4, 5, 6, 7, 2]])


def sums(loss, name="nll"):
    return loss.values[name].sums


def test_autoregressive_loss_is_the_log_probability_of_each_token_and_of_eos():
    torch.manual_seed(0)
    model = Transformer(CONFIG)
    loss = autoregressive_loss(model, SOURCE, TARGET)
    expected = 0.0
    for source, target in ((SOURCE[:1], [9, 10, 2]), (SOURCE[1:, :3], [4, 5, 6, 7, 2])):
        logp = model.logits(model(source, torch.tensor([[2, *target[:-1]]]))).log_softmax(2)[0]
        expected -= sum(logp[i, word] for i, word in enumerate(target))
    torch.testing.assert_close(sums(loss).sum(), expected.detach())
    assert (loss.tokens.sum(), loss.predicted.sum(), sums(loss, "length").sum()) == (6, 8, 0)
    assert {name: value.counts.tolist() for name, value in loss.values.items()} == {"nll": [2, 4], "length": [2, 4]}


def test_nat_loss_is_the_log_probability_of_each_token_alone_and_of_the_length(nat):
    loss = batch_loss(nat, SOURCE, TARGET, plain.method(), progress=0.0)
    nll = length_nll = weighted = 0.0
    for source, target in ((SOURCE[:1], [9, 10]), (SOURCE[1:, :3], [4, 5, 6, 7])):
        encoded = nat.encoder(source)
        length = torch.tensor([len(target)])
        logp = nat.logits(nat.decode(encoded, length)).log_softmax(2)[0]
        nll -= sum(logp[i, word] for i, word in enumerate(target))
        of_length = -nat.lengths(encoded).log_softmax(1)[0, nat.lengths.classes(encoded, length)[0]]
        length_nll += of_length
        weighted += 0.1 * len(target) * of_length  # as in fairseq's and GLAT's NATs
    torch.testing.assert_close(sums(loss).sum(), nll.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sums(loss, "length").sum(), length_nll.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(loss.loss, nll + weighted, rtol=1e-4, atol=1e-4)
    assert (loss.tokens.sum(), loss.predicted.sum()) == (6, 6)


def test_gradients_of_parts_of_a_batch_add_up_to_the_batchs(nat):
    """Gradient accumulation weighs each token alike, whatever the sizes of the parts."""

    def gradient(rows):
        nat.zero_grad()
        part = batch_loss(nat, SOURCE[rows], TARGET[rows], plain.method(), 0.0, smoothing=0.1)
        part.loss.backward()
        return int(part.predicted.sum()), [parameter.grad.clone() for parameter in nat.parameters()]

    (n1, first), (n2, second), (n, whole) = gradient([0]), gradient([1]), gradient([0, 1])
    assert n1 + n2 == n
    for a, b, c in zip(first, second, whole, strict=True):
        torch.testing.assert_close((a + b) / n, c / n, rtol=1e-4, atol=1e-5)


def test_the_lengths_to_predict_are_those_of_the_proxy_target(nat):
    class Shorter:
        def __call__(self, references, prediction):
            return references.tokens.masked_fill(torch.arange(4) > 0, 1)

    loss = batch_loss(nat, SOURCE, TARGET, replace(plain.method(), target=Shorter()), 0.0)
    encoded = nat.encoder(SOURCE)
    one = nat.lengths.classes(encoded, torch.tensor([1, 1]))
    expected = -nat.lengths(encoded).log_softmax(1).gather(1, one[:, None]).sum()
    torch.testing.assert_close(sums(loss, "length").sum(), expected.detach())
    assert loss.tokens.tolist() == [1, 1] and loss.proxied.target.tolist() == [[9], [4]]


@pytest.mark.parametrize("masking", [False, True])
def test_terms_weigh_as_much_as_the_share_of_tokens_that_are_predicted(half, masking):
    """Three of six tokens are: the loss is their nll, half of the lengths' part and half of the masks'."""
    torch.manual_seed(0)
    model = plain.nat(CONFIG, masking=masking)
    loss = batch_loss(model, SOURCE, TARGET, half(terms=["length"] + masking * ["masking"]), 0.0)
    encoded = model.encoder(SOURCE)
    chosen = model.lengths.classes(encoded, torch.tensor([2, 4]))
    of_length = -model.lengths(encoded).log_softmax(1).gather(1, chosen[:, None])[:, 0]
    expected = sums(loss).sum() + 0.1 * 0.5 * (2 * of_length[0] + 4 * of_length[1])
    masked = sums(loss, "masked").sum() if masking else 0
    assert ("masked" in loss.values) is masking and bool(masked > 0) is masking
    torch.testing.assert_close(loss.loss, expected + 0.5 * masked, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(sums(loss, "length"), of_length.detach())
    assert not any(value.sums.requires_grad for value in loss.values.values())


def test_what_each_sentence_costs_and_counts_is_its_own(nat, half):
    loss = batch_loss(nat, SOURCE, TARGET, half(), 0.0)
    assert (loss.tokens.tolist(), loss.predicted.tolist()) == ([2, 4], [1, 2])
    assert {name: value.counts.tolist() for name, value in loss.values.items()} == {"nll": [2, 4], "length": [2, 4]}
    encoded, reference = nat.encoder(SOURCE), torch.tensor([[9, 10, 1, 1], [4, 5, 6, 7]])
    logp = nat.logits(nat.decode(encoded, torch.tensor([2, 4]), loss.proxied.revealed, reference)).log_softmax(2)
    torch.testing.assert_close(sums(loss), -torch.stack([logp[0, 1, 10], logp[1, 1, 5] + logp[1, 3, 7]]).detach())
    torch.manual_seed(0)
    teacher = Transformer(CONFIG)
    loss = batch_loss(teacher, SOURCE, TARGET, None, 0.0)
    assert (loss.tokens.tolist(), loss.predicted.tolist()) == ([2, 4], [3, 5])
    for row in range(2):
        alone = batch_loss(teacher, SOURCE[row, None], TARGET[row, None], None, 0.0)
        torch.testing.assert_close(sums(alone)[0], sums(loss)[row])
    assert sums(loss, "length").tolist() == [0, 0] and set(loss.values) == {"nll", "length"} and loss.proxied is None


def test_smoothing_spreads_its_part_over_all_other_words(nat):
    torch.manual_seed(0)
    teacher = Transformer(CONFIG)
    previous = torch.tensor([[2, 9, 10, 2, 1], [2, 4, 5, 6, 7]])
    of_nat, of_teacher = nat.decode(nat.encoder(SOURCE), torch.tensor([2, 4])), teacher(SOURCE, previous)
    without_eos = TARGET[:, :4].masked_fill(TARGET[:, :4].eq(2), 1)
    for model, made, states, target in (
        (nat, plain.method(), of_nat, without_eos),
        (teacher, None, of_teacher, TARGET),
    ):
        without, smooth = (batch_loss(model, SOURCE, TARGET, made, 0.0, smoothing=share) for share in (0.0, 0.2))
        nll, every = sums(without).sum(), -model.logits(states).log_softmax(2)[target.ne(1)].sum()
        expected = -0.2 * nll + 0.2 / 11 * (every - nll)
        torch.testing.assert_close(smooth.loss - without.loss, expected, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(sums(smooth), sums(without))


def test_references_are_targets_without_eos_as_wide_as_the_longest(nat):
    found = references_of(nat, torch.tensor([[9, 10, 2, 1, 1, 1], [4, 5, 6, 2, 1, 1]]), {})
    assert found.tokens.tolist() == [[9, 10, 1], [4, 5, 6]] and found.candidates is None
    assert references_of(nat, torch.tensor([[9, 2]]), {"gamma": torch.ones(3)}).gamma.tolist() == [1, 1, 1]


def test_a_method_has_the_options_of_its_specification():
    spec = {
        "architecture": {"name": "nat"},
        "target": {"name": "dynamic", "beta": 0.7, "candidates": ["a", "raw"], "teacher": "a"},
        "input": {"name": "glat", "start": 0.9},
        "objective": {"name": "axe", "delta": 2},
        "terms": [{"name": "length", "weight": 0.3}, {"name": "masking", "after": 0.25, "until": 0.5}],
    }
    found = Method.of(spec)
    assert (type(found.target).__name__, found.target.beta) == ("Dynamic", 0.7)
    assert (type(found.input).__name__, found.input.start, found.input.end) == ("Glat", 0.9, 0.3)
    assert (type(found.objective).__name__, found.objective.delta, found.objective.predict) == ("Axe", 2, "masks")
    length, masking = found.terms
    assert (type(length.term).__name__, length.term.weight, length.after, length.until) == ("Length", 0.3, 0, None)
    assert (type(masking.term).__name__, masking.term.weight, masking.after, masking.until) == ("Masking", 1, 0.25, 0.5)
    assert spec["terms"][1] == {"name": "masking", "after": 0.25, "until": 0.5}  # is read, not taken apart
    assert Method.of({**spec, "architecture": {"name": "transformer"}}) is None


def test_proxies_are_chosen_without_a_gradient_by_the_prediction_at_the_progress_given(nat):
    class Shorter:
        def __call__(self, references, prediction):
            assert torch.is_inference_mode_enabled() and prediction.progress == 0.25
            assert prediction.objective is made.objective
            return references.tokens.masked_fill(torch.arange(4) > 1, 1)

    class First:
        offers = ("revealed tokens",)

        def __call__(self, target, prediction):
            return torch.arange(target.shape[1]).expand_as(target) == 0

    references, made = references_of(nat, TARGET, {}), replace(plain.method(), target=Shorter())
    chosen = proxied(nat, SOURCE, references, replace(made, input=First()), 0.25)
    assert chosen.target.tolist() == [[9, 10], [4, 5]] and chosen.lengths.tolist() == [2, 2]
    assert chosen.revealed.tolist() == [[True, False]] * 2 and chosen.prediction.model is nat
    assert chosen.encoded.encoded.requires_grad and chosen.memories[0].requires_grad
    assert not (chosen.target.is_inference() or chosen.lengths.is_inference() or chosen.revealed.is_inference())
    assert proxied(nat, SOURCE, references, made, 0.25).revealed is None


# ---- terms


class Made:
    """A term that is 3 nats of six tokens, and says so under a name of its own."""

    weight = 2.0

    def __call__(self, batch):
        loss = 3 * batch.model.embedding.weight.sum() / batch.model.embedding.weight.sum().detach()
        return Added(loss, {"made_up": Value(torch.tensor([1.0, 2.0]), batch.lengths, SHARE)})


def test_unaided_a_target_costs_what_it_does_where_nothing_is_revealed(nat):
    """Whatever the input reveals in training; of dynamic KD it is the candidate that is chosen."""
    nat.eval()
    expected = batch_loss(nat, SOURCE, TARGET, plain.method(terms=[]), 0.0).values["nll"].sums
    cost, lengths = unaided(nat, SOURCE, TARGET, plain.method(input="glat", terms=[]))
    torch.testing.assert_close(cost, expected)
    assert lengths.tolist() == [2, 4] and not cost.requires_grad
    other = torch.tensor([[[11, 11, 1]] * 2, [[11, 11, 11]] * 2])
    references = CANDIDATES | {"candidates": other}
    cost, lengths = unaided(nat, SOURCE, TARGET, plain.method(target="dynamic", input="glat", terms=[]), references)
    said = torch.tensor([[11, 11, 2, 1], [11, 11, 11, 2]])
    expected = batch_loss(nat, SOURCE, said, plain.method(terms=[]), 0.0).values["nll"].sums
    torch.testing.assert_close(cost, expected)
    assert lengths.tolist() == [2, 3]


def test_a_terms_loss_is_weighed_and_its_values_pass_under_their_own_names(nat, half):
    """Half of the tokens are predicted."""
    bare, added = half(terms=[]), half(terms=[])
    added.terms = [Timed(Made())]
    loss, without = (batch_loss(nat, SOURCE, TARGET, made, 0.0) for made in (added, bare))
    torch.testing.assert_close(loss.loss - without.loss, torch.tensor(3 * 2 * 0.5))
    assert set(loss.values) == {"nll", "made_up"} and set(without.values) == {"nll"}
    made = loss.values["made_up"]
    assert (made.sums.tolist(), made.counts.tolist(), made.unit) == ([1, 2], [2, 4], "share")
    loss.loss.backward()


@pytest.mark.parametrize(
    "after, until, counted",
    [
        (0.0, None, [0.0, 0.2, 0.4, 0.6, 1.0]),
        (0.2, None, [0.2, 0.4, 0.6, 1.0]),
        (0.0, 0.6, [0.0, 0.2, 0.4]),
        (0.2, 0.6, [0.2, 0.4]),
        (0.2, 1.0, [0.2, 0.4, 0.6]),
    ],
)
def test_a_term_counts_from_and_until_the_shares_of_training_it_is_given(nat, after, until, counted):
    """``until`` is the first moment at which it no longer does."""
    method = replace(plain.method(terms=[]), terms=[Timed(Made(), after, until)])
    bare = batch_loss(nat, SOURCE, TARGET, plain.method(terms=[]), 0.0).loss
    for progress in (0.0, 0.2, 0.4, 0.6, 1.0):
        loss = batch_loss(nat, SOURCE, TARGET, method, progress)
        assert ("made_up" in loss.values) is (progress in counted)
        torch.testing.assert_close(loss.loss - bare, torch.tensor(6.0 if progress in counted else 0.0))


# ---- which parts go together

CANDIDATES = {
    "candidates": torch.tensor([[[9, 1, 1, 1], [9, 10, 1, 1]], [[4, 5, 7, 1], [4, 5, 6, 7]]]),
    "bleu": torch.full((2, 2, 2), 50.0),
    "gamma": torch.ones(2),
}


LENGTHS = {"difference": ["axe", "oaxe", "xe"], "source": ["ctc", "dag"]}  # with the objectives they suit
ROWS = plain.rows_of_all_members(LENGTHS)
PARTS = ("target", "input", "objective")
SUIT = [row for row in ROWS if not list(rows.unmet(row))]


def test_what_is_trained_here_is_all_but_targets_placed_by_the_model_under_objectives_that_place_them():
    placing = {(row["target"]["name"], row["objective"]["name"]) for row in ROWS if row not in SUIT} - {
        (target, objective) for target in families.names("target") for objective in LENGTHS["source"]
    }
    suit = {(row["architecture"]["lengths"]["name"], row["objective"]["name"]) for row in SUIT}
    assert suit == {(length, objective) for length, objectives in LENGTHS.items() for objective in objectives}
    assert {*itertools.product(["axe", "oaxe"], ["axe", "oaxe"])} <= placing and len(SUIT) == 60 - 16 + 24


@pytest.mark.parametrize("row", SUIT, ids=lambda row: "-".join(row[of]["name"] for of in PARTS))
def test_any_target_works_with_any_input_and_any_objective_that_suit_and_training_reduces_the_loss(row):
    torch.manual_seed(0)
    learned = {"target": row["target"], "architecture": rows.architecture(row), **rows.learning(row)}
    blank = any(families.trait(of, learned[of]["name"], "blank") for of in ("target", "objective"))
    model = plain.nat(
        CONFIG, **{key: part for key, part in learned["architecture"].items() if key != "name"}, blank=blank
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    made, seen = Method.of(learned), []
    for _ in range(25):
        with use("reference"):
            loss = batch_loss(
                model, SOURCE, TARGET, made, 0.0, candidates=CANDIDATES if row["target"]["name"] == "dynamic" else None
            )
        optimizer.zero_grad()
        (loss.loss / loss.predicted.sum()).backward()
        optimizer.step()
        seen.append(float(sums(loss).sum()) / max(1, int(loss.predicted.sum())))
    assert seen[-1] < 0.8 * seen[0]


# ---- deep supervision

DEEP = replace(CONFIG, decoder_layers=3)
OBJECTIVES = [row for row in SUIT if row["target"]["name"] == "raw" and row["input"]["name"] == "glat"]


def deep(row):
    """A model of three layers of deep supervision, and how it learns."""
    torch.manual_seed(0)
    learned = {"target": row["target"], "architecture": rows.architecture(row), **rows.learning(row)}
    parts = {key: part for key, part in learned["architecture"].items() if key != "name"}
    blank = families.trait("objective", learned["objective"]["name"], "blank")
    return plain.nat(DEEP, **parts, blank=blank, deep_supervision=True), Method.of(learned)


def test_deep_supervision_is_the_mean_of_all_layers_cross_entropy():
    torch.manual_seed(0)
    model, method = plain.nat(DEEP, deep_supervision=True), plain.method(terms=())
    loss = batch_loss(model, SOURCE, TARGET, method, 0.0)
    nll = torch.zeros(3)
    for source, target in ((SOURCE[:1], [9, 10]), (SOURCE[1:, :3], [4, 5, 6, 7])):
        _, *layers = model.decode_layers(model.encoder(source), torch.tensor([len(target)]))
        for number, states in enumerate(layers):
            logp = model.logits(states).log_softmax(2)[0]
            nll[number] -= sum(logp[i, word] for i, word in enumerate(target)).detach()
    torch.testing.assert_close(loss.loss.detach(), nll.mean(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sums(loss).sum(), nll[-1], rtol=1e-4, atol=1e-4)  # what is measured is the last one's
    loss.loss.backward()
    assert all(join.weight.grad.any() for join in model.joins)


@pytest.mark.parametrize("row", OBJECTIVES, ids=lambda row: row["objective"]["name"])
def test_under_any_objective_deep_supervision_trains_every_layer(row):
    model, method = deep(row)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)

    def by_layer():
        """The objective of each layer's states, with nothing shown."""
        with torch.no_grad(), use("reference"):
            made = proxied(model, SOURCE, references_of(model, TARGET, {}), method, 0.0)
            _, *layers = model.decode_layers(made.encoded, made.canvas)
            positions = [Positions.of(model, states, made.canvas) for states in layers]
            return [float(method.objective.nll(of_layer, made.target).sum()) for of_layer in positions]

    before = by_layer()
    for _ in range(25):
        with use("reference"):
            loss = batch_loss(model, SOURCE, TARGET, method, 0.0)
        optimizer.zero_grad()
        (loss.loss / loss.predicted.sum()).backward()
        optimizer.step()
    assert all(after < 0.8 * first for first, after in zip(before, by_layer(), strict=True))
