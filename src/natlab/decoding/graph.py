"""What a model with links makes of a source: a graph whose vertices each say their likeliest token (DA-Transformer)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from natlab.models.cross_entropy import likeliest
from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.transformer import Source


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
    def of(cls, model: NonAutoregressiveTransformer, source: Source) -> "Graph":
        config = model.config
        lengths = model.lengths.likely(source, 1)[:, 0]
        states = model.decode(source, lengths)  # [B, L, d]
        embedding = model.embedding.weight
        words, normaliser = likeliest(states.flatten(0, 1), embedding, (config.pad, config.bos, config.eos))
        tokens = words.view(states.shape[:2])
        tokens[:, 0] = config.bos
        tokens.scatter_(1, lengths[:, None] - 1, config.eos)
        logits = (states * embedding[tokens].to(states.dtype)).sum(2)
        scores = (logits - normaliser.view_as(logits)).clamp(max=0)
        return cls(model.links(states, lengths), tokens, scores, lengths)

    def said(self, vertices: Tensor) -> list[Tensor]:
        """The tokens between bos and eos of each path, repeats being one: ``vertices`` [B, M], -1 beyond."""
        ends = vertices.ge(0).sum(1).tolist()
        tokens = self.tokens.gather(1, vertices.clamp(min=0))
        return [torch.unique_consecutive(row[1 : max(1, end - 1)]) for row, end in zip(tokens, ends, strict=True)]
