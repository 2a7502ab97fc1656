"""What an objective or a term is given, and what it returns. One class a file in `objectives` and `terms`; the file's
name is the name in ``config/systems.yaml``, the class's fields are its options (see `natlab.families`)."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Protocol

import torch
from torch import Tensor

from natlab.models.transformer import Source
from natlab.proxy.interface import Likelihood, Prediction

if TYPE_CHECKING:
    from natlab.models.multilingual import MultilingualEncoder
    from natlab.models.nat import NonAutoregressiveTransformer

BITS, SHARE, DISTANCE = "bits/token", "share", "distance"  # the units that values have


@dataclass
class Value:
    """A value of each of B sentences, under the name that curve, measurement and table know it by.

    sums: [B], in nats where ``unit`` is bits a token.
    counts: [B], what the sums are of: tokens, positions.
    """

    sums: Tensor
    counts: Tensor
    unit: str = BITS


@dataclass
class Aligned:
    """At which of a canvas' L positions an objective has the tokens of T stand, of B sentences.

    tokens: [B, L], what each position is to predict, padding where nothing.
    shown: [B, L], what a position shows if it is revealed; padding: what the canvas holds anyway.
    index: [B, L], which token of T stands there, -1 where none.
    """

    tokens: Tensor
    shown: Tensor
    index: Tensor


def in_place(target: Tensor, prediction: Prediction) -> Aligned:
    """Token t of ``target`` [B, T] at position t (AXE, section 3.3), whatever is predicted."""
    steps = torch.arange(target.shape[1], device=target.device)
    return Aligned(target, target, steps.where(target.ne(prediction.model.config.pad), -1))


@dataclass
class Encoded:
    """A batch of B sentences of which both sides have been encoded, and nothing else.

    model: in training, or measured.
    source: the encoded source.
    target: T [B, T], padded on the right, without eos.
    lengths: [B], its tokens.
    encoded_target: T through the same encoder, eos at its end.
    """

    model: "MultilingualEncoder"
    source: Source
    target: Tensor
    lengths: Tensor
    encoded_target: Source


@dataclass
class Decoded:
    """A batch of B sentences whose targets have been decoded.

    model: in training, or measured.
    source: the encoded source.
    target: T [B, T], padded on the right.
    lengths: [B], its tokens.
    canvas: [B], the canvases' positions; L the most.
    aligned: where T's tokens stand; None where nothing may be revealed.
    revealed: bool [B, L], the positions that see their token; None where none does.
    states: [B, L, d], the decoder's under that input.
    prediction: the model's under Z*, made where it is asked for.
    """

    model: "NonAutoregressiveTransformer"
    source: Source
    target: Tensor
    lengths: Tensor
    canvas: Tensor
    aligned: Aligned | None
    revealed: Tensor | None
    states: Tensor
    prediction: Prediction

    @cached_property
    def encoded_target(self) -> Source:
        """T through the model's encoder, without a gradient."""
        with torch.no_grad():
            return self.model.encode_target(self.target)

    @property
    def hidden(self) -> Tensor:
        """Bool [B, T]: the tokens that the input does not reveal, of a canvas as long as T."""
        inside = self.target.ne(self.model.config.pad)
        return inside if self.revealed is None else inside & ~self.revealed


@dataclass
class Cost:
    """What an objective finds.

    loss: what training minimises, a sum over the batch in nats, with label smoothing (differentiable).
    nll: [B], -log P(T | Z, X), without it; 0 of a target that the model cannot produce.
    predicted: [B], the predictions that both sum over; by their sum a gradient is to be divided.
    values: what else there is to know, by name.
    possible: bool [B], the targets that the model can produce; None where it can all.
    """

    loss: Tensor
    nll: Tensor
    predicted: Tensor
    values: dict[str, Value] = field(default_factory=dict)
    possible: Tensor | None = None


class Objective(Likelihood, Protocol):
    """What T costs given Z, and given Z* (`Likelihood.nll`)."""

    needs: ClassVar[tuple[str, ...]]
    blank: ClassVar[bool]  # whether predictions may be ε, for which stands the symbol bos
    kernels: ClassVar[bool]  # whether it runs an op of `natlab.kernels`
    # the kind that translates the validation set in training, with its own defaults; none has no such variable
    decoding: ClassVar[str]

    def align(self, target: Tensor, prediction: Prediction) -> Aligned:
        """Where an input may show the tokens of T [B, T]: for the objectives of a canvas as long as T `in_place`, which
        asks for no first pass."""
        ...

    def __call__(self, batch: Decoded, smoothing: float) -> Cost: ...


@dataclass
class Added:
    """What a term finds. loss: what training minimises of it, in nats, before its weight; values: by name."""

    loss: Tensor
    values: dict[str, Value]


class Term(Protocol):
    """What is added to an objective, times its ``weight`` and the share of T's tokens that are predicted, so that
    batches of any composition weigh each token alike.

    A term may have the class variables ``of_start``, the option that a training which starts from a model sets, where
    it is None, to what that model's targets cost on the validation set (`natlab.losses.batch.unaided`), in bits a
    token; and ``kernels``, as an objective's.
    """

    needs: ClassVar[tuple[str, ...]]
    weight: float

    def __call__(self, batch: Decoded | Encoded) -> Added:
        """What a batch adds; of one that is only encoded for a term that needs nothing of a decoder."""
        ...
