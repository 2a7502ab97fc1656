"""Q(Y|X), what a trained model says with which probability, exactly: of any of its targets, many of one source at once.

- An autoregressive model: the product of its steps, eos the last.
- A NAT that predicts its length: that of the length times those of the tokens at their positions. Where it may say ε,
  which decoding removes, the sum over the canvases that can hold the tokens, and over all ways to place them on each.
- A NAT whose canvas follows from the source: its objective's sum, over alignments or paths (`Likelihood.nll`).

Nothing is revealed to a NAT, and nothing is refined. What the output layer gives to symbols that no target has, as
padding, is lost: over all targets Q sums to 1 less that.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from natlab.models.transformer import Seq2Seq, Transformer
from natlab.proxy.interface import Likelihood, Positions, Prediction

# So many ε a target are counted. More change no KL here by 1e-9 bits: longer canvases hold words of their own.
BLANKS = 16


@torch.inference_mode()
def log_likelihood(
    model: Seq2Seq, objective: Likelihood | None, source: Tensor, targets: Tensor, rows: Tensor
) -> Tensor:
    """log Q(Y|X) [P], in nats, float64, of targets [P, T]; -inf where the model cannot say Y.

    objective: a NAT's; None of an autoregressive model.
    source: [B, S], each ending in eos, padded on the right; each is encoded, and each of its canvases decoded, once.
    targets: without eos and ε, at least one token each, padded on the right.
    rows: [P], the source of each target.
    """
    if objective is None:
        return _stepwise(model, source, targets, rows)
    encoded = model.encoder(source)
    prediction = Prediction(model, encoded, encoded.memories(model.layers), 1.0, objective)
    lengths = targets.ne(model.config.pad).sum(1)
    scores = model.lengths(encoded)
    if scores is None:
        return -objective.nll(_Chosen.of(prediction.at(torch.ones_like(encoded.lengths)), rows), targets).double()
    of_lengths = _of_lengths(model.lengths.base(encoded), scores, targets.shape[1])[rows]
    if model.blank:
        return _on_all_canvases(prediction, targets, rows, lengths, of_lengths)
    of_tokens = prediction.at(lengths, rows).log_probs(targets).double().sum(1)
    return of_tokens + of_lengths.gather(1, lengths[:, None])[:, 0]


@dataclass
class _Chosen(Positions):
    """Rows [P] of ``all_of_them``, whose transitions are worked out once."""

    all_of_them: Positions
    rows: Tensor

    @classmethod
    def of(cls, given: Positions, rows: Tensor) -> "_Chosen":
        parts = (given.states, given.tokens, given.normaliser, given.lengths)
        return cls(given.model, *(part.index_select(0, rows) for part in parts), given, rows)

    @property
    def links(self) -> Tensor:
        return self.all_of_them.links.index_select(0, self.rows)


def _stepwise(model: Transformer, source: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
    config = model.config
    ends = targets.ne(config.pad).sum(1, keepdim=True)
    wanted = F.pad(targets, (0, 1), value=config.pad).scatter(1, ends, config.eos)
    previous = F.pad(targets, (1, 0), value=config.eos)
    states = model.decode(model.encoder(source).chosen(rows), previous)
    return -model.sentence_loss(states, wanted, wanted.ne(config.pad), 0.0)[1].double()


def _of_lengths(base: Tensor, scores: Tensor, longest: int) -> Tensor:
    """log P(length) [B, M], M > ``longest``, of each length from 0 on, from scores [B, N] of those from base [B] on."""
    lengths = base[:, None] + torch.arange(scores.shape[1], device=base.device)
    found = scores.new_full((len(base), max(longest, int(lengths.max())) + 1), -torch.inf, dtype=torch.double)
    possible = lengths >= 1
    sentence, _ = possible.nonzero(as_tuple=True)
    found[sentence, lengths[possible]] = scores.double().log_softmax(1)[possible]
    return found


def _on_all_canvases(
    prediction: Prediction, targets: Tensor, rows: Tensor, lengths: Tensor, of_lengths: Tensor
) -> Tensor:
    """Of targets [P, T] of ``lengths`` [P]; of_lengths: log P(length) [P, M] of each canvas."""
    config = prediction.model.config
    steps = torch.arange(of_lengths.shape[1], device=rows.device)
    blanks = steps - lengths[:, None]
    counted = (blanks == 0) | (blanks > 0) & (blanks <= BLANKS) & of_lengths.isfinite()
    which, canvas = counted.nonzero(as_tuple=True)  # [N], each target on each canvas that can hold it
    pairs, pair = torch.stack([rows[which], canvas]).unique(dim=1, return_inverse=True)
    words, said = targets.unique(return_inverse=True)
    on_pairs: Positions = prediction.at(pairs[1], pairs[0])
    of_words = on_pairs.log_probs_everywhere(words.expand(len(pairs[0]), -1))  # [U, W, L]
    blank = on_pairs.log_probs(torch.full_like(on_pairs.tokens, config.bos))  # [U, L]
    log_probs = of_words[pair[:, None], said[which]]  # [N, T, L]
    total = torch.full_like(of_lengths, -torch.inf)
    total[which, canvas] = placements(log_probs, blank[pair], canvas, lengths[which])
    return (total + of_lengths).logsumexp(1)


def placements(log_probs: Tensor, blank: Tensor, lengths: Tensor, target_lengths: Tensor) -> Tensor:
    """log of the sum over all placements of ``target_lengths`` [N] tokens, in their order, among ``lengths`` [N]
    positions, ε at all others: [N], in nats, float64.

    log_probs: [N, T, L], of each token at each position; blank: [N, L], of ε.
    """
    tokens, positions = log_probs.shape[1:]
    reached = log_probs.new_full((len(blank), tokens + 1), -torch.inf, dtype=torch.double)  # so many tokens placed
    reached[:, 0] = 0
    for at in range(positions):
        placed = F.pad(reached[:, :-1] + log_probs[:, :, at], (1, 0), value=-torch.inf)
        further = torch.logaddexp(reached + blank[:, at, None], placed)
        reached = torch.where(at < lengths[:, None], further, reached)
    return reached.gather(1, target_lengths[:, None])[:, 0]
