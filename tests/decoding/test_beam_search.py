"""Beam search against exhaustive search and against fairseq's."""

import itertools

import pytest
import torch
from benchmarks.stock import fairseq_twin
from tests.decoding.models import WORDS, log_probability, model_of, random_sources

from natlab.decoding import decode, pad_right
from natlab.decoding.beam_search import search
from natlab.models.transformer import Transformer


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_what_exhaustive_search_finds(seed, penalty):
    model, source, longest = model_of(Transformer, seed), torch.tensor([[4, 5, 2]]), 3
    vocabulary = [0, 3, *WORDS]
    with torch.no_grad():
        best = max(
            (log_probability(model, source, target) / (length + 1) ** penalty, target)
            for length in range(1, longest + 1)
            for target in itertools.product(vocabulary, repeat=length)
        )
    found = search(model, source, beam=200, length_penalty=penalty, longest=(0, longest))[0]
    assert tuple(found.tolist()) == best[1]


def test_greedy_is_the_likeliest_continuation_at_each_step():
    model, source = model_of(Transformer, 5), torch.tensor([[4, 6, 5, 2]])
    target = []
    with torch.no_grad():
        while len(target) < 20:
            logits = model.logits(model(source, torch.tensor([[2, *target]])))[0, -1]
            logits[1] = -torch.inf
            if not target:
                logits[2] = -torch.inf
            word = int(logits.argmax())
            if word == 2 and target:
                break
            target.append(word)
    assert search(model, source, beam=1, longest=(0, 20))[0].tolist() == target


def test_beam_search_in_bfloat16_follows_the_models_own_scores():
    model, source = model_of(Transformer, 5), torch.tensor([[4, 6, 5, 2]])
    model.encoder.precision = "bf16"
    target = search(model, source, beam=1, longest=(0, 6))[0].tolist()
    with torch.no_grad():
        logits = model.logits(model(source, torch.tensor([[2, *target]])))[0]
    assert target
    for position, word in enumerate(target):
        allowed = logits[position, [0, *range(2 if position else 3, 7)]]
        assert logits[position, word] >= allowed.max() - 0.1  # eight bits of precision


# where length pays, it matters that a sentence is done once as many hypotheses as the beam's width have ended


@pytest.mark.parametrize("width, penalty, seed", [(1, 0.8, 3), (2, 0.8, 3), (5, 0.8, 3), (3, 3.0, 6), (5, 3.0, 6)])
def test_beam_search_agrees_with_fairseqs_generator(width, penalty, seed):
    model = model_of(Transformer, seed, vocabulary=24)
    theirs, dictionary = fairseq_twin(model)
    from fairseq.sequence_generator import SequenceGenerator

    source = random_sources(12, 8, len(dictionary), seed=seed + 1)
    padded = pad_right(source, 1)
    generator = SequenceGenerator([theirs], dictionary, beam_size=width, max_len_a=1, max_len_b=10, len_penalty=penalty)
    sample = {"net_input": {"src_tokens": padded, "src_lengths": padded.ne(1).sum(1), "prev_output_tokens": padded}}
    expected = [hypotheses[0]["tokens"].tolist() for hypotheses in generator.generate([theirs], sample)]
    # fairseq's limit is that of the longest source in the batch, ours each sentence's own
    limit = (0.0, padded.shape[1] + 10)
    found = search(model, padded, beam=width, length_penalty=penalty, longest=limit)
    assert [[*target.tolist(), 2] for target in found] == expected


def test_the_decoding_is_the_search_with_its_options():
    model, sources = model_of(Transformer, 2), random_sources(8, 8, 7, seed=4)
    padded, found = pad_right(sources, 1), set()
    for options in ({"beam": 1}, {"beam": 5}, {"beam": 5, "length_penalty": 0.0}):
        made = [target.tolist() for target in decode(model, padded, {"kind": "beam", **options})]
        assert made == [target.tolist() for target in search(model, padded, **options)]
        found.add(str(made))
    assert len(found) == 3
