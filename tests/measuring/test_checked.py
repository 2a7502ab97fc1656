"""Translations by CTranslate2, and by natlab where the two do not agree."""

import pytest
import torch
from tests.decoding.models import random_sources
from tests.export.test_ctranslate import V, ending

import natlab.measuring.checked
from natlab.decoding import decode_corpus
from natlab.measuring import checked
from natlab.measuring.distilling import ctranslate2

GREEDY = {"kind": "beam", "beam": 1, "length_penalty": 1.0}
SOURCES = random_sources(102, 12, V, seed=5)
WRONG = [3]


@pytest.fixture(scope="module")
def model():
    return ending(5, {})


@pytest.fixture(scope="module")
def ours(model):
    return [target.tolist() for target in decode_corpus(model, SOURCES, GREEDY)]


def test_the_first_sentences_are_searched_by_both_and_the_others_by_ctranslate2(model, ours, monkeypatch):
    searched = []

    def counted(model, sources, *rest):
        searched.append(len(sources))
        return decode_corpus(model, sources, *rest)

    monkeypatch.setattr(natlab.measuring.checked, "decode_corpus", counted)
    found, by = checked.translated(model, SOURCES, GREEDY)
    assert [target.tolist() for target in found] == ours and found[0].dtype == torch.long
    assert by == {"name": "ctranslate2", "same": 100, "compared": 100}
    assert searched == [100]


@pytest.mark.parametrize(
    ("wrong", "engine"), [([7], "ctranslate2"), ([7, 99], "natlab"), ([7, 100, 101], "ctranslate2")]
)
def test_where_fewer_than_99_of_the_first_100_are_the_same_natlab_translates_all(
    model, ours, wrong, engine, monkeypatch
):
    said = [WRONG if number in wrong else target for number, target in enumerate(ours)]
    monkeypatch.setattr(ctranslate2, "targets", lambda *_: said)
    found, by = checked.translated(model, SOURCES, GREEDY)
    same = 100 - sum(number < 100 for number in wrong)
    assert by == {"name": engine, "same": same, "compared": 100}
    assert [target.tolist() for target in found] == (ours if engine == "natlab" else said)


def test_of_few_sentences_all_are_compared(model, ours, monkeypatch):
    monkeypatch.setattr(ctranslate2, "targets", lambda *_: [*ours[:9], WRONG])
    found, by = checked.translated(model, SOURCES[:10], GREEDY)
    assert by == {"name": "natlab", "same": 9, "compared": 10}
    assert [target.tolist() for target in found] == ours[:10]


def test_it_can_what_is_a_beam():
    assert checked.can(GREEDY) and checked.can(GREEDY | {"beam": 5})
    assert not checked.can({"kind": "argmax", "length_candidates": 1})
