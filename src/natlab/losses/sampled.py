"""What a model says of its own accord in training, and how good that is: what CoDAT's terms are about (An et al. 2023).

Hypotheses are paths drawn from the graph of the pass in which nothing is revealed, and scored in it, with a gradient
(sections 3.2 and 3.3, appendix D).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from natlab.kernels import Samples, dag_loss, dag_sample, output_match, sentence_bleu
from natlab.losses.interface import SHARE, Decoded, Value
from natlab.losses.objectives.dag import framed
from natlab.models.graph import Graph
from natlab.models.seeds import of_sentences
from natlab.proxy.interface import Positions


@dataclass
class Hypotheses:
    """Of each of B sentences M at most, each said once.

    tokens: [B, M, H], padded on the right; lengths: [B, M].
    scores: [B, M], log-probability over tokens, in nats (differentiable).
    there: bool [B, M], the likeliest first; a sentence may have fewer.
    distinct: [B], how many there were before the likeliest were kept.
    left_out: bool [B], sentences whose own loss is above α: they have none.
    """

    tokens: Tensor
    lengths: Tensor
    scores: Tensor
    there: Tensor
    distinct: Tensor
    left_out: Tensor

    def values(self, earned: Tensor, samples: int) -> dict[str, Value]:
        """What is reported of them, given what each has ``earned`` [B, M], of so many drawn."""
        ones = torch.ones_like(self.distinct)
        return {
            "distinct": Value(self.distinct, samples * ones, SHARE),
            "earned": Value(earned.masked_fill(~self.there, 0).sum(1), self.there.sum(1), SHARE),
            "left_out": Value(self.left_out.long(), ones, SHARE),
        }


@dataclass
class Drawing:
    """How hypotheses are drawn, filtered and scored: the options that CoDAT's terms share, as they describe them."""

    samples: int
    temperature: float
    top_p: float
    keep: float
    beta: float
    likelihood: str
    alpha: float | None

    def __call__(self, batch: Decoded) -> Hypotheses:
        model, canvas = batch.model, batch.canvas
        states = batch.states if batch.revealed is None else model.decode(batch.source, canvas)  # [B, L, d]
        links = model.links(states, canvas)  # [B, L, L]
        graph = Graph.of_states(model, states, canvas, links)
        with torch.no_grad():
            how = self.samples, self.temperature, self.top_p
            drawn = dag_sample(graph.links, graph.scores, canvas, self._seeds(batch), *how)
            drawn = drawn._replace(paths=drawn.paths[:, :, : int(drawn.paths.ge(0).sum(2).max())])
            distinct, best, there = self._kept(graph, drawn)
            left_out = self._left_out(batch, states)
            there &= ~left_out[:, None]
            paths = drawn.paths.gather(1, best[:, :, None].expand(-1, -1, drawn.paths.shape[2]))  # [B, M, P]
            paths = paths.masked_fill(~there[:, :, None], -1)
            tokens, said = graph.spoken(paths)
            lengths = said.sum(2)
            order = (~said).long().argsort(dim=2, stable=True)[:, :, : max(1, int(lengths.max()))]
            inside = torch.arange(order.shape[2], device=order.device) < lengths[:, :, None]
            tokens = tokens.gather(2, order).masked_fill(~inside, model.config.pad)
        if self.likelihood == "path":
            log_probs = path_log_probs(model, states, links, graph.tokens, paths, self.beta)
        else:
            log_probs = string_log_probs(model, states, links, canvas, tokens, there)
        return Hypotheses(tokens, lengths, log_probs / lengths.clamp(min=1), there, distinct, left_out)

    def _seeds(self, batch: Decoded) -> Tensor:
        """In training new ones each time; in measurement the sentences' own."""
        device = batch.target.device
        if batch.model.training:
            return torch.randint(1 << 62, (len(batch.target),), device=device)
        return torch.tensor(of_sentences(batch.target, batch.lengths, 1), device=device)

    def _kept(self, graph: Graph, drawn: Samples) -> tuple[Tensor, Tensor, Tensor]:
        """How many different hypotheses were drawn [B], the numbers [B, M] of the likeliest, and whether these are
        hypotheses [B, M]: of several that say the same, the likeliest path stands for all."""
        scores = graph.scored(drawn, self.beta)  # [B, K]; -inf for a path that does not arrive
        tokens, said = graph.spoken(drawn.paths)
        order = scores.argsort(dim=1, descending=True, stable=True)
        words = tokens.masked_fill(~said, -1)
        words = words.gather(2, (~said).long().argsort(dim=2, stable=True))  # what is said, then -1
        words = words.gather(1, order[:, :, None].expand_as(words))
        which = words.flatten(0, 1).unique(dim=0, return_inverse=True)[1].view_as(order)
        again = (which[:, :, None] == which[:, None]).tril(-1).any(2)  # [B, K]
        new = ~again & scores.gather(1, order).isfinite()
        most = min(self.samples, max(2, math.ceil(self.keep * self.samples)))
        first = (~new).long().argsort(dim=1, stable=True)[:, :most]
        return new.sum(1), order.gather(1, first), new.gather(1, first)

    def _left_out(self, batch: Decoded, states: Tensor) -> Tensor:
        if self.alpha is None:
            return torch.zeros_like(batch.lengths, dtype=torch.bool)
        positions = Positions.of(batch.model, states.detach(), batch.canvas)
        bits = batch.prediction.objective.nll(positions, batch.target) / (math.log(2) * batch.lengths)
        return bits > self.alpha


def path_log_probs(model, states: Tensor, links: Tensor, tokens: Tensor, paths: Tensor, beta: float) -> Tensor:
    """β Σ log P(token) + (1 - β) Σ log E [B, M] along ``paths`` [B, M, P] (-1 beyond), in nats, of decoder states
    [B, L, d], links [B, L, L] and the tokens of vertices [B, L]."""
    batch, length, _ = states.shape
    inside, at = paths.ge(0), paths.clamp(min=0)
    steps = (at[:, :, :-1] * length + at[:, :, 1:]).flatten(1)
    along = links.flatten(1).gather(1, steps).view(*paths.shape[:2], -1).masked_fill(~inside[:, :, 1:], 0).sum(2)
    # only vertices that a path visits are read out, each once
    at = at + length * torch.arange(batch, device=at.device)[:, None, None]
    visited = torch.zeros(batch * length, dtype=torch.bool, device=at.device)
    visited[at[inside]] = True
    rows = visited.nonzero()[:, 0]
    one = torch.ones_like(rows)
    words = tokens.flatten()[rows][:, None]
    emitted = output_match(states.flatten(0, 1)[rows][:, None], model.embedding.weight, words, one, one)[:, 0, 0]
    everywhere = emitted.new_zeros(batch * length).index_put((rows,), emitted)
    return beta * everywhere[at].masked_fill(~inside, 0).sum(2) + (1 - beta) * along


def string_log_probs(model, states: Tensor, links: Tensor, canvas: Tensor, tokens: Tensor, there: Tensor) -> Tensor:
    """log P(y') [B, M], in nats: the sum over all paths that say bos, ``tokens`` [B, M, H] (padded) and eos, without
    those whose repeats decoding would make one; 0 for what is not ``there``."""
    batch, most, _ = tokens.shape
    said, lengths = framed(tokens.flatten(0, 1))  # [B M, H + 2]
    full = torch.full_like(canvas, most * said.shape[1])
    match = output_match(states, model.embedding.weight, said.view(batch, -1), canvas, full)
    match = match.view(batch * most, said.shape[1], -1)
    rows = there.flatten().nonzero()[:, 0]
    of = rows // most
    log_probs = dag_loss(match[rows], links[of], canvas[of], lengths[rows])
    return log_probs.new_zeros(batch * most).index_put((rows,), log_probs).view(batch, most)


@torch.no_grad()
def rewards(hypotheses: Hypotheses, batch: Decoded, reward: str) -> Tensor:
    """R [B, M], from 0 to 1: sentence BLEU, or ROUGE-L's F1, of each hypothesis against T, both in tokens."""
    tokens, lengths = hypotheses.tokens.flatten(0, 1), hypotheses.lengths.flatten()
    if reward == "bleu":
        found = sentence_bleu(tokens, lengths, batch.target, batch.lengths, groups=len(batch.target)) / 100
        return found.view_as(hypotheses.there)
    most = hypotheses.there.shape[1]
    target, size = (part.repeat_interleave(most, 0) for part in (batch.target, batch.lengths))
    common = longest_common(tokens, lengths, target, size).double()
    return (2 * common / (lengths + size).clamp(min=1)).view_as(hypotheses.there)


def longest_common(first: Tensor, first_lengths: Tensor, second: Tensor, second_lengths: Tensor) -> Tensor:
    """The length [N] of the longest common subsequence of ``first`` [N, T] and ``second`` [N, R], of such lengths."""
    inside = torch.arange(second.shape[1], device=second.device) < second_lengths[:, None]
    row = torch.zeros(len(second), second.shape[1] + 1, dtype=torch.int64, device=second.device)
    for t in range(first.shape[1]):
        equal = (first[:, t, None] == second) & inside & (t < first_lengths)[:, None]
        longer = torch.maximum(row[:, 1:], row[:, :-1] + equal).cummax(1).values
        row = torch.cat([row[:, :1], longer], 1)
    return row[:, -1]
