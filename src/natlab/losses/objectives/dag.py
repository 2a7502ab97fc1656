"""The sum over all paths of a directed acyclic graph (DA-Transformer, Huang et al. 2022)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from natlab.kernels import dag_best_path, dag_loss
from natlab.kernels.output_match import output_match
from natlab.losses.interface import SHARE, Aligned, Cost, Decoded, Value
from natlab.models.graph import framed
from natlab.models.transformer import Config
from natlab.proxy.interface import Positions, Prediction


@dataclass
class Dag:
    """-log P(T | Z, X), the sum over all paths from the canvas' first position to its last that say bos, the tokens of
    T, eos (section 3.2; without bos and eos all targets would share their first token). What training minimises is the
    mean over sentences of that per token said, as in the released code, in which labels are not smoothed either.
    Targets longer than the graph are counted, under `impossible`, and left out.

    An input reveals vertices of the best path (section 3.3). A revealed token is certain at its vertex, which can say
    no other, as in the released code.
    """

    needs: ClassVar[tuple[str, ...]] = ("free length", "links", "plain target")
    offers: ClassVar[tuple[str, ...]] = ("graph", "hypotheses")
    blank: ClassVar[bool] = False
    kernels: ClassVar[bool] = True
    decoding: ClassVar[str] = "graph"

    def align(self, target: Tensor, prediction: Prediction) -> Aligned:
        positions = prediction.of(target)
        said, lengths = framed(target)  # [B, T + 2], [B]
        match = positions.log_probs_everywhere(said)  # [B, T + 2, L]
        _, vertices = dag_best_path(match, positions.links, positions.lengths, lengths)  # [B, T + 2]
        index = torch.full_like(positions.tokens, -1)  # [B, L]
        sentence, token = vertices.ge(0).nonzero(as_tuple=True)
        index[sentence, vertices[sentence, token]] = token
        tokens = said.gather(1, index.clamp(min=0)).where(index.ge(0), Config.pad)
        return Aligned(tokens, tokens, index)

    def __call__(self, batch: Decoded, smoothing: float) -> Cost:
        said, lengths = framed(batch.target)
        match = output_match(batch.states, batch.model.embedding.weight, said, batch.canvas, lengths)  # [B, T + 2, L]
        if batch.revealed is not None:
            steps = torch.arange(said.shape[1], device=said.device)[:, None]
            certain = torch.zeros_like(match).masked_fill(batch.aligned.index[:, None] != steps, -torch.inf)
            match = torch.where(batch.revealed[:, None], certain, match)
        log_prob = dag_loss(match, batch.model.links(batch.states, batch.canvas), batch.canvas, lengths)  # [B]
        possible = log_prob.isfinite()
        nll = -log_prob.masked_fill(~possible, 0)
        predicted = batch.lengths * possible
        # divided by the sum of what is predicted, this is the mean over sentences
        loss = (nll / lengths).sum() * (predicted.sum() / possible.sum().clamp(min=1))
        impossible = Value((~possible).long(), torch.ones_like(lengths), SHARE)
        return Cost(loss, nll.detach(), predicted, {"impossible": impossible}, possible)

    def nll(self, positions: Positions, target: Tensor) -> Tensor:
        said, lengths = framed(target)
        return -dag_loss(positions.log_probs_everywhere(said), positions.links, positions.lengths, lengths)
