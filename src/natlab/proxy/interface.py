"""What a proxy target or proxy input is given, and what it returns. One class a file in `targets` and `inputs`; the
file's name is the name in ``config/systems.yaml``, the class's fields are its options (see `registry`)."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
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

    Z* depends on a sentence and its length only, so each pair of a sentence and a length is decoded if a proxy asks for
    it, and once; so are its positions by the output layer. In training dropout is on, as in the released code of GLAT.

    model: the model in training; source, memories: the encoded batch of B sentences; progress: share of training done.
    """

    model: NonAutoregressiveTransformer
    source: Source
    memories: list[Tensor]
    progress: float

    def __post_init__(self):
        # a number for each known pair of sentence and length, ascending up to one that no pair has, and where in the
        # tensors below its positions begin
        self._keys, self._starts = np.array([np.iinfo(np.int64).max]), np.zeros(1, dtype=np.int64)
        # states [N, d], likeliest tokens [N] and normalisers [N], nan where not yet known, of all pairs' positions
        self._states: Tensor | None = None
        self._tokens = torch.zeros(0, dtype=torch.long, device=self.model.device)
        self._normaliser = torch.zeros(0, device=self.model.device)

    def of(self, target: Tensor) -> Positions:
        """The prediction for all sentences of the batch at the lengths of ``target`` [B, T]."""
        return self.at(target.ne(self.model.config.pad).sum(1))

    def at(self, lengths: Tensor, rows: Tensor | None = None, among: Tensor | None = None) -> Positions:
        """The prediction for sentences ``rows`` [P] (all of the batch without it) at ``lengths`` [P].

        among: the only words [R] to weigh, which takes R / V of the output layer's work. What the others would take is
        left out, so that log-probabilities of these words are upper bounds.
        """
        rows = torch.arange(len(lengths), device=lengths.device) if rows is None else rows
        steps = torch.arange(int(lengths.max()), device=lengths.device)
        starts = self._first_positions(rows, lengths)[:, None]
        # padding reads the first position once more
        index = torch.where(steps < lengths[:, None], starts + steps, starts)
        tokens, normaliser = self._read_out(index.flatten(), among)
        states, tokens, normaliser = (
            part.index_select(0, index.flatten()).view(*index.shape, *part.shape[1:])
            for part in (self._states, tokens, normaliser)
        )
        return Positions(states, tokens, normaliser, lengths, self.model.embedding.weight.detach())

    def _first_positions(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """Where the positions of sentences ``rows`` at ``lengths``, both [P], begin: decoded if they are not known."""
        keys = (rows * LONGEST + lengths).cpu().numpy()
        new = np.unique(keys)
        new = new[self._keys[self._keys.searchsorted(new)] != new]
        new = new[(new % LONGEST).argsort()]
        while len(new):
            # the shorter ones by themselves, if that saves enough padding
            length = new % LONGEST
            saved = np.arange(len(new)) * (length[-1] - np.roll(length, 1))
            shorter = saved.argmax() if saved.max() >= PADDING else 0
            self._decode(np.sort(new[shorter:]))
            new = new[:shorter]
        return torch.from_numpy(self._starts[self._keys.searchsorted(keys)]).to(rows.device)

    @torch.inference_mode()  # cheaper than no_grad; what `at` hands out are copies, which may enter other graphs
    def _decode(self, keys: np.ndarray) -> None:
        source, memories, device = self.source, self.memories, self.model.device
        rows, lengths = np.divmod(keys, LONGEST)
        places = self._keys.searchsorted(keys)
        self._keys = np.insert(self._keys, places, keys)
        self._starts = np.insert(self._starts, places, len(self._tokens) + lengths.cumsum() - lengths)
        if not np.array_equal(rows, np.arange(len(source.lengths))):
            chosen = torch.from_numpy(rows).to(device)
            source, memories = source.chosen(chosen), [memory.index_select(1, chosen) for memory in memories]
        lengths = torch.from_numpy(lengths).to(device)
        states = self.model.decode(source, lengths, memories=memories)
        states = states[torch.arange(states.shape[1], device=device) < lengths[:, None]]
        self._states = states if self._states is None else torch.cat([self._states, states])
        self._tokens = torch.cat([self._tokens, lengths.new_zeros(len(states))])
        self._normaliser = torch.cat([self._normaliser, states.new_full((len(states),), torch.nan, dtype=torch.float)])

    @torch.inference_mode()
    def _read_out(self, index: Tensor, among: Tensor | None) -> tuple[Tensor, Tensor]:
        """The likeliest token and the normaliser of all positions [N], of which those of ``index`` are known."""
        tokens, normaliser = self._tokens, self._normaliser
        if among is not None:
            tokens, normaliser = torch.zeros_like(tokens), torch.full_like(normaliser, torch.nan)
        unknown = normaliser.index_select(0, index).isnan()
        if unknown.any():
            asked = torch.zeros_like(normaliser, dtype=torch.bool)
            asked = asked.index_fill_(0, index[unknown], True).nonzero()[:, 0]  # each once
            tokens[asked], normaliser[asked] = self.model.likeliest(self._states.index_select(0, asked), among)
        return tokens, normaliser


LONGEST = 1 << 20  # above any length: a sentence and a length make one number
PADDING = 256  # positions of padding that are worth a decoder pass of their own


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
