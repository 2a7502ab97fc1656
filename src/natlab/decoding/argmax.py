"""Decoding of non-autoregressive Transformers: the likeliest token at each position of the predicted length."""

import torch
from torch import Tensor

from natlab.decoding.rerank import mean_log_probability
from natlab.models.cross_entropy import argmax
from natlab.models.nat import LARGEST_DIFFERENCE, NonAutoregressiveTransformer
from natlab.models.transformer import Transformer


def remove_repeats(tokens: Tensor) -> Tensor:
    """Tokens [T] without those equal to the one before (de-duplication: Lee et al. 2018; MPLE appendix D)."""
    return torch.unique_consecutive(tokens)


def likely_lengths(logits: Tensor, source_lengths: Tensor, candidates: int, factor: float) -> Tensor:
    """The ``candidates`` likeliest target lengths [B, K], each times ``factor`` (Ghazvininejad et al. 2020; MPLE
    appendix D), rounded, at least 1. logits: [B, 256]; source_lengths [B], eos not counted."""
    lengths = logits.topk(candidates, dim=1).indices - LARGEST_DIFFERENCE + source_lengths[:, None]
    # a factor of 1 leaves whole numbers as they are; rounding is half up
    return (lengths.clamp(min=1) * factor + 0.5).floor().long().clamp(min=1)


def likeliest(model: NonAutoregressiveTransformer, states: Tensor) -> tuple[Tensor, Tensor]:
    """The likeliest tokens [B, T] of decoder states [B, T, d], of those that a target may hold, and their
    log-probabilities [B, T] among these, in nats."""
    logits = model.logits(states)
    never = [model.config.pad, model.config.eos] + [model.config.bos] * (not model.blank)
    logits[:, :, never] = -torch.inf
    return argmax(logits), torch.softmax(logits, dim=2).amax(2).log()


def finished(
    model: NonAutoregressiveTransformer, tokens: Tensor, lengths: Tensor, deduplicate: bool = False
) -> list[Tensor]:
    """Each target of tokens [B, T] and lengths [B]: without ε, if the model may predict it, then without repeats."""
    targets = [row[:length] for row, length in zip(tokens, lengths.tolist(), strict=True)]
    if model.blank:
        targets = [target[target.ne(model.config.bos)] for target in targets]
    return [remove_repeats(target) for target in targets] if deduplicate else targets


@torch.inference_mode()
def decode(
    model: NonAutoregressiveTransformer,
    source_tokens: Tensor,
    candidates: int = 1,
    length_factor: float = 1.0,
    deduplicate: bool = False,
    reranker: Transformer | None = None,
) -> list[Tensor]:
    """The best target of each source sentence [B, S].

    ``candidates`` > 1 decodes that many lengths at once. Length-parallel decoding (LPD, Wei et al. 2019) keeps the
    target with the highest mean log-probability of its tokens, ε counted; with a ``reranker``, an autoregressive model,
    noisy parallel decoding (NPD, Gu et al. 2018) the one that it finds likeliest, per token, once ε and, if so asked,
    repeats are removed.
    """
    source = model.encoder(source_tokens)
    lengths = likely_lengths(model.length_logits(source), source.lengths - 1, candidates, length_factor)
    flat = lengths.flatten()
    tokens, log_probability = likeliest(model, model.decode(source.repeated(candidates), flat))
    targets = finished(model, tokens, flat, deduplicate)
    if candidates == 1:
        return targets
    if reranker is None:
        inside = torch.arange(tokens.shape[1], device=flat.device) < flat[:, None]
        score = (log_probability * inside).sum(1) / flat
    else:
        score = mean_log_probability(reranker, source_tokens, targets)
    best = score.view_as(lengths).argmax(1).tolist()
    return [targets[row * candidates + which] for row, which in enumerate(best)]
