"""Input Sampling (MPLE, sections 3.3 and 4.3, appendix E.6): the proxy input Z is drawn from P(Z|X), then the likeliest
tokens are taken given Z.

P(z_i|X) is that of two models: the decoder's masking head says with which probability position i is masked, a frozen
vanilla model, the predictor, which token stands there if it is not. Only whether a position is masked is drawn; where
it is not, the predictor's likeliest token is revealed.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from natlab.decoding.kinds import argmax
from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.seeds import of_sentences


class Drawn(NamedTuple):
    """Targets of B sources under a proxy input.

    tokens: T [B, T], an unmasked position's being the one revealed; lengths: [B]; revealed: bool [B, T];
    log_probability: log P(Z|X) + log P(T|Z,X) [B], in nats, revealed tokens being certain in the latter.
    """

    tokens: Tensor
    lengths: Tensor
    revealed: Tensor
    log_probability: Tensor


@torch.inference_mode()
def draw(
    model: NonAutoregressiveTransformer,
    source_tokens: Tensor,
    predictor: NonAutoregressiveTransformer,
    length_factor: float = 1.0,
    seed: int | None = 1,
) -> Drawn:
    """Targets of source_tokens [B, S] by Input Sampling, or without a ``seed`` by Default Decoding: all is masked.

    The draws of a sentence follow from ``seed`` and its tokens, whatever batch it is in.
    """
    source = model.encoder(source_tokens)
    memories = source.memories(model.layers)
    lengths = argmax.likely_lengths(model, source, 1, length_factor)[:, 0]
    states = model.decode(source, lengths, memories=memories)
    masked = model.masked_logits(states)
    inside = torch.arange(masked.shape[1], device=lengths.device) < lengths[:, None]
    shown, of_shown = argmax.likeliest(predictor, predictor.decode(predictor.encoder(source_tokens), lengths))
    revealed = torch.zeros_like(inside)
    if seed is not None:
        revealed = (_uniform(source_tokens, source.lengths, lengths, seed) >= masked.sigmoid()) & inside
        states = model.decode(source, lengths, revealed, shown, memories)
    tokens, of_tokens = argmax.likeliest(model, states)
    of_input = torch.where(revealed, F.logsigmoid(-masked) + of_shown, F.logsigmoid(masked))
    total = (of_input + torch.where(revealed, 0, of_tokens)) * inside
    return Drawn(torch.where(revealed, shown, tokens), lengths, revealed, total.sum(1))


@dataclass
class Sample:
    """Input Sampling with the draws of a ``seed``, of the likeliest length times ``length_factor``, the dataset's
    unless said; ``predictor`` is the system's."""

    needs: ClassVar[tuple[str, ...]] = ("target length", "masking head")
    of_dataset: ClassVar[tuple[str, ...]] = ("length_factor",)
    of_system: ClassVar[tuple[str, ...]] = ("predictor",)
    models: ClassVar[tuple[str, ...]] = ("predictor",)

    length_factor: Annotated[float, "> 0"] = 1.0
    seed: Annotated[int, ">= 0", "<= 4294967295"] = 1
    predictor: str | None = None

    def __call__(
        self, model: NonAutoregressiveTransformer, source_tokens: Tensor, predictor: NonAutoregressiveTransformer
    ) -> list[Tensor]:
        """Without ε."""
        made = draw(model, source_tokens, predictor, self.length_factor, self.seed)
        return argmax.finished(model, made.tokens, made.lengths)


def _uniform(source_tokens: Tensor, source_lengths: Tensor, lengths: Tensor, seed: int) -> Tensor:
    """Numbers from [0, 1) [B, T], T the longest of ``lengths`` [B]: each sentence's own, which its padding is not."""
    rows = torch.zeros(len(lengths), int(lengths.max()))
    seeds = of_sentences(source_tokens, source_lengths, seed)  # torch heeds 32 bits of a seed
    for row, own, length in zip(rows, seeds, lengths.tolist(), strict=True):
        row[:length] = torch.rand(length, generator=torch.Generator().manual_seed(own))
    return rows.to(lengths.device)
