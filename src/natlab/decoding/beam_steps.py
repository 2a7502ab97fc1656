"""Beam search in steps of fixed shapes that ask the device for nothing, which a CUDA graph can replay
(`natlab.decoding.captured`). It finds what `natlab.decoding.beam_search` does, whose batches shrink as sentences
finish."""

import torch
from torch import Tensor

from natlab.decoding.beam_search import LONGEST
from natlab.models.shapes import fixed
from natlab.models.transformer import Transformer


class Steps:
    """A search over B sources with K hypotheses each, of at most W - 1 tokens.

    source_tokens: [B, S]; they may be others, in place, before `start`.
    going: bool [B], the sentences that are not done.
    """

    def __init__(
        self,
        model: Transformer,
        source_tokens: Tensor,
        beam: int,
        length_penalty: float,
        longest: tuple[float, int] = LONGEST,
    ):
        config, device = model.config, source_tokens.device
        batch, (share, more) = len(source_tokens), longest
        self.model, self.beam, self.penalty, self.longest = model, beam, length_penalty, longest
        self.source_tokens = source_tokens
        self.width = int(share * source_tokens.shape[1] + more) + 1
        numbers = {"dtype": torch.long, "device": device}
        self.at = torch.zeros(1, **numbers)
        self.tokens = torch.zeros(batch, beam, self.width + 1, **numbers)  # and eos before
        self.scores = torch.zeros(batch, beam, device=device)
        shape = (2, batch * beam, config.heads, self.width, config.d_model // config.heads)
        dtype = torch.bfloat16 if model.encoder.precision == "bf16" else torch.float32
        self.caches = [torch.zeros(shape, dtype=dtype, device=device) for _ in model.layers]
        self.going = torch.zeros(batch, dtype=torch.bool, device=device)
        self.ended = torch.zeros(batch, **numbers)  # of each sentence, hypotheses
        self.best_score = torch.zeros(batch, device=device)
        self.best = torch.zeros(batch, self.width + 1, **numbers)
        self.best_length = torch.zeros(batch, **numbers)
        self.memories: list[Tensor] = []
        self.mask: Tensor | None = None
        self.limits = torch.zeros(batch, **numbers)

    @torch.inference_mode()
    def start(self) -> None:
        """Encode the sources and begin anew."""
        with fixed(self.source_tokens.shape[1]):  # which has the encoder mask padding without looking for any
            source = self.model.encoder(self.source_tokens)
        self.memories = [memory.contiguous() for memory in source.memories(self.model.layers)]
        self.mask = source.mask
        self.limits = (self.longest[0] * source.lengths + self.longest[1]).long()
        self.at.zero_()
        self.tokens.fill_(self.model.config.eos)
        self.scores.fill_(-torch.inf)[:, 0] = 0  # all hypotheses begin alike: only the first may be continued
        self.going.fill_(True)
        self.ended.zero_()
        self.best_score.fill_(-torch.inf)
        self.best.zero_()
        self.best_length.zero_()

    @torch.inference_mode()
    def step(self) -> None:
        """Continue all hypotheses by a token; of sentences that are done nothing counts any more."""
        beam, eos = self.beam, self.model.config.eos
        last = self.at >= self.limits  # [B]
        gains, words = self._continuations(self._states(), last)  # [B, K, W]
        total, order = (self.scores[:, :, None] + gains).flatten(1).topk(2 * beam, dim=1)  # [B, 2K]
        parents, words = order // gains.shape[2], words.flatten(1).gather(1, order)
        ends = words.eq(eos) & total.isfinite() & self.going[:, None]
        self._end(ends[:, :beam], parents, total[:, :beam] / (self.at + 1) ** self.penalty)
        self.going &= (self.ended < beam) & ~last
        scores, which = total.masked_fill(ends, -torch.inf).topk(beam, dim=1)
        self.scores.copy_(scores)
        self._follow(parents.gather(1, which), words.gather(1, which))

    def targets(self) -> list[Tensor]:
        """The best target [T] of each source, on the CPU, without eos."""
        lengths = self.best_length.tolist()
        return [row[1 : length + 1] for row, length in zip(self.best.cpu(), lengths, strict=True)]

    def _states(self) -> Tensor:
        """What says what follows the newest tokens [B, K, d]."""
        model = self.model
        newest = self.tokens.index_select(2, self.at)[:, :, 0]
        x = model.embedding.scaled(newest) + model.positions(0, self.width).index_select(0, self.at)
        x = x.to(self.caches[0].dtype)
        for layer, cache, memory in zip(model.layers, self.caches, self.memories, strict=True):
            x = layer.step(x, cache, self.at, memory, self.mask)
        return x

    def _continuations(self, states: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities and ids [B, K, W] of the 2K likeliest next words (all, of a smaller vocabulary). Padding
        never follows, eos not at first, and nothing else where a sentence is at its ``last`` [B]."""
        config = self.model.config
        logits = self.model.logits(states)  # [B, K, V]
        normaliser = logits.logsumexp(2, keepdim=True)
        logits[:, :, config.pad] = -torch.inf
        logits[:, :, config.eos].masked_fill_(self.at == 0, -torch.inf)
        for others in (logits[:, :, : config.eos], logits[:, :, config.eos + 1 :]):
            others.masked_fill_(last[:, None, None], -torch.inf)
        best, words = logits.topk(min(2 * self.beam, logits.shape[2]), dim=2)
        return best - normaliser, words

    def _end(self, ends: Tensor, parents: Tensor, scores: Tensor) -> None:
        """Those of ``parents`` [B, 2K] that ``ends`` [B, K] says end here, with ``scores`` [B, K], best first."""
        rank = ends.cumsum(1) + self.ended[:, None]
        score, which = scores.masked_fill(~ends | (rank > self.beam), -torch.inf).max(1)
        better = score > self.best_score
        parent = parents.gather(1, which[:, None])[:, :, None].expand(-1, -1, self.tokens.shape[2])  # [B, 1, W + 1]
        self.best_score.copy_(score.where(better, self.best_score))
        self.best.copy_(self.tokens.gather(1, parent)[:, 0].where(better[:, None], self.best))
        self.best_length.copy_(self.at.where(better, self.best_length))
        self.ended += ends.sum(1)

    def _follow(self, parents: Tensor, words: Tensor) -> None:
        """Go on by ``words`` [B, K] that follow the hypotheses ``parents`` [B, K]."""
        batch = len(parents)
        first = self.beam * torch.arange(batch, device=parents.device)[:, None]
        rows = (first + parents).flatten()  # [B K]
        self.tokens.copy_(self.tokens.flatten(0, 1).index_select(0, rows).view_as(self.tokens))
        self.at += 1
        self.tokens.index_copy_(2, self.at, words[:, :, None])
        if self.beam > 1:
            for cache in self.caches:
                cache.copy_(cache.index_select(1, rows))
