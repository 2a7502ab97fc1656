"""How far random models are from a P(Y|X) of a few sentences, against enumeration."""

from dataclasses import replace
from math import inf, log2

import pytest
import torch
from tests.measuring.families import NATS, SOURCES, made, said

from natlab.corpus.exact import Distribution
from natlab.kernels import use
from natlab.measuring import truth

NUMBERS = {"ein": 3, "das": 4, "haus": 5}
# no more words than the shortest canvas holds between bos and eos: every family can say them all
TWO = [
    Distribution(([(("ein", "haus"), 0.5), (("das", "haus"), 0.3), (("haus",), 0.2)],)),
    Distribution(([(("ein",), 0.6), (("das", "ein"), 0.4)],)),
]


@pytest.fixture(autouse=True)
def _kernels():
    with use("reference"):
        yield


def sources():
    return [source[source.ne(1)] for source in SOURCES]


def expected(family, model, distributions):
    """(KL in bits, Q's mass on what P allows) of each source."""
    found = []
    for source, distribution in zip(sources(), distributions, strict=True):
        q = said(family, model, source)
        numbered = [(tuple(NUMBERS[word] for word in words), p) for words, p in distribution.enumerated()]
        bits = sum(p * log2(p / q[target]) if q.get(target) else inf for target, p in numbered)
        found.append((bits, 100 * sum(q.get(target, 0) for target, _ in numbered)))
    return found


@pytest.mark.parametrize("family", ["autoregressive", *NATS])
def test_the_divergence_of_each_family_is_the_enumerated_one(family):
    model, objective = made(family)
    found = truth.divergence(model, objective, sources(), TWO, NUMBERS)
    bits, mass = zip(*expected(family, model, TWO), strict=True)
    assert found["kl"]["by_sentence"] == pytest.approx(bits, rel=1e-4) and min(bits) > 0
    assert found["kl"]["value"] == pytest.approx(sum(bits) / 2, rel=1e-4)
    assert found["kl"]["signature"] == "exact" and found["kl"]["unit"] == "bits/sentence"
    assert found["mass_allowed"]["by_sentence"] == pytest.approx(mass, rel=1e-4)
    assert found["held"]["by_sentence"] == [100, 100] and found["held"]["sentences"] == 2


def test_codes_drawn_again_are_a_mixture():
    """By enumeration of what is said with each seed; nothing is mixed where chance decides nothing."""
    model, objective = made("codes")
    found = truth.divergence(model, objective, sources(), TWO, NUMBERS)
    own, of_draws = model.fill.options, []
    for seed in range(own.seed, own.seed + truth.DRAWS):
        model.fill.options = replace(own, seed=seed)
        of_draws.append([said("codes", model, source) for source in sources()])
    for number, distribution in enumerate(TWO):
        numbered = [(tuple(NUMBERS[word] for word in words), p) for words, p in distribution.enumerated()]
        mean = {target: sum(of[number][target] for of in of_draws) / truth.DRAWS for target, _ in numbered}
        bits = sum(p * log2(p / mean[target]) for target, p in numbered)
        assert found["kl_redrawn"]["by_sentence"][number] == pytest.approx(bits, rel=1e-4)
    assert found["kl_redrawn"]["value"] != pytest.approx(found["kl"]["value"], rel=1e-4)
    model.fill.options = own
    assert truth.divergence(model, objective, sources(), TWO, NUMBERS) == found, "the canvas is as it was"
    model.fill.options = replace(own, shown=1.0)
    assert "kl_redrawn" not in truth.divergence(model, objective, sources(), TWO, NUMBERS)
    assert "kl_redrawn" not in truth.divergence(*made("vanilla"), sources(), TWO, NUMBERS)


def test_a_product_of_factors_is_enumerated():
    model, objective = made("vanilla")
    parts = [(("ein",), 0.5), (("das",), 0.5)]
    product = [Distribution((parts, [(("haus",), 1.0)])), TWO[1]]
    found = truth.divergence(model, objective, sources(), product, NUMBERS)
    assert found["kl"]["by_sentence"] == pytest.approx(
        [bits for bits, _ in expected("vanilla", model, product)], rel=1e-4
    )


@pytest.mark.parametrize("family", ["autoregressive", "vanilla"])
def test_a_word_that_the_model_does_not_know_is_not_held(family):
    model, objective = made(family)
    few = {word: NUMBERS[word] for word in ("ein", "haus")}
    found = truth.divergence(model, objective, sources(), TWO, few)
    assert found["held"]["by_sentence"] == pytest.approx([70, 60]) and "kl" not in found
    assert truth.divergence(model, objective, sources(), TWO, {})["held"]["value"] == 0


def test_what_no_canvas_holds_is_not_held():
    """Three equal words need five positions, of which there are four."""
    model, objective = made("ctc")
    repeated = Distribution(([(("ein",), 0.75), (("ein", "ein", "ein"), 0.25)],))
    found = truth.divergence(model, objective, sources()[1:], [repeated], NUMBERS)
    assert found["held"]["value"] == pytest.approx(75) and "kl" not in found


def test_of_too_many_targets_some_are_drawn_and_the_error_of_that_is_said(monkeypatch):
    model, objective = made("vanilla")
    monkeypatch.setattr(truth, "TARGETS", 2)
    few = truth.divergence(model, objective, sources(), TWO, NUMBERS)
    assert few["kl"]["signature"] == "draws:2" and few["mass_allowed"]["by_sentence"] == pytest.approx(
        [expected("vanilla", model, TWO)[1][1]], rel=1e-4
    )
    ten = [Distribution((*([[(("ein",), 0.5), (("das",), 0.5)]] * 3),))]
    exactly = expected("vanilla", model, [ten[0]] * 2)[0][0]
    monkeypatch.setattr(truth, "TARGETS", 7)  # of eight
    drawn = [truth.divergence(model, objective, sources()[:1], ten, NUMBERS)["kl"] for _ in range(2)]
    assert drawn[0] == drawn[1]
    monkeypatch.setattr(truth.random, "Random", lambda seed, made=truth.random.Random: made(monkeypatch.seed))
    errors = []
    for monkeypatch.seed in range(40):
        found = truth.divergence(model, objective, sources()[:1], ten, NUMBERS)["kl"]
        errors.append((found["value"] - exactly) / found["standard_error"])
    assert abs(sum(errors) / 40) < 0.6 and 0.6 < torch.tensor(errors).std() < 1.7


def test_batches_change_nothing(monkeypatch):
    model, objective = made("axe")
    together = truth.divergence(model, objective, sources(), TWO, NUMBERS)
    monkeypatch.setattr(truth, "BATCH", 1)
    apart = truth.divergence(model, objective, sources(), TWO, NUMBERS)
    assert apart["kl"]["by_sentence"] == pytest.approx(together["kl"]["by_sentence"], rel=1e-5)
