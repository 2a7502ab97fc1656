"""The likeliest word and the normaliser of a row, against both written out."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from natlab.kernels import likeliest, use
from natlab.kernels.likeliest import likeliest_reference

INF = math.inf


def rows(count, vocabulary, dtype=torch.float64, seed=0, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(count, vocabulary, generator=generator, dtype=torch.float64) * scale).to(dtype)


def written_out(logits, never=()):
    words, normalisers = [], []
    for row in logits.double().tolist():
        greatest = max(row)
        normalisers.append(greatest + math.log(sum(math.exp(logit - greatest) for logit in row)))
        words.append(max((v for v in range(len(row)) if v not in never), key=lambda v: row[v]))
    return torch.tensor(words), torch.tensor(normalisers, dtype=torch.float64)


@settings(max_examples=60)
@given(
    st.integers(1, 5), st.integers(4, 200), st.integers(0, 2**31), st.sampled_from([(), (1,), (0, 1, 2)]), st.booleans()
)
def test_words_and_normalisers_are_those_written_out(count, vocabulary, seed, never, few_values):
    """Of few values there are ties, of which the first is taken."""
    logits = rows(count, vocabulary, seed=seed)
    logits = logits.round() if few_values else logits
    words, normalisers = written_out(logits, never)
    for implementation in ("library", "reference"):
        with use(implementation):
            found = likeliest(logits.clone(), never)
        assert torch.equal(found[0], words)
        assert_close(found[1], normalisers)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("vocabulary", [5, 64, 65, 6000])
def test_library_and_reference_agree(device, dtype, vocabulary):
    logits = rows(40, vocabulary, dtype, seed=vocabulary).to(device)
    wanted = likeliest_reference(logits.clone(), (0, 2))
    words, normalisers = likeliest(logits.clone(), (0, 2))
    assert torch.equal(words, wanted[0]) and normalisers.dtype == torch.float32
    assert_close(normalisers, wanted[1], rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("shift", [-1e4, 1e4])
def test_large_logits_lose_nothing_but_their_sums_rounding(device, shift):
    logits = rows(10, 500, torch.float32)
    _, normalisers = likeliest((logits + shift).to(device))
    assert_close(normalisers.cpu().double(), written_out(logits + shift)[1], rtol=1e-6, atol=0)


def test_words_that_cannot_be_are_left_out(device):
    logits = torch.tensor([[-INF, 2.0, -INF, 1.0, 1.5]], device=device)
    words, normalisers = likeliest(logits, (1,))
    assert words.tolist() == [4] and normalisers.item() == pytest.approx(math.log(sum(map(math.exp, (2, 1, 1.5)))))


def test_rows_without_a_word_end(device):
    """Their normaliser says what they are."""
    logits = torch.tensor([[-INF] * 70, [math.nan] * 70, [1.0] * 69 + [math.nan]], device=device)
    words, normalisers = likeliest(logits)
    assert ((words >= 0) & (words < 70)).all()
    assert normalisers[0] == -INF or normalisers[0].isnan()
    assert normalisers[1:].isnan().all()


def test_no_rows_have_no_words(device):
    words, normalisers = likeliest(torch.zeros(0, 7, device=device))
    assert words.shape == normalisers.shape == (0,)
