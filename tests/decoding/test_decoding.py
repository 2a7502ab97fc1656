"""Both decoders against exhaustive search, and translations against the batch they are made in."""

import itertools
from math import log

import pytest
import torch
from benchmarks.stock import fairseq_twin
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.decoding import argmax, batches, beam, decode, decode_corpus, pad_right, sample
from natlab.decoding.rerank import mean_log_probability
from natlab.models.nat import LARGEST_DIFFERENCE, NonAutoregressiveTransformer
from natlab.models.transformer import Config, Transformer

WORDS = (4, 5, 6)


def model_of(cls, seed, vocabulary=7, dim=16, **options):
    """A random model whose predictions are far from uniform."""
    torch.manual_seed(seed)
    model = cls(Config(dim, 32, 2, 2, 4, 0.0, vocabulary, vocabulary, True), **options).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:  # a large bias would make all predictions alike
            parameter.data += 0.3 * torch.randn_like(parameter)
    return model


def log_probability(model, source, target):
    """Log-probability of target + eos by teacher forcing."""
    tokens = torch.tensor([[*target, 2]])
    previous = torch.tensor([[2, *target]])
    return (
        model.logits(model(source, previous)).log_softmax(2)[0, torch.arange(tokens.shape[1]), tokens[0]].sum().item()
    )


def test_blanks_are_predicted_only_by_a_model_that_may_and_are_removed(monkeypatch):
    """The symbol bos is ε (MPLE, appendix E.3, footnote 10)."""
    logits = torch.tensor([[[9.0, 0, 0, 0, 8, 0, 0], [0, 0, 0, 0, 0, 9, 0], [9, 0, 0, 0, 0, 0, 8]]])
    source = torch.tensor([[4, 5, 6, 2]])
    for blank, expected in ((False, [4, 5, 6]), (True, [5])):
        model = model_of(NonAutoregressiveTransformer, 0)
        model.blank = blank
        monkeypatch.setattr(model, "length_logits", lambda source: torch.eye(256)[LARGEST_DIFFERENCE, None])
        monkeypatch.setattr(model, "logits", lambda states: logits.clone())
        (found,) = argmax.decode(model, source)
        assert found.tolist() == expected


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
    found = beam.decode(model, source, beam=200, length_penalty=penalty, longest=(0, longest))[0]
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
    assert beam.decode(model, source, beam=1, longest=(0, 20))[0].tolist() == target


def test_beam_search_in_bfloat16_follows_the_models_own_scores():
    model, source = model_of(Transformer, 5), torch.tensor([[4, 6, 5, 2]])
    model.encoder.precision = "bf16"
    target = beam.decode(model, source, beam=1, longest=(0, 6))[0].tolist()
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
    found = beam.decode(model, padded, beam=width, length_penalty=penalty, longest=limit)
    assert [[*target.tolist(), 2] for target in found] == expected


def random_sources(count, longest, vocabulary, seed):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
    return [torch.tensor([*torch.randint(4, vocabulary, (n,), generator=generator).tolist(), 2]) for n in lengths]


@pytest.mark.parametrize(
    "cls, decoding",
    [
        (Transformer, {"kind": "beam", "beam": 1}),
        (Transformer, {"kind": "beam", "beam": 5}),
        (NonAutoregressiveTransformer, {"kind": "argmax"}),
        (NonAutoregressiveTransformer, {"kind": "argmax", "candidates": 3, "deduplicate": True}),
        (NonAutoregressiveTransformer, {"kind": "argmax", "length_factor": 1.1}),
    ],
)
def test_a_translation_does_not_depend_on_its_batch(cls, decoding):
    model = model_of(cls, 1, vocabulary=30)
    sources = random_sources(130, 12, 30, seed=2)
    one, seven, many = (
        [target.tolist() for target in decode_corpus(model, sources, decoding, 10**6, size)] for size in (1, 7, 128)
    )
    assert one == seven == many
    assert len({tuple(target) for target in one}) > 10  # not all the same


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


def test_argmax_takes_the_likeliest_length_and_the_likeliest_token_everywhere():
    model, source = model_of(NonAutoregressiveTransformer, 2), torch.tensor([[4, 5, 6, 2]])
    with torch.no_grad():
        encoded = model.encoder(source)
        length = max(1, int(model.length_logits(encoded).argmax()) - LARGEST_DIFFERENCE + 3)
        logits = model.logits(model.decode(encoded, torch.tensor([length])))[0]
    logits[:, [0, 1, 2]] = -torch.inf
    best = max(
        itertools.product([3, *WORDS], repeat=min(length, 4)),
        key=lambda target: sum(logits[i, word].item() for i, word in enumerate(target)),
    )
    assert argmax.decode(model, source)[0].tolist()[:4] == list(best)
    assert len(argmax.decode(model, source)[0]) == length


@pytest.mark.parametrize("seed", range(5))
def test_length_parallel_decoding_keeps_the_candidate_with_the_best_mean_log_probability(seed):
    model, source = model_of(NonAutoregressiveTransformer, seed), torch.tensor([[4, 5, 6, 5, 2]])
    with torch.no_grad():
        encoded = model.encoder(source)
        lengths = argmax.likely_lengths(model.length_logits(encoded), torch.tensor([4]), 3, 1.0)[0].tolist()
        scored = []
        for length in lengths:
            logits = model.logits(model.decode(encoded, torch.tensor([length])))[0]
            logits[:, [0, 1, 2]] = -torch.inf
            logp, tokens = logits.log_softmax(1).max(1)
            scored.append((logp.mean().item(), tokens.tolist()))
    assert argmax.decode(model, source, candidates=3)[0].tolist() == max(scored)[1]


def test_lengths_are_the_likeliest_scaled_and_never_below_one():
    logits = torch.full((1, 256), -9.0)
    logits[0, LARGEST_DIFFERENCE + 2], logits[0, LARGEST_DIFFERENCE - 20], logits[0, LARGEST_DIFFERENCE] = 3.0, 2.0, 1.0
    assert argmax.likely_lengths(logits, torch.tensor([8]), 3, 1.0).tolist() == [[10, 1, 8]]
    assert argmax.likely_lengths(logits, torch.tensor([8]), 1, 1.05).tolist() == [[11]]


def test_deduplication_removes_neighbours_only():
    assert argmax.remove_repeats(torch.tensor([4, 4, 5, 4, 6, 6, 6])).tolist() == [4, 5, 4, 6]
    assert argmax.remove_repeats(torch.tensor([], dtype=torch.long)).tolist() == []


@pytest.mark.parametrize("seed", range(4))
def test_a_teacher_scores_all_targets_in_one_batch_as_it_scores_each(seed):
    teacher, sources = model_of(Transformer, seed, vocabulary=20), random_sources(3, 9, 20, seed)
    generator = torch.Generator().manual_seed(seed)
    targets = [torch.randint(4, 20, (n,), generator=generator) for n in (3, 0, 7, 1, 12, 5)]
    with torch.no_grad():
        expected = [
            log_probability(teacher, sources[row // 2][None], target.tolist()) / (len(target) + 1)
            for row, target in enumerate(targets)
        ]
    assert mean_log_probability(teacher, pad_right(sources, 1), targets).tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("deduplicate", [False, True])
@pytest.mark.parametrize("blank", [False, True])
def test_noisy_parallel_decoding_keeps_what_the_teacher_finds_likeliest(blank, deduplicate):
    sources, chosen = random_sources(12, 9, 20, seed=3), []
    model, teacher = model_of(NonAutoregressiveTransformer, 4, 20, blank=blank), model_of(Transformer, 5, 20)
    decoding = {"kind": "argmax", "candidates": 4, "deduplicate": deduplicate, "reranker": "teacher"}
    found = decode_corpus(model, sources, decoding, beside={"teacher": teacher})
    for source, target in zip(sources, found, strict=True):
        with torch.no_grad():
            encoded = model.encoder(source[None])
            lengths = argmax.likely_lengths(model.length_logits(encoded), torch.tensor([len(source) - 1]), 4, 1.0)[0]
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


def sampler(seed=6):
    """A model with a masking head and its predictor, of which about half of all positions are masked."""
    model = model_of(NonAutoregressiveTransformer, seed, 20, predictor=True)
    model.masked.weight.data *= 0.2
    return model, model_of(NonAutoregressiveTransformer, seed + 1, 20)


@pytest.mark.parametrize("logit, expected", [(50.0, "masked"), (-50.0, "revealed")])
def test_input_sampling_with_a_sure_head_is_argmax_or_the_predictors(logit, expected):
    model, predictor = sampler()
    model.masked.weight.data.zero_()
    model.masked.bias.data.fill_(logit)
    for source in random_sources(8, 9, 20, seed=1):
        found = decode(model, source[None], {"kind": "sample", "predictor": "p"}, {"p": predictor})[0]
        if expected == "masked":
            assert found.tolist() == argmax.decode(model, source[None])[0].tolist()
        else:
            logits = predictor.logits(predictor.decode(predictor.encoder(source[None]), torch.tensor([len(found)])))[0]
            logits[:, [0, 1, 2]] = -torch.inf
            assert found.tolist() == logits.argmax(1).tolist()


def test_input_sampling_does_not_depend_on_the_batch_but_on_its_seed():
    model, predictor = sampler()
    sources = random_sources(60, 12, 20, seed=2)

    def found(size, seed=1):
        decoding = {"kind": "sample", "predictor": "p", "seed": seed}
        made = decode_corpus(model, sources, decoding, 10**6, size, {"p": predictor})
        return [target.tolist() for target in made]

    assert found(1) == found(7) == found(60)
    assert found(60) != found(60, seed=2)


def test_positions_are_revealed_as_often_as_the_head_says():
    model, predictor = sampler()
    model.masked.bias.data.fill_(-0.3)
    source = torch.tensor([[4, 5, 6, 7, 8, 9, 2]])
    with torch.no_grad():
        encoded = model.encoder(source)
        lengths = sample.draw(model, source, predictor, 8.0).lengths
        assert lengths.item() >= 8
        masked = model.masked_logits(model.decode(encoded, lengths)).sigmoid()[0]
    drawn = torch.stack([sample.draw(model, source, predictor, 8.0, seed).revealed[0] for seed in range(2000)])
    torch.testing.assert_close(drawn.float().mean(0), 1 - masked, atol=0.05, rtol=0)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_the_log_probability_of_a_draw_is_that_of_its_input_and_its_target(seed):
    """log P(Z|X) + log P(T|Z,X), position by position (MPLE, appendix E.6), of one sentence at a time."""
    model, predictor = sampler()
    for source in random_sources(6, 9, 20, seed=3):
        made = sample.draw(model, source[None], predictor, seed=seed)
        with torch.no_grad():
            encoded, length = model.encoder(source[None]), made.lengths
            masked = model.masked_logits(model.decode(encoded, length)).sigmoid()[0].tolist()
            given = model.decode(encoded, length, made.revealed, made.tokens)
            allowed = [word for word in range(20) if word not in (0, 1, 2)]
            theirs = predictor.logits(predictor.decode(predictor.encoder(source[None]), length))[0, :, allowed].softmax(
                1
            )
            ours = model.logits(given)[0, :, allowed].softmax(1)
        expected = 0.0
        for i, word in enumerate(made.tokens[0].tolist()):
            if made.revealed[0, i]:
                expected += log((1 - masked[i]) * float(theirs[i, allowed.index(word)]))
                assert theirs[i].argmax() == allowed.index(word)
            else:
                expected += log(masked[i] * float(ours[i, allowed.index(word)]))
                assert ours[i].argmax() == allowed.index(word)
        assert made.log_probability[0].item() == pytest.approx(expected, rel=1e-4)
        assert seed is not None or not made.revealed.any()
