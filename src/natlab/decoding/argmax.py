"""Decoding of non-autoregressive Transformers: the likeliest token at each position of the predicted length."""

import torch
from torch import Tensor

from natlab.models.nat import LARGEST_DIFFERENCE, NonAutoregressiveTransformer


def remove_repeats(tokens: Tensor) -> Tensor:
    """Tokens [T] without those equal to the one before (de-duplication: Lee et al. 2018; MPLE appendix D)."""
    return torch.unique_consecutive(tokens)


def likely_lengths(logits: Tensor, source_lengths: Tensor, candidates: int, factor: float) -> Tensor:
    """The ``candidates`` likeliest target lengths [B, K], each times ``factor`` (Ghazvininejad et al. 2020; MPLE
    appendix D), rounded, at least 1. logits: [B, 256]; source_lengths [B], eos not counted."""
    lengths = logits.topk(candidates, dim=1).indices - LARGEST_DIFFERENCE + source_lengths[:, None]
    # a factor of 1 leaves whole numbers as they are; rounding is half up
    return (lengths.clamp(min=1) * factor + 0.5).floor().long().clamp(min=1)


@torch.inference_mode()
def decode(
    model: NonAutoregressiveTransformer,
    source_tokens: Tensor,
    candidates: int = 1,
    length_factor: float = 1.0,
    deduplicate: bool = False,
) -> list[Tensor]:
    """The best target of each source sentence [B, S].

    ``candidates`` > 1 is length-parallel decoding (LPD, Wei et al. 2019): that many lengths are decoded at once, and
    the target with the highest mean log-probability of its tokens is kept. Of a model that may predict ε (bos) it is
    removed, after all of them have been compared.
    """
    source = model.encoder(source_tokens)
    lengths = likely_lengths(model.length_logits(source), source.lengths - 1, candidates, length_factor)
    flat = lengths.flatten()
    logits = model.logits(model.decode(source.repeated(candidates), flat))
    never = [model.config.pad, model.config.eos] + [model.config.bos] * (not model.blank)  # targets
    logits[:, :, never] = -torch.inf
    best, tokens = logits.max(2)
    if candidates > 1:
        inside = torch.arange(tokens.shape[1], device=flat.device) < flat[:, None]
        score = ((best - logits.logsumexp(2)) * inside).sum(1) / flat
        rows = torch.arange(len(lengths), device=flat.device) * candidates + score.view_as(lengths).argmax(1)
        tokens, flat = tokens[rows], flat[rows]
    targets = [row[:length] for row, length in zip(tokens, flat.tolist(), strict=True)]
    if model.blank:
        targets = [target[target.ne(model.config.bos)] for target in targets]
    return [remove_repeats(target) for target in targets] if deduplicate else targets
