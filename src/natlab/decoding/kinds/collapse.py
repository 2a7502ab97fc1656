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

    @torch.inference_mode()
    def __call__(self, model: NonAutoregressiveTransformer, source_tokens: Tensor) -> list[Tensor]:
        source = model.encoder(source_tokens)
        lengths = model.lengths.likely(source, 1)[:, 0]  # [B]
        return self.read(model, model.decode(source, lengths), lengths)

    def read(
        self, model: NonAutoregressiveTransformer, states: Tensor, lengths: Tensor, known: Tensor | None = None
    ) -> list[Tensor]:
        """The targets of decoder states [B, L, d] of canvases of ``lengths`` [B]; ``known`` [B, L]: tokens that stand
        where they are no padding, whatever the states say."""
        tokens = given(likeliest(model, states)[0], known)  # [B, L]
        said = (remove_repeats(row[:length]) for row, length in zip(tokens, lengths.tolist(), strict=True))
        return [row[row.ne(model.config.bos)] for row in said]
