"""Beam search for autoregressive Transformers."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from torch import Tensor

from natlab.decoding.beam_search import search
from natlab.decoding.beam_steps import Steps
from natlab.models.transformer import Transformer


@dataclass
class Beam:
    """Beam search with ``beam`` hypotheses, 1 being greedy search; ``length_penalty`` as in
    `natlab.decoding.beam_search`, the dataset's unless said."""

    needs: ClassVar[tuple[str, ...]] = ("autoregressive",)
    of_dataset: ClassVar[tuple[str, ...]] = ("length_penalty",)
    captured: ClassVar[bool] = True

    beam: Annotated[int, ">= 1"]
    length_penalty: float = 1.0

    def __call__(self, model: Transformer, source_tokens: Tensor) -> list[Tensor]:
        return search(model, source_tokens, self.beam, self.length_penalty)

    def steps(self, model: Transformer, source_tokens: Tensor) -> Steps:
        """The same search, in steps of fixed shapes."""
        return Steps(model, source_tokens, self.beam, self.length_penalty)
