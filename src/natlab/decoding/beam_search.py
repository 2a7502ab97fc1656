"""Beam search for autoregressive Transformers, incremental, over batches that shrink as sentences finish."""

from dataclasses import dataclass

import torch
from torch import Tensor

from natlab.models.transformer import Source, Transformer

LONGEST = (1.0, 50)  # targets of sources of S tokens, eos counted: 1.0 S + 50
ROWS = {"cpu": 128, "cuda": 8192}  # hypotheses whose scores over the vocabulary are held at once


@torch.inference_mode()
def search(
    model: Transformer,
    source_tokens: Tensor,
    beam: int = 5,
    length_penalty: float = 1.0,
    longest: tuple[float, int] = LONGEST,
) -> list[Tensor]:
    """The best target, without eos, of each source sentence [B, S].

    A hypothesis scores its log-probability divided by its length (eos counted) to the power ``length_penalty``. A
    sentence is done when ``beam`` hypotheses have ended among its ``beam`` best continuations (the rules of fairseq's
    generator, its least length of one token too), or at ``longest`` = (a, b): a S + b tokens. beam 1 is greedy search.
    """
    source = model.encoder(source_tokens)
    limit = int(longest[0] * source_tokens.shape[1] + longest[1])
    limits = (longest[0] * source.lengths + longest[1]).long()  # [B]
    growing = _Growing.start(model, source, beam, limit)
    ended = _Ended(len(source_tokens), beam, limit, source_tokens.new_full((), model.config.eos))
    for at in range(limit + 1):
        states = growing.step(model, at)  # [N, K, d]
        last = at >= limits[growing.sentences]  # [N]
        # the 2K best continuations of all hypotheses are among the 2K best of each, and at least K of them do not end
        gains, words = _continuations(model, states, 2 * beam, first=at == 0, last=last)  # [N, K, W]
        total, order = (growing.scores[:, :, None] + gains).flatten(1).topk(2 * beam, dim=1)  # [N, 2K]
        parents, words = order // gains.shape[2], words.flatten(1).gather(1, order)
        ends = words.eq(model.config.eos) & total.isfinite()
        # ended hypotheses count while they are among the K best
        ended.add(growing, at, ends[:, :beam], parents, total[:, :beam] / (at + 1) ** length_penalty)
        going = (ended.count[growing.sentences] < beam) & ~last
        if not going.any():
            break
        scores, which = total.masked_fill(ends, -torch.inf).topk(beam, dim=1)  # the K best that go on
        growing.grow(at, going, parents.gather(1, which), words.gather(1, which), scores)
    return ended.targets()


@dataclass
class _Growing:
    """The hypotheses that have not ended, K of each of the N sentences that are not done.

    sentences: [N], the number of each in the batch.
    tokens: [N, K, T], the first of all being eos; scores: [N, K], their log-probabilities.
    caches: of each layer, the keys and values [2, N K, heads, T', d / heads] of the positions so far.
    memories, mask: of each layer, those of the source, and its mask.
    """

    sentences: Tensor
    tokens: Tensor
    scores: Tensor
    caches: list[Tensor]
    memories: list[Tensor]
    mask: Tensor | None

    @classmethod
    def start(cls, model: Transformer, source: Source, beam: int, limit: int) -> "_Growing":
        """Empty ones, of at most ``limit`` tokens."""
        config, encoded = model.config, source.encoded
        shape = (2, len(encoded) * beam, config.heads, 0, config.d_model // config.heads)
        scores = torch.full((len(encoded), beam), -torch.inf, device=encoded.device)
        scores[:, 0] = 0  # all hypotheses begin alike: only the first may be continued
        return cls(
            sentences=torch.arange(len(encoded), device=encoded.device),
            tokens=torch.full((len(encoded), beam, limit + 1), config.eos, device=encoded.device),
            scores=scores,
            caches=[encoded.new_empty(shape) for _ in model.layers],
            # laid out as the products of every step want them
            memories=[memory.contiguous() for memory in source.memories(model.layers)],
            mask=source.mask,
        )

    def step(self, model: Transformer, at: int) -> Tensor:
        """The states [N, K, d] that say what follows position ``at``."""
        if at == self.caches[0].shape[3]:
            self.caches = [_longer(cache) for cache in self.caches]
        x = model.embedding.scaled(self.tokens[:, :, at]) + model.positions(at, at + 1)
        x = x.to(self.caches[0].dtype)
        for layer, cache, memory in zip(model.layers, self.caches, self.memories, strict=True):
            x = layer.step(x, cache, at, memory, self.mask)
        return x

    def grow(self, at: int, going: Tensor, parents: Tensor, words: Tensor, scores: Tensor) -> None:
        """Go on with the sentences ``going`` [N] only, by the ``words`` [N, K] that follow the hypotheses ``parents``
        [N, K], whose log-probabilities ``scores`` [N, K] then are."""
        rows, beam, width = self.tokens.shape
        every = torch.arange(rows * beam, device=going.device)
        hypotheses = (every[::beam, None] + parents)[going].flatten()
        self.scores = scores[going]
        self.tokens = self.tokens.flatten(0, 1)[hypotheses].view(-1, beam, width)
        if at + 1 < width:
            self.tokens[:, :, at + 1] = words[going]
        if len(hypotheses) < rows * beam or not torch.equal(hypotheses, every):
            self.caches = [cache.index_select(1, hypotheses) for cache in self.caches]
        if not going.all():
            self.sentences = self.sentences[going]
            self.memories = [memory[:, going] for memory in self.memories]
            self.mask = None if self.mask is None else self.mask[going]


class _Ended:
    """Of each of B sentences, how many hypotheses have ended, and the best of the first ``beam`` of them."""

    def __init__(self, sentences: int, beam: int, limit: int, eos: Tensor):
        self.beam = beam
        self.count = torch.zeros(sentences, dtype=torch.long, device=eos.device)  # [B]
        self.score = torch.full((sentences,), -torch.inf, device=eos.device)  # [B]
        self.tokens = eos.repeat(sentences, limit + 1)  # [B, T]
        self.length = torch.zeros(sentences, dtype=torch.long, device=eos.device)  # [B]

    def add(self, growing: _Growing, at: int, ends: Tensor, parents: Tensor, scores: Tensor) -> None:
        """Those of ``growing`` among ``parents`` [N, 2K] that end after position ``at`` as the K best continuations of
        their sentences, ``ends`` [N, K] and their ``scores`` [N, K], best first."""
        if not ends.any():
            return
        rank = ends.cumsum(1) + self.count[growing.sentences][:, None]
        score, which = scores.masked_fill(~ends | (rank > self.beam), -torch.inf).max(1)
        better = score > self.score[growing.sentences]
        winners = growing.sentences[better]
        self.score[winners] = score[better]
        self.length[winners] = at
        self.tokens[winners] = growing.tokens[better, parents[better, which[better]]]
        self.count[growing.sentences] += ends.sum(1)

    def targets(self) -> list[Tensor]:
        """The best of each, without its first symbol and eos."""
        return [row[1 : length + 1] for row, length in zip(self.tokens, self.length.tolist(), strict=True)]


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
