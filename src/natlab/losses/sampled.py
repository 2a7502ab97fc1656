"""What a model says of its own accord in training, and how good that is: what CoDAT's terms are about (An et al. 2023).

Nothing is revealed. Hypotheses of a graph are paths drawn from it; those of a vanilla NAT are the argmax of passes with
noise on the decoder's input (section 3.3). They are scored in the pass that they come from, with a gradient.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from natlab.kernels import dag_loss, dag_sample, output_match, sentence_bleu
from natlab.losses.interface import SHARE, Decoded, Value
from natlab.models import noisy
from natlab.models.cross_entropy import likeliest
from natlab.models.graph import Graph, framed
from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.seeds import of_sentences


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
    sigma: float
    keep: float
    beta: float
    likelihood: str
    alpha: float | None

    def __call__(self, batch: Decoded) -> Hypotheses:
        left_out = self._left_out(batch)
        of = self._noisy if batch.model.links is None else self._paths
        return Hypotheses(*of(batch, ~left_out), left_out)

    def _paths(self, batch: Decoded, counted: Tensor) -> tuple[Tensor, ...]:
        """The hypotheses of graphs."""
        model, canvas = batch.model, batch.canvas
        states = batch.states if batch.revealed is None else model.decode(batch.source, canvas)  # [B, L, d]
        links = model.links(states, canvas)  # [B, L, L]
        with torch.no_grad():
            graph = Graph.of_states(model, states, canvas, links)
            seeds = self._seeds(batch)
            drawn = dag_sample(graph.links, graph.scores, canvas, seeds, self.samples, self.temperature, self.top_p)
            drawn = drawn._replace(paths=drawn.paths[:, :, : int(drawn.paths.ge(0).sum(2).max())])
            tokens, said = graph.spoken(drawn.paths)
            words = _packed(tokens, said, model.config.pad)
            distinct, best, there = self._likeliest(words, graph.scored(drawn, self.beta))
            there &= counted[:, None]
            paths = _chosen(drawn.paths, best).masked_fill(~there[:, :, None], -1)
            words = _chosen(words, best).masked_fill(~there[:, :, None], model.config.pad)
            lengths = words.ne(model.config.pad).sum(2)
            words = words[:, :, : max(1, int(lengths.max()))]
        if self.likelihood == "path":
            log_probs = path_log_probs(model, states, links, graph.tokens, paths, self.beta)
        else:
            log_probs = string_log_probs(model, states, links, canvas, words, there)
        return words, lengths, log_probs / lengths.clamp(min=1), there, distinct

    def _noisy(self, batch: Decoded, counted: Tensor) -> tuple[Tensor, ...]:
        """The hypotheses of a NAT whose canvases are as long as their targets."""
        model, config = batch.model, batch.model.config
        seeds = [
            [(seed + number) % (1 << 32) for number in range(self.samples)] for seed in self._seeds(batch).tolist()
        ]
        states = noisy.states(model, batch.source, batch.lengths, self.sigma, seeds)  # [B K, T, d]
        inside = (
            torch.arange(states.shape[1], device=states.device) < batch.lengths.repeat_interleave(self.samples)[:, None]
        )
        said = states[inside]  # [N, d]
        words, _ = likeliest(said.detach(), model.embedding.weight, (config.pad, config.bos, config.eos))
        log_probs = _of_words(model, said, words)
        shape = len(batch.target), self.samples, states.shape[1]
        tokens = torch.full_like(inside, config.pad, dtype=words.dtype).masked_scatter(inside, words).view(shape)
        scores = log_probs.new_zeros(inside.shape).masked_scatter(inside, log_probs).view(shape).sum(2)
        scores = scores / batch.lengths[:, None]
        with torch.no_grad():
            distinct, best, there = self._likeliest(tokens, scores)
            there &= counted[:, None]
            tokens = _chosen(tokens, best).masked_fill(~there[:, :, None], config.pad)
        return tokens, tokens.ne(config.pad).sum(2), scores.gather(1, best), there, distinct

    def _seeds(self, batch: Decoded) -> Tensor:
        """[B]: in training new ones each time, in measurement the sentences' own."""
        device = batch.target.device
        if batch.model.training:
            return torch.randint(1 << 32, (len(batch.target),), device=device)
        return torch.tensor(of_sentences(batch.target, batch.lengths, 1), device=device)

    def _likeliest(self, words: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """How many different hypotheses ``words`` [B, K, H] are [B], the numbers [B, M] of the likeliest by ``scores``
        [B, K], and whether these are hypotheses [B, M]: of several that say the same the likeliest stands for all."""
        order = scores.argsort(dim=1, descending=True, stable=True)
        which = _chosen(words, order).flatten(0, 1).unique(dim=0, return_inverse=True)[1].view_as(order)
        again = (which[:, :, None] == which[:, None]).tril(-1).any(2)  # [B, K]
        new = ~again & scores.gather(1, order).isfinite()  # a path that does not arrive says nothing
        most = min(self.samples, max(2, math.ceil(self.keep * self.samples)))
        first = (~new).long().argsort(dim=1, stable=True)[:, :most]
        return new.sum(1), order.gather(1, first), new.gather(1, first)

    def _left_out(self, batch: Decoded) -> Tensor:
        if self.alpha is None:
            return torch.zeros_like(batch.lengths, dtype=torch.bool)
        prediction = batch.prediction
        nll = prediction.objective.nll(prediction.of(batch.target), batch.target)
        return nll / (math.log(2) * batch.lengths) > self.alpha


def _packed(tokens: Tensor, said: Tensor, pad: int) -> Tensor:
    """Those of ``tokens`` [B, K, M] that are ``said``, on the left, then padding."""
    order = (~said).long().argsort(dim=2, stable=True)
    return tokens.masked_fill(~said, pad).gather(2, order)


def _chosen(rows: Tensor, numbers: Tensor) -> Tensor:
    """Of ``rows`` [B, K, N] those of ``numbers`` [B, M]."""
    return rows.gather(1, numbers[:, :, None].expand(-1, -1, rows.shape[2]))


def _of_words(model: NonAutoregressiveTransformer, states: Tensor, words: Tensor) -> Tensor:
    """The log-probability [N] of a word [N] at each of ``states`` [N, d]."""
    one = torch.ones_like(words)
    return output_match(states[:, None], model.embedding.weight, words[:, None], one, one)[:, 0, 0]


def path_log_probs(
    model: NonAutoregressiveTransformer, states: Tensor, links: Tensor, tokens: Tensor, paths: Tensor, beta: float
) -> Tensor:
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
    emitted = _of_words(model, states.flatten(0, 1)[rows], tokens.flatten()[rows])
    everywhere = emitted.new_zeros(batch * length).index_put((rows,), emitted)
    return beta * everywhere[at].masked_fill(~inside, 0).sum(2) + (1 - beta) * along


def string_log_probs(
    model: NonAutoregressiveTransformer, states: Tensor, links: Tensor, canvas: Tensor, tokens: Tensor, there: Tensor
) -> Tensor:
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
