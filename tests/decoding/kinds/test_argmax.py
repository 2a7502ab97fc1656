"""The likeliest tokens of the likeliest lengths, against enumeration."""

import itertools

import pytest
import torch
from tests import plain
from tests.decoding.models import WORDS, log_probability, model_of, random_sources

from natlab.decoding import decode_corpus
from natlab.decoding.kinds import argmax
from natlab.decoding.kinds.argmax import Argmax
from natlab.models.lengths.difference import LARGEST
from natlab.models.transformer import Transformer


def test_blanks_are_predicted_only_by_a_model_that_may_and_are_removed(monkeypatch):
    """The symbol bos is ε (MPLE, appendix E.3, footnote 10)."""
    logits = torch.tensor([[[9.0, 0, 0, 0, 8, 0, 0], [0, 0, 0, 0, 0, 9, 0], [9, 0, 0, 0, 0, 0, 8]]])
    source = torch.tensor([[4, 5, 6, 2]])
    for blank, expected in ((False, [4, 5, 6]), (True, [5])):
        model = model_of(plain.nat, 0)
        model.blank = blank
        monkeypatch.setattr(model.lengths, "forward", lambda source: torch.eye(256)[LARGEST, None])
        monkeypatch.setattr(model, "logits", lambda states: logits.clone())
        (found,) = Argmax()(model, source)
        assert found.tolist() == expected


def test_argmax_takes_the_likeliest_length_and_the_likeliest_token_everywhere():
    model, source = model_of(plain.nat, 2), torch.tensor([[4, 5, 6, 2]])
    with torch.no_grad():
        encoded = model.encoder(source)
        length = max(1, int(model.lengths(encoded).argmax()) - LARGEST + 3)
        logits = model.logits(model.decode(encoded, torch.tensor([length])))[0]
    logits[:, [0, 1, 2]] = -torch.inf
    best = max(
        itertools.product([3, *WORDS], repeat=min(length, 4)),
        key=lambda target: sum(logits[i, word].item() for i, word in enumerate(target)),
    )
    assert Argmax()(model, source)[0].tolist()[:4] == list(best)
    assert len(Argmax()(model, source)[0]) == length


@pytest.mark.parametrize("seed", range(5))
def test_length_parallel_decoding_keeps_the_candidate_with_the_best_mean_log_probability(seed):
    model, source = model_of(plain.nat, seed), torch.tensor([[4, 5, 6, 5, 2]])
    with torch.no_grad():
        encoded = model.encoder(source)
        lengths = argmax.likely_lengths(model, encoded, 3, 1.0)[0].tolist()
        scored = []
        for length in lengths:
            logits = model.logits(model.decode(encoded, torch.tensor([length])))[0]
            logits[:, [0, 1, 2]] = -torch.inf
            logp, tokens = logits.log_softmax(1).max(1)
            scored.append((logp.mean().item(), tokens.tolist()))
    assert Argmax(length_candidates=3)(model, source)[0].tolist() == max(scored)[1]


def test_lengths_are_the_likeliest_scaled_and_never_below_one():
    logits = torch.full((1, 256), -9.0)
    logits[0, LARGEST + 2], logits[0, LARGEST - 20], logits[0, LARGEST] = 3.0, 2.0, 1.0
    model = model_of(plain.nat, 0)
    model.lengths.forward = lambda source: logits
    source = model.encoder(torch.tensor([[4] * 8 + [2]]))
    assert argmax.likely_lengths(model, source, 3, 1.0).tolist() == [[10, 1, 8]]
    assert argmax.likely_lengths(model, source, 1, 1.05).tolist() == [[11]]
    assert argmax.likely_lengths(model, source, 3, 0.1).tolist() == [[1, 1, 1]]


@pytest.mark.parametrize("lengths", [{"name": "absolute", "longest": 12}, "difference"])
@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_targets_are_as_long_as_the_model_says_times_the_factor_however_it_says_it(lengths, factor):
    model = model_of(plain.nat, 3, 20, lengths=lengths)
    for source in random_sources(8, 9, 20, seed=1):
        with torch.no_grad():
            length = model.lengths.likely(model.encoder(source[None]), 1).item()
        assert len(Argmax(length_factor=factor)(model, source[None])[0]) == int(length * factor + 0.5)


@pytest.mark.parametrize("deduplicate", [False, True])
def test_of_reference_length_a_target_is_as_long_as_its_reference_before_repeats_are_removed(deduplicate):
    model, sources = model_of(plain.nat, 3, 8), random_sources(6, 9, 8, seed=2)
    references = [torch.tensor([4] * length + [2]) for length in (1, 3, 5, 8, 13, 21)]
    decoding = {"kind": "argmax", "reference_length": True, "deduplicate": deduplicate}
    repeated = False
    for found, source, reference in zip(
        decode_corpus(model, sources, decoding, references=references), sources, references, strict=True
    ):
        with torch.no_grad():
            logits = model.logits(model.decode(model.encoder(source[None]), torch.tensor([len(reference) - 1])))[0]
        logits[:, [0, 1, 2]] = -torch.inf
        likeliest = logits.argmax(1).tolist()
        without = [token for token, _ in itertools.groupby(likeliest)]
        assert found.tolist() == (without if deduplicate else likeliest)
        repeated |= without != likeliest
    assert repeated


def test_deduplication_removes_neighbours_only():
    assert argmax.remove_repeats(torch.tensor([4, 4, 5, 4, 6, 6, 6])).tolist() == [4, 5, 4, 6]
    assert argmax.remove_repeats(torch.tensor([], dtype=torch.long)).tolist() == []


@pytest.mark.parametrize("deduplicate", [False, True])
@pytest.mark.parametrize("blank", [False, True])
def test_noisy_parallel_decoding_keeps_what_the_teacher_finds_likeliest(blank, deduplicate):
    sources, chosen = random_sources(12, 9, 20, seed=3), []
    model, teacher = model_of(plain.nat, 4, 20, blank=blank), model_of(Transformer, 5, 20)
    decoding = {"kind": "argmax", "length_candidates": 4, "deduplicate": deduplicate, "reranker": "teacher"}
    found = decode_corpus(model, sources, decoding, auxiliary={"teacher": teacher})
    for source, target in zip(sources, found, strict=True):
        with torch.no_grad():
            encoded = model.encoder(source[None])
            lengths = argmax.likely_lengths(model, encoded, 4, 1.0)[0]
            candidates = []
            for length in lengths.tolist():
                logits = model.logits(model.decode(encoded, torch.tensor([length])))[0]
                logits[:, [1, 2] if blank else [0, 1, 2]] = -torch.inf
                words = [word for word in logits.argmax(1).tolist() if word != 0]
                if deduplicate:
                    words = [word for word, before in zip(words, [None, *words], strict=False) if word != before]
                candidates.append(words)
            scores = [log_probability(teacher, source[None], words) / (len(words) + 1) for words in candidates]
        assert target.tolist() == candidates[scores.index(max(scores))]
        chosen.append(scores.index(max(scores)))
    assert len(set(chosen)) > 1  # not always the likeliest length


def coded(seed, **options):
    return model_of(plain.nat, seed, 12, fill={"name": "codes", **options}, codebook={"name": "random", "size": 9})


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_another_share_of_codes_can_be_shown_than_the_fill_has(share):
    """As a model whose fill has that share, with the same parameters."""
    model, other = coded(0, shown=0.3), coded(0, shown=share)
    other.load_state_dict(model.state_dict())
    sources = random_sources(8, 9, 12, seed=3)
    own = decode_corpus(other, sources, {"kind": "argmax", "length_candidates": 3})
    asked = decode_corpus(model, sources, {"kind": "argmax", "length_candidates": 3, "shown": share})
    assert all(map(torch.equal, own, asked))


@pytest.mark.parametrize("how", ["argmax", "permutation"])
def test_a_second_pass_sees_the_codes_in_the_order_of_the_first_ones_tokens(how):
    model = coded(1)
    for source in random_sources(5, 7, 12, seed=4):
        with torch.no_grad():
            encoded = model.encoder(source[None])
            (first,) = Argmax()(model, source[None])
            length = torch.tensor([len(first)])
            order = model.reordering(encoded, first[None], length, how)
            logits = model.logits(model.decode(encoded, length, order=order))[0]
        logits[:, [0, 1, 2]] = -torch.inf
        assert Argmax(reorder=how)(model, source[None])[0].tolist() == logits.argmax(1).tolist()


@pytest.mark.parametrize("options", [{}, {"reorder": "permutation"}, {"length_candidates": 4}])
def test_a_translation_from_codes_does_not_depend_on_its_batch(options):
    model, sources = coded(2), random_sources(12, 11, 12, seed=5)
    together = decode_corpus(model, sources, {"kind": "argmax", **options})
    alone = [decode_corpus(model, [source], {"kind": "argmax", **options})[0] for source in sources]
    assert all(map(torch.equal, together, alone))
