"""What a proxy target or proxy input is given, and what it returns. One class a file in `targets` and `inputs`; the
file's name is the name in ``config/systems.yaml``, the class's fields are its options (see `natlab.families`)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from natlab.models.transformer import Source

if TYPE_CHECKING:
    from natlab.models.nat import NonAutoregressiveTransformer


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
    """What a model predicts for P sentences at each position of a canvas under Z* (L the longest).

    model: whose prediction it is.
    states: [P, L, d].
    tokens: [P, L], the likeliest.
    normaliser: [P, L], log sum exp of the logits, in nats.
    lengths: [P], the canvases'.
    """

    model: "NonAutoregressiveTransformer"
    states: Tensor
    tokens: Tensor
    normaliser: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, model: "NonAutoregressiveTransformer", states: Tensor, lengths: Tensor) -> "Positions":
        """Of decoder states [P, L, d], without a gradient."""
        found = model.likeliest(states.flatten(0, 1), by_kernels=model.free)
        return cls(model, states, *(part.view(states.shape[:2]) for part in found), lengths)

    @property
    def embedding(self) -> Tensor:
        """The output layer's weights [V, d]."""
        return self.model.embedding.weight.detach()

    @property
    def links(self) -> Tensor:
        """Log-probabilities [P, L, L] of the transitions of a model that has them (`natlab.models.links`)."""
        return self.model.links(self.states, self.lengths)

    @property
    def inside(self) -> Tensor:
        """Bool [P, L]: the positions that are no padding."""
        return torch.arange(self.tokens.shape[1], device=self.lengths.device) < self.lengths[:, None]

    def log_probs(self, target: Tensor) -> Tensor:
        """Log-probability [P, L], in nats, of token l of ``target`` [P, L] at position l; 0 where that is padding."""
        logits = (self.states.to(self.embedding.dtype) * F.embedding(target, self.embedding)).sum(2)
        return (logits - self.normaliser).clamp(max=0) * self.inside

    def log_probs_everywhere(self, tokens: Tensor) -> Tensor:
        """Log-probabilities [P, R, L], in nats, of each of ``tokens`` [P, R] at each position."""
        logits = self.embedding[tokens] @ self.states.to(self.embedding.dtype).transpose(1, 2)
        return (logits - self.normaliser[:, None]).clamp(max=0)


class Likelihood(Protocol):
    """What a target costs; an objective (`natlab.losses.interface`)."""

    def nll(self, positions: Positions, target: Tensor) -> Tensor:
        """-log P(T | Z*, X) [P], in nats, of targets [P, T]; at most that, where the positions weigh fewer words than
        the vocabulary; infinite for one that no canvas of theirs can hold."""
        ...


@dataclass
class Prediction:
    """What the model in training predicts under the vanilla input Z* (nothing revealed). Gradients never flow through.

    Z* depends on a sentence and its length only, so each pair of a sentence and a length is decoded if a proxy asks for
    it, and once; so are its positions by the output layer. In training dropout is on, as in the released code of GLAT.

    model: the model in training.
    source, memories: the encoded batch of B sentences.
    progress: share of training done.
    objective: the system's.
    """

    model: "NonAutoregressiveTransformer"
    source: Source
    memories: list[Tensor]
    progress: float
    objective: "Likelihood"

    def __post_init__(self):
        # laid out as the products of every pass want them
        self.memories = [memory.detach().contiguous() for memory in self.memories]
        # where in the tensors below the positions of each sentence at each length begin, -1 if they are not yet known
        self._starts = np.full((len(self.source.lengths), 1), -1)
        # states [N, d], likeliest tokens [N] and normalisers [N], nan where not yet known, of all known positions
        self._states: Tensor | None = None
        self._tokens = torch.zeros(0, dtype=torch.long, device=self.model.device)
        self._normaliser = torch.zeros(0, dtype=self.model.embedding.weight.dtype, device=self.model.device)

    def of(self, target: Tensor) -> Positions:
        """The prediction for all sentences of the batch on the canvases of ``target`` [B, T]."""
        return self.at(target.ne(self.model.config.pad).sum(1))

    def at(self, lengths: Tensor, rows: Tensor | None = None, among: Tensor | None = None) -> Positions:
        """The prediction for sentences ``rows`` [P] (all of the batch without it) on the canvases of targets of
        ``lengths`` [P].

        among: the only words [R] to weigh, which takes R / V of the output layer's work. What the others would take is
        left out, so that log-probabilities of these words are upper bounds.
        """
        rows = torch.arange(len(lengths), device=lengths.device) if rows is None else rows
        lengths = self.model.canvas(self.source.lengths[rows], lengths)
        starts, longest = self._first_positions(rows, lengths)
        steps = torch.arange(longest, device=lengths.device)
        starts = starts[:, None]
        # padding reads the first position once more
        index = torch.where(steps < lengths[:, None], starts + steps, starts)
        tokens, normaliser = self._read_out(index.flatten(), among)
        states, tokens, normaliser = (
            part.index_select(0, index.flatten()).view(*index.shape, *part.shape[1:])
            for part in (self._states, tokens, normaliser)
        )
        return Positions(self.model, states, tokens, normaliser, lengths)

    def under(self, lengths: Tensor, kept: Tensor) -> Positions:
        """The prediction on canvases of ``lengths`` [B] whose positions ``kept`` (bool [B, L]), and no others, hold
        their code."""
        with torch.inference_mode():
            states = self.model.decode(self.source, lengths, memories=self.memories, kept=kept)
        return Positions.of(self.model, states, lengths)

    def _first_positions(self, rows: Tensor, lengths: Tensor) -> tuple[Tensor, int]:
        """Where the positions of sentences ``rows`` at ``lengths``, both [P], begin, which are decoded if they are not
        known; and the longest length."""
        at = rows.cpu().numpy(), lengths.cpu().numpy()
        longest, known = int(at[1].max()), self._starts
        if longest >= known.shape[1]:
            self._starts = np.full((len(known), 2 * longest), -1)
            self._starts[:, : known.shape[1]] = known
        asked = np.zeros(self._starts.shape, dtype=bool)
        asked[at] = True
        length, row = (asked & (self._starts < 0)).T.nonzero()  # the shortest first
        while len(row):
            # the shorter ones by themselves, if that saves enough padding
            saved = np.arange(1, len(row)) * (length[-1] - length[:-1])
            split = saved.argmax() + 1 if len(saved) and saved.max() >= PADDING else 0
            order = split + row[split:].argsort(kind="stable")
            self._decode(row[order], length[order])
            row, length = row[:split], length[:split]
        return torch.from_numpy(self._starts[at]).to(rows.device), longest

    @torch.inference_mode()  # cheaper than no_grad; what `at` hands out are copies, which may enter other graphs
    def _decode(self, rows: np.ndarray, lengths: np.ndarray) -> None:
        source, memories, device = self.source, self.memories, self.model.device
        ends = lengths.cumsum()
        self._starts[rows, lengths] = len(self._tokens) + ends - lengths
        inside = np.flatnonzero(np.arange(lengths.max()) < lengths[:, None])
        if not np.array_equal(rows, np.arange(len(source.lengths))):
            chosen = torch.from_numpy(rows).to(device)
            source, memories = source.chosen(chosen), [memory.index_select(1, chosen) for memory in memories]
        states = self.model.decode(source, torch.from_numpy(lengths).to(device), memories=memories)
        states = states.flatten(0, 1).index_select(0, torch.from_numpy(inside).to(device))
        self._states = states if self._states is None else torch.cat([self._states, states])
        self._tokens = torch.cat([self._tokens, self._tokens.new_zeros(len(states))])
        self._normaliser = torch.cat([self._normaliser, self._normaliser.new_full((len(states),), torch.nan)])

    @torch.inference_mode()
    def _read_out(self, index: Tensor, among: Tensor | None) -> tuple[Tensor, Tensor]:
        """The likeliest token and the normaliser of all positions [N], of which those of ``index`` are known."""
        tokens, normaliser = self._tokens, self._normaliser
        if among is not None:
            tokens, normaliser = torch.zeros_like(tokens), torch.full_like(normaliser, torch.nan)
        asked = torch.zeros_like(normaliser, dtype=torch.bool).index_fill_(0, index, True)
        unknown = asked.logical_and_(normaliser.isnan()).nonzero()[:, 0]
        if len(unknown):
            likeliest = self.model.likeliest(self._states.index_select(0, unknown), among, self.model.free)
            for known, part in zip((tokens, normaliser), likeliest, strict=True):
                known.index_copy_(0, unknown, part)
        return tokens, normaliser


PADDING = 256  # positions of padding that are worth a decoder pass of their own


class ProxyTarget(Protocol):
    """Chooses T, the tokens the model is trained to predict."""

    # What of an architecture and an objective it needs; "plain target" is offered by those that place no token.
    needs: ClassVar[tuple[str, ...]]
    offers: ClassVar[tuple[str, ...]]
    # Which references it starts from: "raw" ones, "distilled" ones (a teacher's), "either", by whether the system has a
    # teacher, or "candidates", several of which are the teachers' that the configuration names
    references: ClassVar[str]
    blank: ClassVar[bool]  # whether T may hold ε, for which stands the symbol bos, which no reference holds
    kernels: ClassVar[bool]  # whether it runs an op of `natlab.kernels`

    def __call__(self, references: References, prediction: Prediction) -> Tensor:
        """T [B, T], padded on the right, whose lengths follow from it: those are the lengths to predict, too."""
        ...


@dataclass
class ShownCodes:
    """What of a canvas of codes its L positions show.

    kept: bool [B, L], those that hold their code.
    order: [B, L], which position's code comes where; None: its own.
    """

    kept: Tensor
    order: Tensor | None


class ProxyInput(Protocol):
    """Chooses Z, the tokens of T the decoder sees: a sample of Q(Z | T, X) (MPLE, equation 18). One that may reveal
    some is asked with the objective's alignment, any other without. One that shows codes is asked with T, and returns
    `ShownCodes`."""

    needs: ClassVar[tuple[str, ...]]
    offers: ClassVar[tuple[str, ...]]  # "revealed tokens" where it may reveal any, "shown codes" where it shows those
    # It may have `kernels`, whether it runs an op of `natlab.kernels`; and an attribute ``started_from``, which a
    # training that starts from a model sets to that.

    def __call__(self, target: Tensor, prediction: Prediction) -> Tensor | None:
        """Which positions of a canvas are revealed, bool [B, L], never padding; None for none at all.

        target: [B, L], the token of T that each position stands for by the objective's alignment, padding where none.
        """
        ...

    def log_probability(self, revealed: Tensor | None, target: Tensor, prediction: Prediction) -> Tensor:
        """log Q(Z | T, X) [B], in nats, of what was revealed: the entropy's part of L_input (MPLE, appendix E.6)."""
        ...
