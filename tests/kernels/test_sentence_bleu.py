import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from natlab.kernels import sentence_bleu, use
from natlab.kernels.sentence_bleu import sentence_bleu_reference

SACREBLEU = BLEU(tokenize="none", smooth_method="exp", effective_order=True)


def batch(sequences: list[list[int]], size: int, padding: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Sequences as [N, size], and their lengths."""
    tokens = torch.full((len(sequences), size), padding)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = torch.tensor(sequence, dtype=torch.long)
    return tokens, torch.tensor([len(sequence) for sequence in sequences])


def by_sacrebleu(hypothesis: list[int], reference: list[int]) -> float:
    return SACREBLEU.sentence_score(" ".join(map(str, hypothesis)), [" ".join(map(str, reference))]).score


@st.composite
def sentences(draw):
    """Hypotheses and references of few words, so that n-grams are repeated and shared; the longest lengths."""
    word = st.integers(0, draw(st.integers(1, 6)))
    most = draw(st.sampled_from([1, 3, 9, 70]))
    sequences = st.lists(st.lists(word, max_size=most), min_size=1, max_size=4)
    return draw(sequences), draw(sequences), most


@pytest.mark.parametrize("implementation", ["library", "reference"])
@settings(max_examples=40)
@given(drawn=sentences())
def test_all_pairs_score_as_by_sacrebleu(implementation, device, drawn):
    hypotheses, references, most = drawn
    inputs = [tensor.to(device) for side in (hypotheses, references) for tensor in batch(side, most)]
    with use(implementation):
        scores = sentence_bleu(*inputs)
    expected = [[by_sacrebleu(hypothesis, reference) for reference in references] for hypothesis in hypotheses]
    torch.testing.assert_close(scores[0].cpu(), torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-9)


def random_batch(device: str, rows: int, size: int, vocabulary: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    return (
        torch.randint(vocabulary, (rows, size), device=device),
        torch.randint(size + 1, (rows,), device=device),
    )


@pytest.mark.parametrize("size", [1, 30, 64, 65, 200])
def test_given_pairs_and_groups_score_as_all_pairs_do(device, size):
    torch.manual_seed(size)
    inputs = [*random_batch(device, 12, size), *random_batch(device, 6, size + 3)]
    every = sentence_bleu(*inputs)[0]
    torch.testing.assert_close(every, sentence_bleu_reference(*inputs)[0], rtol=1e-9, atol=1e-9)
    pairs = torch.stack([torch.randint(12, (50,)), torch.randint(6, (50,))], dim=1).to(device)
    assert sentence_bleu(*inputs, pairs).equal(every[pairs[:, 0], pairs[:, 1]])
    groups = sentence_bleu(*inputs, groups=3)
    assert groups.equal(torch.stack([every[4 * g : 4 * g + 4, 2 * g : 2 * g + 2] for g in range(3)]))
    with use("reference"):
        torch.testing.assert_close(sentence_bleu(*inputs, groups=3), groups, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(sentence_bleu(*inputs, pairs), sentence_bleu(*inputs)[0][tuple(pairs.T)])


def test_padding_is_no_token(device):
    hypothesis, reference = [5, 6, 7, 5], [6, 7, 5, 5, 6]
    scores = [
        sentence_bleu(*(t.to(device) for t in (*batch([hypothesis], 9, pad), *batch([reference], 11, pad))))
        for pad in (0, 5, 6)
    ]
    assert scores[0].equal(scores[1]) and scores[0].equal(scores[2])


def test_huge_tokens_are_told_apart(device):
    one, other = batch([[2**62, 2**32 + 1, 3]], 3), batch([[2**62, 1, 3]], 3)
    assert sentence_bleu(*(t.to(device) for t in one + one)).item() == pytest.approx(100)
    assert sentence_bleu(*(t.to(device) for t in one + other)).item() == pytest.approx(
        by_sacrebleu([7, 8, 9], [7, 1, 9])
    )


def test_torch_knows_the_op(device):
    torch.manual_seed(0)
    inputs = [*random_batch(device, 4, 9), *random_batch(device, 2, 8)]
    pairs = torch.tensor([[3, 1], [0, 0]], device=device)
    torch.library.opcheck(torch.ops.natlab.sentence_bleu.default, (*inputs, None, 2))
    torch.library.opcheck(torch.ops.natlab.sentence_bleu.default, (*inputs, pairs, 1))
    compiled = torch.compile(sentence_bleu, fullgraph=True, backend="aot_eager")
    assert compiled(*inputs, pairs).equal(sentence_bleu(*inputs, pairs))
    assert sentence_bleu(*(tensor[:0] for tensor in inputs)).shape == (1, 0, 0)
    with use("reference"):
        assert sentence_bleu(*(tensor[:0] for tensor in inputs)).shape == (1, 0, 0)


def test_inputs_that_do_not_fit_are_refused():
    tokens, lengths = torch.zeros(4, 3, dtype=torch.long), torch.tensor([3, 2, 1, 0])
    pairs = torch.tensor([[0, 4]])
    with pytest.raises(ValueError, match="must be int64"):
        sentence_bleu(tokens.int(), lengths, tokens, lengths)
    with pytest.raises(ValueError, match="are not"):
        sentence_bleu(tokens, lengths[:3], tokens, lengths)
    with pytest.raises(ValueError, match="do not make 3 groups"):
        sentence_bleu(tokens, lengths, tokens, lengths, groups=3)
    with pytest.raises(ValueError, match="in no groups"):
        sentence_bleu(tokens, lengths, tokens, lengths, pairs, groups=2)
    with pytest.raises(IndexError, match="a pair lies outside 4 hypotheses and 4 references"):
        sentence_bleu(tokens, lengths, tokens, lengths, pairs)
    with pytest.raises(RuntimeError, match="a length is negative or exceeds its tensor"):
        sentence_bleu(tokens, lengths + 1, tokens, lengths)
