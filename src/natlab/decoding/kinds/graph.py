"""One path through a graph (DA-Transformer, Huang et al. 2022, section 3.4; Shao et al. 2022)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from natlab.decoding.kinds.argmax import given
from natlab.kernels import dag_decode
from natlab.models.graph import Graph, words_of
from natlab.models.nat import NonAutoregressiveTransformer

FRAME = 2  # the vertices of bos and eos, which are no tokens of the target


@dataclass
class OnePath:
    """The path that ``strategy`` finds (`natlab.kernels.dag_decode`): "lookahead", by each transition and the token it
    leads to; "greedy", by transitions alone; "viterbi" and "joint_viterbi", the best path by both in the same two ways,
    of all lengths the one of the greatest log-probability over tokens^``length_penalty``. Equal neighbours become one
    token, as in the released code.

    On a canvas of codes, ``shown`` is the share of vertices that keep theirs, bos and eos counted, the fill's own
    unless said (AEQA-DAT, Qu et al. 2025, section 2.5)."""

    needs: ClassVar[tuple[str, ...]] = ("graph",)
    option_needs: ClassVar[dict[str, tuple[str, ...]]] = {"shown": ("codes",)}
    reads: ClassVar[bool] = True
    captured: ClassVar[bool] = True

    strategy: Literal["greedy", "lookahead", "viterbi", "joint_viterbi"] = "lookahead"
    length_penalty: float = 1.0
    shown: Annotated[float, ">= 0", "<= 1"] | None = None

    @torch.inference_mode()
    def __call__(self, model: NonAutoregressiveTransformer, source_tokens: Tensor) -> list[Tensor]:
        return self.targets(model, *self.compute(model, source_tokens))

    @torch.inference_mode()
    def compute(self, model: NonAutoregressiveTransformer, source_tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The graphs' lengths [B], the vertices of each one's path [B, M], -1 beyond, and the tokens there."""
        return self._through(Graph.of(model, model.encoder(source_tokens), self.shown))

    def targets(
        self, model: NonAutoregressiveTransformer, lengths: Tensor, vertices: Tensor, tokens: Tensor
    ) -> list[Tensor]:
        """What the paths say."""
        return words_of(vertices, tokens)

    @torch.inference_mode()
    def read(
        self, model: NonAutoregressiveTransformer, states: Tensor, lengths: Tensor, known: Tensor | None = None
    ) -> list[Tensor]:
        """The targets of decoder states [B, L, d] of graphs of ``lengths`` [B]; ``known`` [B, L]: tokens that their
        vertices say for certain where they are no padding, whatever the states say."""
        graph = Graph.of_states(model, states, lengths, model.links(states, lengths))
        graph.tokens = given(graph.tokens, known)
        if known is not None:
            graph.scores = graph.scores.masked_fill(known.ne(model.config.pad), 0)
        return self.targets(model, *self._through(graph))

    def _through(self, graph: Graph) -> tuple[Tensor, Tensor, Tensor]:
        parts = graph.links, graph.scores, graph.lengths
        _, vertices = dag_decode(*parts, self.strategy, length_penalty=self.length_penalty, frame=FRAME)
        return graph.lengths, vertices, graph.at(vertices)
