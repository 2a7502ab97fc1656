"""Translations against the batch they are made in, and the batches."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import plain
from tests.decoding.models import model_of, random_sources

from natlab import families
from natlab.decoding import batches, decode, decode_corpus, hypotheses_of_corpus, pad_right
from natlab.decoding.kinds.argmax import Argmax
from natlab.models.transformer import Transformer


@pytest.mark.parametrize(
    "make, decoding",
    [
        (Transformer, {"kind": "beam", "beam": 1}),
        (Transformer, {"kind": "beam", "beam": 5}),
        (plain.nat, {"kind": "argmax"}),
        (plain.nat, {"kind": "argmax", "length_candidates": 3, "deduplicate": True}),
        (plain.nat, {"kind": "argmax", "length_factor": 1.1}),
    ],
)
def test_a_translation_does_not_depend_on_its_batch(make, decoding):
    model = model_of(make, 1, vocabulary=30)
    sources = random_sources(130, 12, 30, seed=2)
    one, seven, many = (
        [target.tolist() for target in decode_corpus(model, sources, decoding, 10**6, size)] for size in (1, 7, 128)
    )
    assert one == seven == many
    assert len({tuple(target) for target in one}) > 10  # not all the same


GRAPH = {"lengths": {"name": "source", "factor": 2}, "links": True}
CTC = {"lengths": {"name": "source", "factor": 2}, "blank": True}
CODES = {"fill": "codes", "codebook": {"name": "random", "size": 5}}
OF_A_CANVAS = [
    ({}, {"kind": "argmax", "length_candidates": 2, "deduplicate": True}),
    (CODES, {"kind": "argmax", "shown": 0.5, "reorder": "argmax"}),
    ({"masking": True}, {"kind": "sample", "predictor": "p"}),
    ({}, {"kind": "noisy", "sigma": 0.5}),
    (CTC, {"kind": "collapse"}),
    (GRAPH, {"kind": "graph"}),
    (GRAPH | CODES, {"kind": "graph", "shown": 0.5}),
    (GRAPH, {"kind": "graph_sample", "samples": 8}),
]


def test_each_decoding_of_a_canvas_is_among_them():
    assert {decoding["kind"] for _, decoding in OF_A_CANVAS} == set(families.names("decoding")) - {"beam"}


@pytest.mark.parametrize("parts, decoding", OF_A_CANVAS)
def test_sources_of_one_token_and_of_a_thousand_are_translated_alone_as_together(parts, decoding):
    """And one of none, which is eos alone."""
    model = model_of(plain.nat, 3, vocabulary=12, **parts)
    sources = [torch.tensor([*tokens, 2]) for tokens in ([], [5], [4 + n % 8 for n in range(1000)])]
    predictor = {"p": model_of(plain.nat, 4, vocabulary=12)}
    together = decode_corpus(model, sources, decoding, 10**6, auxiliary=predictor)
    for source, found in zip(sources, together, strict=True):
        (alone,) = decode(model, source[None], decoding, predictor)
        assert torch.equal(alone, found) and not found.eq(model.config.eos).any()


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(1, 100), st.one_of(st.none(), st.integers(1, 9))
)
def test_batches_hold_each_sentence_once_within_the_limits(lengths, max_tokens, max_sentences):
    made = list(batches(lengths, max_tokens, max_sentences))
    assert sorted(i for batch in made for i in batch) == list(range(len(lengths)))
    for batch in made:
        assert len(batch) == 1 or max(lengths[i] for i in batch) * len(batch) <= max_tokens
        assert max_sentences is None or len(batch) <= max_sentences


def test_batches_begin_with_the_longest_and_are_as_large_as_they_may_be():
    assert list(batches([2, 5, 3, 5, 1], 10)) == [[1, 3], [2, 0, 4]]  # 2 x 5 fit, 3 x 5 do not; 3 x 3 do
    assert list(batches([2, 5, 3, 5, 1], 100, 2)) == [[1, 3], [2, 0], [4]]
    assert list(batches([7, 7], 6)) == [[0], [1]] and list(batches([], 6)) == []


def test_sentences_are_padded_on_the_right():
    assert pad_right([torch.tensor([4]), torch.tensor([5, 6, 2])], 1).tolist() == [[4, 1, 1], [5, 6, 2]]


def test_the_models_that_a_decoding_names_are_given_to_it_and_others_are_not():
    """NPD by a teacher is not LPD; without a name there is none."""
    model, teacher = model_of(plain.nat, 4, 20), model_of(Transformer, 5, 20)
    source = pad_right(random_sources(9, 9, 20, seed=3), 1)
    lpd = {"kind": "argmax", "length_candidates": 4}

    def found(decoding):
        return [target.tolist() for target in decode(model, source, decoding, {"teacher": teacher, "other": None})]

    assert found(lpd) == found({**lpd, "reranker": None}) != found({**lpd, "reranker": "teacher"})
    with pytest.raises(KeyError):
        decode(model, source, {**lpd, "reranker": "nobody"}, {"teacher": teacher})
    with pytest.raises(KeyError):
        decode(model, source, {"kind": "viterbi"})


@pytest.mark.parametrize("sentences", [1, 3, None])
def test_all_hypotheses_stand_with_their_source_whatever_the_batches(sentences, monkeypatch):
    """Each source's translation, and one that is its first token, which no other batch changes."""

    def hypotheses(self, model, source_tokens):
        best = self(model, source_tokens)
        return [
            [(target, 0.5), (source[:1], torch.tensor(-1.0))]
            for target, source in zip(best, source_tokens, strict=True)
        ]

    monkeypatch.setattr(Argmax, "hypotheses", hypotheses, raising=False)
    model, sources = model_of(plain.nat, 1, 20), random_sources(7, 9, 20, seed=4)
    found = hypotheses_of_corpus(model, sources, {"kind": "argmax"}, max_sentences=sentences)
    best = decode_corpus(model, sources, {"kind": "argmax"})
    assert [first.tokens.tolist() for first, _ in found] == [target.tolist() for target in best]
    assert [second.tokens.tolist() for _, second in found] == [source[:1].tolist() for source in sources]
    assert {(first.score, second.score) for first, second in found} == {(0.5, -1.0)}
