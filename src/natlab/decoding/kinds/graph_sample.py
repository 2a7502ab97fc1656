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
    in. Samples, temperature and top_p are the paper's; it tunes β among 0.3, 0.5 and 0.7."""

    needs: ClassVar[tuple[str, ...]] = ("graph",)
    n_best: ClassVar[bool] = True

    samples: Annotated[int, ">= 1"] = 128
    beta: Annotated[float, ">= 0", "<= 1"] = 0.5
    temperature: Annotated[float, "> 0"] = 0.05
    top_p: Annotated[float, "> 0", "<= 1"] = 0.5
    seed: Annotated[int, ">= 0", "<= 4294967295"] = 1

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
        graph = Graph.of(model, source)
        own = of_sentences(source_tokens, source.lengths, self.seed)
        seeds = torch.tensor(own, device=source_tokens.device)
        options = self.samples, self.temperature, self.top_p
        drawn = dag_sample(graph.links, graph.scores, graph.lengths, seeds, *options)
        drawn = drawn._replace(paths=drawn.paths[:, :, : int(drawn.paths.ge(0).sum(2).max())])
        return graph, drawn, graph.scored(drawn, self.beta)
