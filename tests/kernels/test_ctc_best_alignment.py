"""The best CTC path against all paths, enumerated."""

import importlib
import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from natlab.kernels import use
from natlab.kernels.ctc_best_alignment import (
    _ctc_best_alignment,
    ctc_best_alignment,
    ctc_best_alignment_reference,
)

INF = math.inf


@st.composite
def batches(draw):
    """Match, blank, tokens (often equal neighbours), lengths and target lengths; what is ignored is nan."""
    batch = draw(st.integers(1, 3))
    lengths = draw(st.lists(st.integers(0, 6), min_size=batch, max_size=batch))
    targets = draw(st.lists(st.integers(0, 4), min_size=batch, max_size=batch))
    length, target = max(lengths) + draw(st.integers(1, 2)), max(targets) + draw(st.integers(0, 2))
    scale, never = draw(st.sampled_from([0.0, 1.0, 100.0])), draw(st.sampled_from([0.0, 0.2]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))

    def drawn(*shape):
        entries = torch.randn(shape, generator=generator, dtype=torch.float64) * scale - 1
        return entries.masked_fill(torch.rand(shape, generator=generator) < never, -INF)

    match, blank = drawn(batch, target, length), drawn(batch, length)
    tokens = torch.randint(2, (batch, target), generator=generator)
    for b in range(batch):
        match[b, targets[b] :] = torch.nan
        match[b, :, lengths[b] :] = torch.nan
        blank[b, lengths[b] :] = torch.nan
    return match, blank, tokens, torch.tensor(lengths), torch.tensor(targets)


def random_batch(lengths, targets, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    match = torch.randn(len(lengths), max(targets), max(lengths), generator=generator, dtype=torch.float64) - 2
    blank = torch.randn(len(lengths), max(lengths), generator=generator, dtype=torch.float64) - 1
    tokens = torch.randint(3, match.shape[:2], generator=generator)
    return match.to(dtype), blank.to(dtype), tokens, torch.tensor(lengths), torch.tensor(targets)


def alignments(tokens, length):
    """All sequences of target indices and -1 (blank) that a CTC model may emit for the target."""
    for alignment in itertools.product(range(-1, len(tokens)), repeat=length):
        runs = [index for index, _ in itertools.groupby(alignment)]
        emitted = [index for index in runs if index >= 0]
        touching = any(a >= 0 and b >= 0 and tokens[a] == tokens[b] for a, b in itertools.pairwise(runs))
        if emitted == list(range(len(tokens))) and not touching:
            yield alignment


def score_of(match, blank, alignment):
    return sum(float(blank[l]) if index < 0 else float(match[index, l]) for l, index in enumerate(alignment))


@settings(max_examples=50)
@given(batch=batches())
def test_best_alignment_is_the_best_of_all(device, batch):
    match, blank, tokens, lengths, targets = batch
    for function, where in ((ctc_best_alignment_reference, "cpu"), (ctc_best_alignment, device)):
        log_probs, alignment = (output.cpu() for output in function(*to(where, *batch)))
        for b, (length, target) in enumerate(zip(lengths.tolist(), targets.tolist(), strict=True)):
            scored = {a: score_of(match[b], blank[b], a) for a in alignments(tokens[b, :target].tolist(), length)}
            best = max(scored.values(), default=-INF)
            assert float(log_probs[b]) == pytest.approx(best, rel=1e-9, abs=1e-9)
            assert (alignment[b, length:] == -1).all()
            found = tuple(alignment[b, :length].tolist())
            if best == -INF:
                assert set(found) <= {-1}
            else:
                assert scored[found] >= best - 1e-9 * (1 + abs(best))


def to(device, *tensors):
    return [tensor.to(device) for tensor in tensors]


def test_ties_go_to_the_latest_state(device):
    match, blank = torch.zeros(2, 2, 5), torch.zeros(2, 5)
    arguments = match, blank, torch.tensor([[7, 8], [7, 7]]), torch.tensor([5, 4]), torch.tensor([2, 2])
    for function, where in ((ctc_best_alignment_reference, "cpu"), (ctc_best_alignment, device)):
        assert function(*to(where, *arguments))[1].tolist() == [[0, 1, -1, -1, -1], [0, -1, 1, -1, -1]]


def test_sentences_of_mixed_lengths_are_as_alone(device):
    lengths, targets = [40, 1, 13, 7, 5], [17, 1, 6, 0, 9]
    batch = to(device, *random_batch(lengths, targets))
    log_probs, alignment = ctc_best_alignment(*batch)
    expected_log_probs, expected = ctc_best_alignment_reference(*batch)
    assert_close(log_probs, expected_log_probs, rtol=1e-12, atol=1e-12)
    assert torch.equal(alignment, expected)
    match, blank, tokens, *_ = batch
    for b, (n, m) in enumerate(zip(lengths, targets, strict=True)):
        sizes = torch.tensor([n], device=device), torch.tensor([m], device=device)
        alone = ctc_best_alignment(match[b : b + 1, :m, :n], blank[b : b + 1, :n], tokens[b : b + 1, :m], *sizes)
        assert_close(alone[0][0], log_probs[b], rtol=0, atol=0)
        assert torch.equal(alone[1][0], alignment[b, :n]) and (alignment[b, n:] == -1).all()
    assert torch.isneginf(log_probs[4])


def test_lengths_beyond_the_tensors_are_impossible(device):
    match, blank, tokens, lengths, targets = to(device, *random_batch([4, 4], [2, 2]))
    lengths[0], targets[1] = 9, 8
    assert torch.isneginf(ctc_best_alignment(match, blank, tokens, lengths, targets)[0]).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_float32(device, dtype):
    match, blank, *rest = to(device, *random_batch([40, 13], [17, 6], dtype))
    log_probs, alignment = ctc_best_alignment(match, blank, *rest)
    expected_log_probs, expected = ctc_best_alignment(match.float(), blank.float(), *rest)
    assert log_probs.dtype == torch.float32
    assert_close(log_probs, expected_log_probs, rtol=0, atol=0)
    assert torch.equal(alignment, expected)


def test_opcheck(device):
    torch.library.opcheck(_ctc_best_alignment, to(device, *random_batch([6, 3], [3, 2])))


def test_compiles_without_a_break(device):
    batch = to(device, *random_batch([6, 3], [3, 2]))
    compiled = torch.compile(ctc_best_alignment, fullgraph=True, backend="aot_eager")
    assert_close(compiled(*batch), ctc_best_alignment(*batch), rtol=0, atol=0)


def test_reference_is_what_use_forces(device, monkeypatch):
    batch = to(device, *random_batch([6, 3], [3, 2]))
    module = importlib.import_module("natlab.kernels.ctc_best_alignment")
    monkeypatch.setattr(module, "_ctc_best_alignment", None)
    with use("reference"):
        ctc_best_alignment(*batch)


def test_refusals():
    match, blank, tokens, lengths, targets = random_batch([6, 3], [3, 2])
    for refused in (
        (match, blank[:, :5], tokens, lengths, targets),
        (match, blank.float(), tokens, lengths, targets),
        (match, blank, tokens[:, :2], lengths, targets),
        (match, blank, tokens, lengths[:1], targets),
        (match, blank, tokens.int(), lengths, targets),
    ):
        with pytest.raises(ValueError, match="ctc_best_alignment"):
            ctc_best_alignment(*refused)
