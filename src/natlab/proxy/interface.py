"""What a proxy target or proxy input is given, and what it returns. One class a file in `targets` and `inputs`; the
file's name is the name in ``config/systems.yaml``, the class's fields are its options (see `registry`)."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.transformer import Source


@dataclass
class Prediction:
    """What the model in training predicts under the vanilla input Z* (nothing revealed), worked out only if a proxy
    asks for it, and once. Gradients never flow through it.

    model: the model in training; source, memories: the encoded source; lengths: [B]; progress: share of training done.
    """

    model: NonAutoregressiveTransformer
    source: Source
    memories: list[Tensor]
    lengths: Tensor
    progress: float

    @cached_property
    def states(self) -> Tensor:
        """Decoder states [B, T, d]."""
        with torch.no_grad():
            return self.model.decode(self.source, self.lengths, memories=self.memories)

    @cached_property
    def tokens(self) -> Tensor:
        """The likeliest token at each position, [B, T]."""
        with torch.no_grad():
            return self.model.logits(self.states).argmax(2)


class ProxyTarget(Protocol):
    """Chooses T, the tokens the model is trained to predict."""

    distilled: bool  # whether the targets it starts from are a teacher's

    def __call__(self, reference: Tensor, prediction: Prediction) -> Tensor:
        """T [B, T] for references [B, T], padded on the right."""
        ...


class ProxyInput(Protocol):
    """Chooses Z, the tokens of T the decoder sees."""

    def __call__(self, target: Tensor, prediction: Prediction) -> Tensor | None:
        """Which positions of T [B, T] are revealed, bool [B, T], never padding; None for none at all."""
        ...
