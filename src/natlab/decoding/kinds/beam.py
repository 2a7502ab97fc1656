"""Beam search for autoregressive Transformers, incremental, over batches that shrink as sentences finish."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from natlab.models.transformer import Transformer

ROWS = {"cpu": 128, "cuda": 8192}  # hypotheses whose scores over the vocabulary are held at once


@dataclass
class Beam:
    """Beam search with ``beam`` hypotheses, 1 being greedy search; ``length_penalty`` as in `search`, the dataset's
    unless said."""

    needs: ClassVar[tuple[str, ...]] = ("autoregressive",)
    of_dataset: ClassVar[tuple[str, ...]] = ("length_penalty",)

    beam: Annotated[int, ">= 1"]
    length_penalty: float = 1.0

    def __call__(self, model: Transformer, source_tokens: Tensor) -> list[Tensor]:
        return search(model, source_tokens, self.beam, self.length_penalty)


@torch.inference_mode()
def search(
    model: Transformer,
    source_tokens: Tensor,
    beam: int = 5,
    length_penalty: float = 1.0,
    longest: tuple[float, int] = (1.0, 50),
) -> list[Tensor]:
    """The best target, without eos, of each source sentence [B, S].

    A hypothesis scores its log-probability divided by its length (eos counted) to the power ``length_penalty``. A
    sentence is done when ``beam`` hypotheses have ended among its ``beam`` best continuations (the rules of fairseq's
    generator, its least length of one token too), or at ``longest`` = (a, b): a S + b tokens. beam 1 is greedy search.
    """
    config, device = model.config, source_tokens.device
    source = model.encoder(source_tokens)
    # laid out as the products of every step want them
    memories = [memory.contiguous() for memory in source.memories(model.layers)]
    mask = source.mask
    sentences, limit = len(source_tokens), int(longest[0] * source_tokens.shape[1] + longest[1])
    limits = (longest[0] * source.lengths + longest[1]).long()
    head = config.d_model // config.heads

    alive = torch.arange(sentences, device=device)  # the sentence each row belongs to
    tokens = torch.full((sentences, beam, limit + 1), config.eos, device=device)
    scores = torch.full((sentences, beam), -torch.inf, device=device)
    scores[:, 0] = 0  # all hypotheses begin alike: only the first may be continued
    caches = [
        torch.empty(2, sentences * beam, config.heads, 0, head, dtype=source.encoded.dtype, device=device)
        for _ in model.layers
    ]
    ended = torch.zeros(sentences, dtype=torch.long, device=device)
    best_score = torch.full((sentences,), -torch.inf, device=device)
    best_tokens = torch.full((sentences, limit + 1), config.eos, device=device)
    best_length = torch.zeros(sentences, dtype=torch.long, device=device)

    for at in range(limit + 1):
        rows = len(alive)
        if at == caches[0].shape[3]:
            caches = [_longer(cache) for cache in caches]
        x = model.embedding.scaled(tokens[:, :, at]) + model.positions(at, at + 1)
        x = x.to(source.encoded.dtype)
        for layer, cache, memory in zip(model.layers, caches, memories, strict=True):
            x = layer.step(x, cache, at, memory, mask)
        last = at >= limits[alive]
        # the 2K best continuations of all hypotheses are among the 2K best of each, and at least K of them do not end
        gains, words = _continuations(model, x, 2 * beam, first=at == 0, last=last)
        width = gains.shape[2]
        total = (scores[:, :, None] + gains).flatten(1)
        total, order = total.topk(2 * beam, dim=1)
        parents = order // width
        words = words.flatten(1).gather(1, order)
        ends = words.eq(config.eos) & total.isfinite()

        # ended hypotheses count while they are among the K best
        finished = ends[:, :beam]
        if finished.any():
            normalised = torch.where(finished, total[:, :beam] / (at + 1) ** length_penalty, -torch.inf)
            # a sentence keeps its first K ended ones, best first within a step
            rank = finished.cumsum(1) + ended[alive][:, None]
            normalised = normalised.masked_fill(rank > beam, -torch.inf)
            score, which = normalised.max(1)
            better = score > best_score[alive]
            winners = alive[better]
            best_score[winners] = score[better]
            best_length[winners] = at
            best_tokens[winners] = tokens[better, parents[better, which[better]]]
            ended[alive] += finished.sum(1)

        # the K best that go on
        keep = (total.masked_fill(ends, -torch.inf)).topk(beam, dim=1).indices
        going = (ended[alive] < beam) & ~last
        if not going.any():
            break
        parents, words = parents.gather(1, keep)[going], words.gather(1, keep)[going]
        scores = total.masked_fill(ends, -torch.inf).gather(1, keep)[going]
        hypotheses = (torch.arange(rows, device=device)[going, None] * beam + parents).flatten()
        tokens = tokens.flatten(0, 1)[hypotheses].view(-1, beam, limit + 1)
        if at < limit:
            tokens[:, :, at + 1] = words
        if len(hypotheses) < rows * beam or not torch.equal(hypotheses, torch.arange(rows * beam, device=device)):
            caches = [cache.index_select(1, hypotheses) for cache in caches]
        if not going.all():
            alive = alive[going]
            memories = [memory[:, going] for memory in memories]
            mask = None if mask is None else mask[going]
    lengths = best_length.tolist()
    return [row[1 : length + 1] for row, length in zip(best_tokens, lengths, strict=True)]


def _continuations(model: Transformer, x: Tensor, width: int, first: bool, last: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities and ids [N, K, W] of the ``width`` likeliest next words (all, of a smaller vocabulary).

    x: [N, K, d], the hypotheses' states. Padding never follows, eos not at the ``first`` position, and nothing else
    where a sentence is at its ``last`` [N]. Few rows at a time: their scores over the vocabulary stay in the cache.
    """
    config = model.config
    hypotheses = x.shape[1]
    parts, rows = [], ROWS[x.device.type]
    at_last = last.repeat_interleave(hypotheses)
    for states, ending in zip(x.flatten(0, 1).split(rows), at_last.split(rows), strict=True):
        logits = model.logits(states)
        normaliser = logits.logsumexp(1, keepdim=True)
        logits[:, config.pad] = -torch.inf
        if first:
            logits[:, config.eos] = -torch.inf
        if ending.any():
            eos = logits[ending, config.eos]
            logits[ending] = -torch.inf
            logits[ending, config.eos] = eos
        best, words = logits.topk(min(width, logits.shape[1]), dim=1)
        parts.append((best - normaliser, words))
    gains, words = (
        torch.cat(tensors).view(-1, hypotheses, tensors[0].shape[1]) for tensors in zip(*parts, strict=True)
    )
    return gains, words


def _longer(cache: Tensor) -> Tensor:
    """A cache [2, N, heads, T, d / heads] with room for 16 positions more."""
    return torch.cat([cache, cache.new_empty(*cache.shape[:3], 16, cache.shape[4])], dim=3)
