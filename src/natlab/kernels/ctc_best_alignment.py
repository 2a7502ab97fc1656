"""The best path of connectionist temporal classification (CTC, Graves et al. 2006): glancing with CTC.

States are the target's T tokens with a blank before, between and behind them: state 2t + 1 is token t, even states are
blanks. A path takes one state a position, starts in state 0 or 1, ends in state 2T or 2T - 1, and at each position
stays, goes to the next state, or skips a blank between two tokens that differ. With s[l, u] the log-probability of what
state u emits at position l,

    a[l, u] = s[l, u] + max(a[l - 1, u], a[l - 1, u - 1], a[l - 1, u - 2] if u is a token unlike the one before it)

Walking back takes the latest of equally good states, on every device and in the reference.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from natlab.kernels.dag import computable
from natlab.kernels.library import call, implementation


def ctc_best_alignment(
    match: Tensor, blank: Tensor, tokens: Tensor, lengths: Tensor, target_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """The likeliest CTC path of each target: its log-probability [B], in nats, and its alignment [B, L], int64.

    match: [B, T, L], the log-probability of target token t at position l; blank: [B, L], that of the blank; both
    float64, float32, bfloat16 or float16, of one dtype. tokens: [B, T], int64, read only to see which neighbours are
    equal. lengths, target_lengths: [B], int64, positions and tokens.

    The alignment holds the index of the target token that a position emits, -1 for a blank, beyond the length, and
    throughout where the target has no possible path (its log-probability is then -inf), as when it and the blanks
    between its equal neighbours need more positions. Of equally good paths, going back from the last position, the one
    in the latest state is taken. The log-probability is float32 (float64 for float64). Not differentiable.

    Raises ValueError for shapes and dtypes that do not fit.
    """
    batch, targets, length = match.shape
    if blank.shape != (batch, length) or tokens.shape != (batch, targets) or match.dtype != blank.dtype:
        shapes = [(*tensor.shape, tensor.dtype) for tensor in (match, blank, tokens)]
        raise ValueError(f"ctc_best_alignment: match, blank and tokens {shapes} do not fit")
    if lengths.shape != (batch,) or target_lengths.shape != (batch,):
        shapes = [tuple(tensor.shape) for tensor in (lengths, target_lengths)]
        raise ValueError(f"ctc_best_alignment: lengths and target_lengths {shapes} must be [{batch}]")
    if not tokens.dtype == lengths.dtype == target_lengths.dtype == torch.int64:
        raise ValueError("ctc_best_alignment: tokens, lengths and target_lengths must be int64")
    if implementation() == "reference":
        return ctc_best_alignment_reference(match, blank, tokens, lengths, target_lengths)
    match, blank = computable(match.detach()), computable(blank.detach())
    return _ctc_best_alignment(match, blank, tokens, lengths, target_lengths)


@torch.no_grad()
def ctc_best_alignment_reference(
    match: Tensor, blank: Tensor, tokens: Tensor, lengths: Tensor, target_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """`ctc_best_alignment` in plain torch."""
    match, blank = computable(match), computable(blank)
    batch, targets, length = match.shape
    states = 2 * targets + 1
    emission = match.new_empty(batch, states, length)
    emission[:, 0::2], emission[:, 1::2] = blank[:, None], match
    skips = torch.zeros(batch, states, dtype=torch.bool, device=match.device)
    skips[:, 3::2] = tokens[:, 1:] != tokens[:, :-1]
    score = torch.full_like(emission[:, :, 0], -torch.inf)
    score[:, :2] = emission[:, :2, 0]
    before = []
    for l in range(1, length):
        one = pad(score[:, :-1], (1, 0), value=-torch.inf)
        two = pad(one[:, :-1], (1, 0), value=-torch.inf).masked_fill(~skips, -torch.inf)
        best, steps = torch.stack([score, one, two]).max(0)
        score = torch.where((l < lengths)[:, None], best + emission[:, :, l], score)
        before.append(steps)
    last = 2 * target_lengths
    sentences = torch.arange(batch, device=match.device)
    score[:, 0].masked_fill_(lengths == 0, 0)  # without positions, nothing is all that can be emitted
    score[:, 1:].masked_fill_((lengths == 0)[:, None], -torch.inf)
    final = torch.stack([score[sentences, last], score[sentences, (last - 1).clamp(min=0)]])
    log_probs, earlier = final.max(0)
    at = (last - earlier).clamp(min=0)
    alignment = tokens.new_full((batch, length), -1)
    possible = log_probs > -torch.inf
    for l in reversed(range(length)):
        inside = possible & (l < lengths)
        alignment[:, l] = torch.where(inside & (at % 2 == 1), at // 2, -1)
        if l:
            at = torch.where(inside, at - before[l - 1][sentences, at], at)
    return log_probs, alignment


@torch.library.custom_op("natlab::ctc_best_alignment", mutates_args=())
def _ctc_best_alignment(
    match: Tensor, blank: Tensor, tokens: Tensor, lengths: Tensor, target_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """The log-probabilities [B] and the alignments [B, L]."""
    batch, targets, length = match.shape
    outputs = _outputs(match, blank, tokens, lengths, target_lengths)
    inputs = (tensor.contiguous() for tensor in (match, blank, tokens, lengths, target_lengths))
    cuda = match.device.type == "cuda"
    steps = match.new_empty(batch, length, 2 * targets + 1, dtype=torch.uint8) if cuda else None
    call("ctc_best_alignment", *inputs, steps, *outputs, match.dtype, *match.shape)
    return outputs


@_ctc_best_alignment.register_fake
def _outputs(
    match: Tensor, blank: Tensor, tokens: Tensor, lengths: Tensor, target_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    return match.new_empty(len(match)), tokens.new_empty(blank.shape)
