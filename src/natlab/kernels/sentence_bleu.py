"""Smoothed sentence BLEU between integer sequences, exactly as sacreBLEU defines it.

With c_n the n-grams of the hypothesis that the reference has, too (clipped: each as often as the reference has it), t_n
all its n-grams, h and r the lengths, and N the longest order up to 4 that the hypothesis has,

    BLEU = 100 min(1, exp(1 - r / h)) (p_1 ... p_N)^(1 / N),   p_n = c_n / t_n,  or 1 / (2^k t_n) at the k-th c_n of 0

and 0 where nothing matches. That is `sacrebleu.sentence_bleu(..., tokenize="none")`, signature eff:yes|smooth:exp: the
effective order, and the smoothing of mteval-v13a, method 3 of Chen and Cherry (2014).

Nothing is hashed: an n-gram is found by comparing all positions, O(h r) a pair.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from natlab.kernels.library import call, implementation

ORDERS = 4


def sentence_bleu(
    hypotheses: Tensor,
    hypothesis_lengths: Tensor,
    references: Tensor,
    reference_lengths: Tensor,
    pairs: Tensor | None = None,
    groups: int = 1,
) -> Tensor:
    """Sentence BLEU from 0 to 100, float64, of given pairs, [P], or of all pairs within each group, [G, N / G, M / G].

    hypotheses: [N, T], references: [M, R], tokens; hypothesis_lengths [N], reference_lengths [M]; pairs: [P, 2], the
    row of a hypothesis and that of a reference; all int64. groups: G, how many groups of equal size, one after another,
    the rows make up (1: every hypothesis with every reference); not with pairs. An empty sequence scores 0.

    Raises ValueError for shapes and dtypes that do not fit; on the CPU, IndexError for a pair of rows that are not
    there and RuntimeError for lengths out of range (on CUDA an assertion on the device, and lengths are clamped).
    """
    rows = [(len(hypotheses),), (len(references),)]
    integers = [hypotheses, hypothesis_lengths, references, reference_lengths, *([] if pairs is None else [pairs])]
    if any(tensor.dtype != torch.int64 for tensor in integers):
        raise ValueError("sentence_bleu: tokens, lengths and pairs must be int64")
    if [hypothesis_lengths.shape, reference_lengths.shape] != rows or not hypotheses.dim() == references.dim() == 2:
        shapes = [tuple(tensor.shape) for tensor in integers[:4]]
        raise ValueError(f"sentence_bleu: sequences and lengths {shapes} are not [N, T], [N], [M, R] and [M]")
    if pairs is not None and (pairs.dim() != 2 or pairs.shape[1] != 2 or groups != 1):
        raise ValueError(f"sentence_bleu: pairs must be [P, 2] and in no groups, not {tuple(pairs.shape)}")
    if groups < 1 or len(hypotheses) % groups or len(references) % groups:
        raise ValueError(f"sentence_bleu: {len(hypotheses)} and {len(references)} rows do not make {groups} groups")
    of = _sentence_bleu if implementation() == "library" else sentence_bleu_reference
    return of(hypotheses, hypothesis_lengths, references, reference_lengths, pairs, groups)


def sentence_bleu_reference(
    hypotheses: Tensor,
    hypothesis_lengths: Tensor,
    references: Tensor,
    reference_lengths: Tensor,
    pairs: Tensor | None = None,
    groups: int = 1,
) -> Tensor:
    """`sentence_bleu` in plain torch."""
    shape = _scores(hypotheses, hypothesis_lengths, references, reference_lengths, pairs, groups).shape
    if pairs is None:
        _, n, m = shape
        p = torch.arange(shape.numel(), device=hypotheses.device)
        row = p // max(m, 1)
        pairs = torch.stack([row, row // max(n, 1) * m + p % max(m, 1)], dim=1)
    h, r = hypothesis_lengths[pairs[:, 0]], reference_lengths[pairs[:, 1]]
    hypothesis, reference = hypotheses[pairs[:, 0]], references[pairs[:, 1]]
    of_hypothesis = torch.arange(hypothesis.shape[1], device=h.device) < h[:, None]
    of_reference = torch.arange(reference.shape[1], device=h.device) < r[:, None]
    # whether the n-grams at two positions are equal: in hypothesis and reference, and in the hypothesis itself, where
    # the second position comes before the first
    first_across = (hypothesis[:, :, None] == reference[:, None]) & of_hypothesis[:, :, None] & of_reference[:, None]
    before = torch.ones(hypothesis.shape[1], hypothesis.shape[1], dtype=torch.bool, device=h.device).tril(-1)
    first_within = (hypothesis[:, :, None] == hypothesis[:, None]) & of_hypothesis[:, :, None] & before
    across, within = first_across, first_within

    correct = []
    for n in range(1, ORDERS + 1):
        if n > 1:
            across, within = (
                first & pad(shorter[:, 1:, 1:], (0, 1, 0, 1))
                for first, shorter in ((first_across, across), (first_within, within))
            )
        correct.append((within.sum(2) < across.sum(2)).sum(1))
    return from_matches(torch.stack(correct, 1), h, r).view(shape)


def from_matches(correct: Tensor, hypothesis_lengths: Tensor, reference_lengths: Tensor) -> Tensor:
    """Sentence BLEU [P], float64, from the n-grams that the reference has, too, correct [P, 4], and both lengths
    [P]."""
    h, r = hypothesis_lengths, reference_lengths
    logs, order, smoothing = torch.zeros_like(h, dtype=torch.float64), torch.zeros_like(h), torch.ones_like(h)
    for n, matches in enumerate(correct.double().unbind(1), 1):
        total = (h - n + 1).clamp(min=0).double()
        smoothing = torch.where(matches == 0, 2 * smoothing, smoothing)
        precision = torch.where(matches == 0, 1 / (smoothing * total), matches / total)
        logs += torch.where(total > 0, precision.log(), 0)
        order += total > 0
    brevity = (1 - r.double() / h).clamp(max=0)
    return torch.where(correct.any(1), 100 * (brevity + logs / order).exp(), 0)


@torch.library.custom_op("natlab::sentence_bleu", mutates_args=())
def _sentence_bleu(
    hypotheses: Tensor,
    hypothesis_lengths: Tensor,
    references: Tensor,
    reference_lengths: Tensor,
    pairs: Tensor | None,
    groups: int,
) -> Tensor:
    scores = _scores(hypotheses, hypothesis_lengths, references, reference_lengths, pairs, groups)
    if pairs is not None:
        rows = torch.tensor([len(hypotheses), len(references)])
        if not pairs.is_cuda and not ((pairs >= 0) & (pairs < rows)).all():
            raise IndexError(
                f"sentence_bleu: a pair lies outside {len(hypotheses)} hypotheses and {len(references)} references"
            )
        pairs = pairs.contiguous()
    call(
        "sentence_bleu",
        *(hypotheses.contiguous(), hypothesis_lengths.contiguous()),
        *(references.contiguous(), reference_lengths.contiguous()),
        *(pairs, scores, scores.numel(), groups, *hypotheses.shape, *references.shape),
    )
    return scores


@_sentence_bleu.register_fake
def _scores(hypotheses, hypothesis_lengths, references, reference_lengths, pairs, groups) -> Tensor:
    shape = (groups, len(hypotheses) // groups, len(references) // groups) if pairs is None else (len(pairs),)
    return hypotheses.new_empty(shape, dtype=torch.float64)
