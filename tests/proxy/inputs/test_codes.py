"""Which codes a canvas keeps in training, and in which order they stand."""

import itertools

import pytest
import torch
from tests import plain

from natlab import families
from natlab.losses.batch import Method, references_of
from natlab.models.transformer import Config
from natlab.proxy.interface import Prediction

CONFIG = Config(16, 32, 1, 1, 2, 0.0, 12, 12, True)
SOURCES = torch.tensor([[4, 5, 6, 7, 2], [7, 8, 2, 1, 1]])
TARGETS = torch.tensor([[9, 10, 11, 4, 6], [4, 5, 1, 1, 1]])


@pytest.fixture
def nat():
    torch.manual_seed(0)
    return plain.nat(CONFIG, fill="codes", codebook={"name": "moving", "size": 7}).eval()


def asked(nat, progress=0.0, **options):
    """(what the input shows, the prediction that it was asked with)."""
    method = plain.method(input={"name": "codes", **options})
    source = nat.encoder(SOURCES)
    prediction = Prediction(nat, source, source.memories(nat.layers), progress, method.objective)
    with torch.inference_mode():
        return method.input(TARGETS, prediction), prediction


@pytest.mark.parametrize(("progress", "kept"), [(0.0, [3, 1]), (0.5, [2, 1]), (1.0, [2, 0])])
def test_a_uniform_share_falls_from_start_to_end(nat, progress, kept):
    """Of 5 and 2 positions 0.6, 0.5 and 0.4, rounded down."""
    shown, _ = asked(nat, progress, number="uniform")
    assert shown.kept.sum(1).tolist() == kept and not shown.kept[1, 2:].any() and shown.order is None


@pytest.mark.parametrize("first", ["shown", "all", "none"])
def test_an_adaptive_number_is_that_of_wrong_predictions(nat, first):
    """Of the first pass under the codes it is said to see."""
    shown, prediction = asked(nat, first=first, start=1.0, end=1.0)
    lengths = torch.tensor([5, 2])
    source = prediction.source
    inside = torch.arange(5) < lengths[:, None]
    kept = {"shown": nat.fill.drawn(source, lengths, 0.4), "all": inside, "none": torch.zeros_like(inside)}[first]
    tokens = nat.logits(nat.decode(source, lengths, kept=kept)).argmax(2)
    assert shown.kept.sum(1).tolist() == (tokens.ne(TARGETS) & inside).sum(1).tolist()


def test_shuffled_counts_are_those_of_the_batch(nat, monkeypatch):
    """The second sentence, of two tokens, gets the first one's share of errors, and the other way round."""
    monkeypatch.setattr(torch, "randperm", lambda number, **_: torch.arange(number).flip(0))
    (own, prediction), (other, _) = (asked(nat, start=1.0, end=1.0, shuffled=each) for each in (False, True))
    shares = own.kept.sum(1) / torch.tensor([5, 2])
    assert other.kept.sum(1).tolist() == (shares.flip(0) * torch.tensor([5, 2]) + 1e-4).floor().long().tolist()


@pytest.mark.parametrize("by", ["target", "prediction"])
@pytest.mark.parametrize("how", ["argmax", "permutation"])
def test_codes_are_reordered_by_how_near_they_are_to_tokens(nat, how, by):
    """Equation 14: argmax by trying each code, a permutation by trying each permutation."""
    shown, prediction = asked(nat, reorder=how, order_by=by)
    source, lengths = prediction.source, [5, 2]
    codes = nat.codebook(nat.fill.copied(source, torch.tensor(lengths))).states
    tokens = TARGETS if by == "target" else prediction.of(TARGETS).tokens
    for row, length in enumerate(lengths):
        scores = nat.embedding.scaled(tokens)[row, :length] @ codes[row, :length].T
        found = shown.order[row, :length].tolist()
        if how == "argmax":
            assert scores.gather(1, torch.tensor(found)[:, None])[:, 0].tolist() == scores.amax(1).tolist()
        else:
            assert sorted(found) == list(range(length))

            def total(order, scores=scores):
                return float(sum(scores[place, code] for place, code in enumerate(order)))

            best = max(map(total, itertools.permutations(range(length))))
            assert total(found) == pytest.approx(best, rel=1e-5)
        assert shown.order[row, length:].tolist() == list(range(length, 5))


def test_argmax_can_name_a_code_twice_which_a_permutation_does_not():
    """Algorithm 1 as printed loses a code: both tokens are nearest to the first."""
    torch.manual_seed(0)
    nat = plain.nat(CONFIG, fill={"name": "codes", "tau": 0.01}, codebook={"name": "random", "size": 2}).eval()
    source = nat.encoder(torch.tensor([[4, 5, 2]]))
    with torch.no_grad():
        nat.codebook.vectors.copy_(source.encoded[0, :2])
        nat.embedding.weight[9] = source.encoded[0, 0]
        nat.embedding.weight[10] = source.encoded[0, 0] + 0.5 * source.encoded[0, 1]
    target, lengths = torch.tensor([[9, 10]]), torch.tensor([2])
    assert nat.reordering(source, target, lengths, "argmax").tolist() == [[0, 0]]
    assert nat.reordering(source, target, lengths, "permutation").tolist() == [[0, 1]]


def test_positions_without_a_token_keep_their_code():
    """Of a graph's canvas: only the codes of positions with a token change places in a permutation."""
    torch.manual_seed(0)
    nat = plain.nat(CONFIG, fill="codes", codebook={"name": "random", "size": 7}).eval()
    source = nat.encoder(SOURCES[:1])
    target = torch.tensor([[9, 1, 10, 11, 1, 4]])
    order = nat.reordering(source, target, torch.tensor([6]), "permutation")[0]
    assert order[1] == 1 and order[4] == 4
    assert sorted(order[[0, 2, 3, 5]].tolist()) == [0, 2, 3, 5]
    assert nat.reordering(source, target, torch.tensor([6]), "argmax")[0, [1, 4]].tolist() == [1, 4]


def test_the_loss_is_of_all_positions_and_nothing_of_the_target_is_seen(nat):
    """Equation 12. With the number uniform, a batch of other targets of the same lengths has the same states."""
    method = plain.method(input={"name": "codes", "number": "uniform"})
    from natlab.losses.batch import non_autoregressive_loss

    found = []
    for targets in (TARGETS, TARGETS.flip(1).sort(descending=True).values):
        torch.manual_seed(3)
        ended = torch.cat([targets, torch.ones(2, 1, dtype=torch.long)], 1)
        ended[0, 5], ended[1, 2] = 2, 2
        loss = non_autoregressive_loss(nat, SOURCES, references_of(nat, ended, {}), method, 0.5)
        assert loss.predicted.tolist() == [5, 2]
        found.append(loss.proxied.codes.kept)
    assert torch.equal(*found)
    assert families.trait("input", "codes", "offers") == ("shown codes",)
    assert isinstance(method, Method)


def test_errors_can_be_those_of_the_model_that_training_started_from(nat):
    torch.manual_seed(5)
    other = plain.nat(CONFIG, fill="codes", codebook={"name": "moving", "size": 7}).eval()
    method = plain.method(input={"name": "codes", "frozen": True, "start": 1.0, "end": 1.0})
    method.input.started_from = other
    source, lengths = nat.encoder(SOURCES), torch.tensor([5, 2])
    with torch.inference_mode():
        shown = method.input(TARGETS, Prediction(nat, source, source.memories(nat.layers), 0.0, method.objective))
    tokens = other.logits(other.decode(other.encoder(SOURCES), lengths)).argmax(2)
    wrong = (tokens.ne(TARGETS) & (torch.arange(5) < lengths[:, None])).sum(1)
    assert shown.kept.sum(1).tolist() == wrong.tolist()


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        ({"number": "uniform"}, 0),
        ({"number": "uniform", "reorder": "argmax"}, 0),
        ({"number": "uniform", "reorder": "argmax", "order_by": "prediction"}, 1),
        ({"reorder": "argmax"}, 1),
    ],
)
def test_a_first_pass_is_made_only_where_its_tokens_are_asked_for(nat, monkeypatch, options, passes):
    decoded, decode = [], nat.decode
    monkeypatch.setattr(nat, "decode", lambda *args, **kwargs: decoded.append(1) or decode(*args, **kwargs))
    asked(nat, **options)
    assert len(decoded) == passes
