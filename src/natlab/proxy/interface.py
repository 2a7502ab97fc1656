"""What a proxy target or proxy input is given, and what it returns. One class a file in `targets` and `inputs`; the
file's name is the name in ``config/systems.yaml``, the class's fields are its options (see `registry`)."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.transformer import Source


@dataclass
class References:
    """What a proxy target is made from. tokens: [B, T], the data's targets, without eos, padded on the right.

    Only in data for dynamic KD: candidates [B, K, T'], padded likewise; bleu [B, K, K], entry [i, j] the sentence BLEU
    (0 to 100) of candidate j with candidate i as its reference; gamma [K], the tuned weights of the references.
    """

    tokens: Tensor
    candidates: Tensor | None = None
    bleu: Tensor | None = None
    gamma: Tensor | None = None


@dataclass
class Positions:
    """What a model predicts for P sentences at each position under Z*, as targets of given lengths [P] (T the longest).

    states: [P, T, d]; tokens: [P, T], the likeliest; normaliser: [P, T], log sum exp of the logits, in nats; lengths:
    [P]; embedding: the output layer's weights [V, d].
    """

    states: Tensor
    tokens: Tensor
    normaliser: Tensor
    lengths: Tensor
    embedding: Tensor

    @property
    def inside(self) -> Tensor:
        """Bool [P, T]: the positions that are no padding."""
        return torch.arange(self.tokens.shape[1], device=self.lengths.device) < self.lengths[:, None]

    def log_probs(self, target: Tensor) -> Tensor:
        """Log-probability [P, T], in nats, of token t of ``target`` [P, T] at position t; 0 where it is padding."""
        logits = (self.states.float() * F.embedding(target, self.embedding)).sum(2)
        return (logits - self.normaliser).clamp(max=0) * self.inside

    def log_probs_everywhere(self, tokens: Tensor) -> Tensor:
        """Log-probabilities [P, R, T], in nats, of each of ``tokens`` [P, R] at each position."""
        logits = self.embedding[tokens] @ self.states.float().transpose(1, 2)
        return (logits - self.normaliser[:, None]).clamp(max=0)


@dataclass
class Prediction:
    """What the model in training predicts under the vanilla input Z* (nothing revealed). Gradients never flow through.

    Z* depends on a sentence and its length only, so each pair of a sentence and a length is worked out if a proxy asks
    for it, and once. In training dropout is on, as in the released code of GLAT.

    model: the model in training; source, memories: the encoded batch of B sentences; progress: share of training done.
    """

    model: NonAutoregressiveTransformer
    source: Source
    memories: list[Tensor]
    progress: float
    _known: Positions | None = field(default=None, init=False, repr=False)
    _keys: Tensor | None = field(default=None, init=False, repr=False)

    def of(self, target: Tensor) -> Positions:
        """The prediction for all sentences of the batch at the lengths of ``target`` [B, T]."""
        return self.at(target.ne(self.model.config.pad).sum(1))

    def at(self, lengths: Tensor, rows: Tensor | None = None) -> Positions:
        """The prediction for sentences ``rows`` [P] (all of the batch without it) at ``lengths`` [P]."""
        if rows is None:
            rows = self._all
        keys = rows * LONGEST + lengths
        missing = keys if self._keys is None else keys[~torch.isin(keys, self._keys)]
        if len(missing):
            new = missing.unique()
            self._work_out(new // LONGEST, new % LONGEST)
        ordered, order = self._keys.sort()
        index = order[torch.searchsorted(ordered, keys)]
        known, width = self._known, int(lengths.max())
        states, tokens, normaliser = (
            part.index_select(0, index)[:, :width] for part in (known.states, known.tokens, known.normaliser)
        )
        return Positions(states, tokens, normaliser, lengths, known.embedding)

    @cached_property
    def _all(self) -> Tensor:
        return torch.arange(len(self.source.lengths), device=self.source.lengths.device)

    @torch.inference_mode()  # cheaper than no_grad; what `at` hands out are copies, which may enter other graphs
    def _work_out(self, rows: Tensor, lengths: Tensor) -> None:
        source, memories = self.source, self.memories
        if not torch.equal(rows, self._all):
            source, memories = source.chosen(rows), [memory.index_select(1, rows) for memory in memories]
        states = self.model.decode(source, lengths, memories=memories)
        inside = (torch.arange(states.shape[1], device=lengths.device) < lengths[:, None]).flatten().nonzero()[:, 0]
        tokens = lengths.new_zeros(states.shape[:2])
        normaliser = torch.zeros(states.shape[:2], device=states.device)
        tokens.view(-1)[inside], normaliser.view(-1)[inside] = self.model.likeliest(states.flatten(0, 1)[inside])
        made = Positions(states, tokens, normaliser, lengths, self.model.embedding.weight.detach())
        keys = rows * LONGEST + lengths
        self._known = made if self._known is None else _joined(self._known, made)
        self._keys = keys if self._keys is None else torch.cat([self._keys, keys])


LONGEST = 1 << 20  # above any length: a sentence and a length make one number


def _joined(first: Positions, second: Positions) -> Positions:
    """The sentences of both, padded to the longer."""
    width = max(first.tokens.shape[1], second.tokens.shape[1])

    def both(name: str) -> Tensor:
        parts = [getattr(part, name) for part in (first, second)]
        return torch.cat([torch.cat([p, p.new_zeros(len(p), width - p.shape[1], *p.shape[2:])], 1) for p in parts])

    lengths = torch.cat([first.lengths, second.lengths])
    return Positions(both("states"), both("tokens"), both("normaliser"), lengths, first.embedding)


class ProxyTarget(Protocol):
    """Chooses T, the tokens the model is trained to predict."""

    # Which references it starts from: "raw" ones, "distilled" ones (a teacher's), "either", by whether the system has a
    # teacher, or "candidates", several of which are the teachers' that the configuration names
    references: ClassVar[str]
    blank: ClassVar[bool]  # whether T may hold ε, for which stands the symbol bos, which no reference holds
    kernels: ClassVar[bool]  # whether it runs an op of `natlab.kernels`

    def __call__(self, references: References, prediction: Prediction) -> Tensor:
        """T [B, T], padded on the right, whose lengths follow from it: those are the lengths to predict, too."""
        ...


class ProxyInput(Protocol):
    """Chooses Z, the tokens of T the decoder sees: a sample of Q(Z | T, X) (MPLE, equation 18)."""

    def __call__(self, target: Tensor, prediction: Prediction) -> Tensor | None:
        """Which positions of T [B, T] are revealed, bool [B, T], never padding; None for none at all."""
        ...

    def log_probability(self, revealed: Tensor | None, target: Tensor, prediction: Prediction) -> Tensor:
        """log Q(Z | T, X) [B], in nats, of what was revealed: the entropy's part of L_input (MPLE, appendix E.6)."""
        ...
