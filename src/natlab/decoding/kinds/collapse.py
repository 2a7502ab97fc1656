"""Decoding of models trained by CTC (Graves et al. 2006, section 3.2, best path decoding)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from natlab.decoding.kinds.argmax import given, likeliest, remove_repeats
from natlab.models.nat import NonAutoregressiveTransformer


@dataclass
class Collapse:
    """The likeliest token or blank at each position; of what is equal to the position before, none; then no blanks."""

    needs: ClassVar[tuple[str, ...]] = ("blanks and repeats",)
    reads: ClassVar[bool] = True
    captured: ClassVar[bool] = True

    @torch.inference_mode()
    def __call__(self, model: NonAutoregressiveTransformer, source_tokens: Tensor) -> list[Tensor]:
        return self.targets(model, *self.compute(model, source_tokens))

    @torch.inference_mode()
    def compute(self, model: NonAutoregressiveTransformer, source_tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The canvases' lengths [B], and what their positions say [B, L]."""
        source = model.encoder(source_tokens)
        lengths = model.lengths.likely(source, 1)[:, 0]  # [B]
        return lengths, likeliest(model, model.decode(source, lengths))[0]

    def read(
        self, model: NonAutoregressiveTransformer, states: Tensor, lengths: Tensor, known: Tensor | None = None
    ) -> list[Tensor]:
        """The targets of decoder states [B, L, d] of canvases of ``lengths`` [B]; ``known`` [B, L]: tokens that stand
        where they are no padding, whatever the states say."""
        return self.targets(model, lengths, given(likeliest(model, states)[0], known))

    def targets(self, model: NonAutoregressiveTransformer, lengths: Tensor, tokens: Tensor) -> list[Tensor]:
        """What canvases of ``lengths`` [B] say by the tokens [B, L] at their positions."""
        said = (remove_repeats(row[:length]) for row, length in zip(tokens, lengths.tolist(), strict=True))
        return [row[row.ne(model.config.bos)] for row in said]
