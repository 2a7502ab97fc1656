"""What a model with links makes of a source: a graph whose vertices each say their likeliest token (DA-Transformer)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from natlab.kernels import Samples
from natlab.models.cross_entropy import likeliest
from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.transformer import Config, Source


@dataclass
class Graph:
    """The graphs of B sources, of L vertices at most.

    links: [B, L, L], log-probabilities of the transitions, in nats (`natlab.kernels.dag_links`).
    tokens: [B, L], what each vertex says: the first bos, the last eos, any other its likeliest token but these.
    scores: [B, L], the tokens' log-probabilities, in nats.
    lengths: [B], vertices.
    """

    links: Tensor
    tokens: Tensor
    scores: Tensor
    lengths: Tensor

    @classmethod
    @torch.inference_mode()
    def of(cls, model: NonAutoregressiveTransformer, source: Source, shown: float | None = None) -> "Graph":
        """``shown``: of a canvas of codes, the share of vertices that keep theirs; the fill's own without it."""
        lengths = model.lengths.likely(source, 1)[:, 0]
        kept = None if shown is None else model.fill.drawn(source, lengths, shown)
        states = model.decode(source, lengths, kept=kept)
        return cls.of_states(model, states, lengths, model.links(states, lengths))

    @classmethod
    @torch.no_grad()
    def of_states(cls, model: NonAutoregressiveTransformer, states: Tensor, lengths: Tensor, links: Tensor) -> "Graph":
        """Of decoder states [B, L, d] of canvases of ``lengths`` [B], and ``links``."""
        config = model.config
        embedding = model.embedding.weight
        never = config.pad, config.bos, config.eos
        words, normaliser = likeliest(states.flatten(0, 1), embedding, never, by_kernels=True)
        tokens = words.view(states.shape[:2])
        tokens[:, 0] = config.bos
        tokens.scatter_(1, lengths[:, None] - 1, config.eos)
        logits = (states * embedding[tokens].to(states.dtype)).sum(2)
        scores = (logits - normaliser.view_as(logits)).clamp(max=0)
        return cls(links.detach(), tokens, scores.to(links.dtype), lengths)

    def at(self, vertices: Tensor) -> Tensor:
        """What each path's ``vertices`` [B, M], -1 beyond, say [B, M]."""
        return self.tokens.gather(1, vertices.clamp(min=0))

    def said(self, vertices: Tensor) -> list[Tensor]:
        """The tokens between bos and eos of each path of ``vertices`` [B, M], repeats being one."""
        return words_of(vertices, self.at(vertices))

    def spoken(self, paths: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens [B, K, M] at the vertices of ``paths`` [B, K, M], -1 beyond, and which of these [B, K, M] the path
        says: those between bos and eos that are not the one before again."""
        tokens = self.tokens.gather(1, paths.clamp(min=0).flatten(1)).view_as(paths)
        said = torch.zeros_like(paths, dtype=torch.bool)
        # what a vertex follows is the path's, and after it another comes: it is neither the first nor the last
        said[:, :, 1:-1] = paths[:, :, 2:].ge(0) & tokens[:, :, 1:-1].ne(tokens[:, :, :-2])
        return tokens, said

    def scored(self, drawn: Samples, beta: float) -> Tensor:
        """[β Σ log P(token) + (1 - β) Σ log E] / |y'| [B, K] of paths, in nats (CoDAT, An et al. 2023, appendix D).
        E are its transitions, and |y'| is how many tokens a path says, at least 1."""
        _, said = self.spoken(drawn.paths)
        return (beta * drawn.scores + (1 - beta) * drawn.transitions) / said.sum(2).clamp(min=1)


def words_of(vertices: Tensor, tokens: Tensor) -> list[Tensor]:
    """What each path says between bos and eos, repeats being one: its ``vertices`` [B, M], -1 beyond, and their
    ``tokens``."""
    ends = vertices.ge(0).sum(1).tolist()
    return [torch.unique_consecutive(row[1 : max(1, end - 1)]) for row, end in zip(tokens, ends, strict=True)]


def framed(target: Tensor) -> tuple[Tensor, Tensor]:
    """bos, the tokens of each target [B, T], eos: [B, T + 2], padded on the right; and how many they are [B]."""
    lengths = target.ne(Config.pad).sum(1)
    said = F.pad(target, (1, 1), value=Config.pad)
    said[:, 0] = Config.bos
    said.scatter_(1, lengths[:, None] + 1, Config.eos)
    return said, lengths + 2
