"""The best of several paths drawn from a graph (CoDAT, An et al. 2023, Algorithm 3 and appendix D)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from natlab.decoding import Hypothesis, distinct
from natlab.kernels import Samples, dag_sample
from natlab.models.graph import Graph
from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.seeds import of_sentences


@dataclass
class GraphSample:
    """Of ``samples`` paths (`natlab.kernels.dag_sample`, with ``temperature`` and ``top_p``) the one of the greatest
    [β Σ log P(token) + (1 - β) Σ log E] / |y'|, E being its transitions and |y'| the tokens that it says, at least 1.
    Equal neighbours become one token. The draws of a sentence follow from ``seed`` and its tokens, whatever batch it is
    in. Samples, temperature and top_p are the paper's; it tunes β among 0.3, 0.5 and 0.7.

    ``stepwise`` draws each vertex after the last one is known, by torch's multinomial (Algorithm 2): others, as likely,
    in the time that this takes. On a canvas of codes, ``shown`` is as of `natlab.decoding.kinds.graph`.
    """

    needs: ClassVar[tuple[str, ...]] = ("graph",)
    option_needs: ClassVar[dict[str, tuple[str, ...]]] = {"shown": ("codes",)}
    n_best: ClassVar[bool] = True

    samples: Annotated[int, ">= 1"] = 128
    beta: Annotated[float, ">= 0", "<= 1"] = 0.5
    temperature: Annotated[float, "> 0"] = 0.05
    top_p: Annotated[float, "> 0", "<= 1"] = 0.5
    seed: Annotated[int, ">= 0", "<= 4294967295"] = 1
    stepwise: bool = False
    shown: Annotated[float, ">= 0", "<= 1"] | None = None

    @torch.inference_mode()
    def __call__(self, model: NonAutoregressiveTransformer, source_tokens: Tensor) -> list[Tensor]:
        graph, drawn, scores = self._drawn(model, source_tokens)
        best = scores.argmax(1)[:, None, None].expand(-1, -1, drawn.paths.shape[2])
        return graph.said(drawn.paths.gather(1, best)[:, 0])

    @torch.inference_mode()
    def hypotheses(self, model: NonAutoregressiveTransformer, source_tokens: Tensor) -> list[list[Hypothesis]]:
        """For each source all that was drawn, each once, the best first, and its score: that of its best path."""
        graph, drawn, scores = self._drawn(model, source_tokens)
        found = []
        for b, order in enumerate(scores.argsort(dim=1, descending=True, stable=True)):
            one = Graph(*(part[b].expand(len(order), *part.shape[1:]) for part in vars(graph).values()))
            found.append(distinct(map(Hypothesis, one.said(drawn.paths[b, order]), scores[b, order].tolist())))
        return found

    def _drawn(self, model: NonAutoregressiveTransformer, source_tokens: Tensor) -> tuple[Graph, Samples, Tensor]:
        """The graphs, the paths [B, K, M], M the most vertices of one, and their scores [B, K]."""
        source = model.encoder(source_tokens)
        graph = Graph.of(model, source, self.shown)
        own = of_sentences(source_tokens, source.lengths, self.seed)
        seeds = torch.tensor(own, device=source_tokens.device)
        options = self.samples, self.temperature, self.top_p
        sample = step_by_step if self.stepwise else dag_sample
        drawn = sample(graph.links, graph.scores, graph.lengths, seeds, *options)
        drawn = drawn._replace(paths=drawn.paths[:, :, : int(drawn.paths.ge(0).sum(2).max())])
        return graph, drawn, graph.scored(drawn, self.beta)


def step_by_step(
    links: Tensor, scores: Tensor, lengths: Tensor, seeds: Tensor, samples: int, temperature: float, top_p: float
) -> Samples:
    """What `natlab.kernels.dag_sample` gives, drawn a step at a time (CoDAT, Algorithm 2), each sentence by itself."""
    batch, longest = scores.shape
    paths = lengths.new_full((batch, samples, longest), -1)
    totals = links.new_zeros(2, batch, samples)
    for b, (length, seed) in enumerate(zip(lengths.tolist(), seeds.tolist(), strict=True)):
        generator = torch.Generator(links.device).manual_seed(seed)
        own, said = links[b, :length, :length], scores[b, :length]
        mass = (own.exp() + said.softmax(0)).masked_fill(own == -torch.inf, 0)  # [L, L]
        greatest, order = mass.sort(dim=1, descending=True)
        before = greatest.cumsum(1) - greatest
        kept = torch.zeros_like(mass, dtype=torch.bool).scatter_(1, order, before < top_p * mass.sum(1, keepdim=True))
        weights = (mass / temperature).masked_fill(~kept | (own == -torch.inf), -torch.inf).softmax(1)
        at = lengths.new_zeros(samples)
        paths[b, :, 0] = 0
        totals[1, b] = said[0]
        for step in range(1, length):
            going = at < length - 1
            if not going.any():
                break
            then = torch.multinomial(weights[at[going]], 1, generator=generator)[:, 0]
            totals[0, b, going] += own[at[going], then]
            totals[1, b, going] += said[then]
            at[going] = then
            paths[b, going, step] = then
    return Samples(paths, *totals)
