"""What an objective or a term is given, and what it returns. One class a file in `objectives` and `terms`; the file's
name is the name in ``config/systems.yaml``, the class's fields are its options (see `natlab.families`)."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

from torch import Tensor

from natlab.models.transformer import Source
from natlab.proxy.interface import Likelihood, Prediction

if TYPE_CHECKING:
    from natlab.models.nat import NonAutoregressiveTransformer

BITS, SHARE = "bits/token", "share"  # the units that values have


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
class Decoded:
    """A batch of B sentences whose targets have been decoded.

    model: in training, or measured.
    source: the encoded source.
    target: T [B, T], padded on the right; lengths: [B].
    revealed: bool [B, T], the positions that see their token; None where none does.
    states: [B, T, d], the decoder's under that input.
    prediction: the model's under Z*, made where it is asked for.
    """

    model: "NonAutoregressiveTransformer"
    source: Source
    target: Tensor
    lengths: Tensor
    revealed: Tensor | None
    states: Tensor
    prediction: Prediction

    @property
    def hidden(self) -> Tensor:
        """Bool [B, T]: the tokens that the input does not reveal."""
        inside = self.target.ne(self.model.config.pad)
        return inside if self.revealed is None else inside & ~self.revealed


@dataclass
class Cost:
    """What an objective finds.

    loss: what training minimises, a sum over the batch in nats, with label smoothing (differentiable).
    nll: [B], -log P(T | Z, X), without it.
    predicted: [B], the predictions that both sum over; by their sum a gradient is to be divided.
    values: what else there is to know, by name.
    """

    loss: Tensor
    nll: Tensor
    predicted: Tensor
    values: dict[str, Value] = field(default_factory=dict)


class Objective(Likelihood, Protocol):
    """What T costs given Z, and given Z* (`Likelihood.nll`). Token t of T may be shown at position t: the alignment of
    these objectives is the identity, so an input asks for no first pass but by itself (AXE, section 3.3)."""

    needs: ClassVar[tuple[str, ...]]
    blank: ClassVar[bool]  # whether predictions may be ε, for which stands the symbol bos
    kernels: ClassVar[bool]  # whether it runs an op of `natlab.kernels`

    def __call__(self, batch: Decoded, smoothing: float) -> Cost: ...


@dataclass
class Added:
    """What a term finds. loss: what training minimises of it, in nats, before its weight; values: by name."""

    loss: Tensor
    values: dict[str, Value]


class Term(Protocol):
    """What is added to an objective, times its ``weight`` and the share of T's tokens that are predicted, so that
    batches of any composition weigh each token alike."""

    needs: ClassVar[tuple[str, ...]]
    weight: float

    def __call__(self, batch: Decoded) -> Added: ...
