"""Decoding of non-autoregressive Transformers: the likeliest token at each position of the predicted length."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from natlab.decoding.rerank import mean_log_probability
from natlab.kernels.likeliest import argmax
from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.transformer import Config, Source, Transformer


def remove_repeats(tokens: Tensor) -> Tensor:
    """Tokens [T] without those equal to the one before (de-duplication: Lee et al. 2018; MPLE appendix D)."""
    return torch.unique_consecutive(tokens)


def likely_lengths(model: NonAutoregressiveTransformer, source: Source, count: int, factor: float) -> Tensor:
    """The ``count`` likeliest lengths [B, K] of the canvas, each times ``factor`` (Ghazvininejad et al. 2020; MPLE
    appendix D), rounded half up, at least 1; a factor of 1 leaves them as they are."""
    return (model.lengths.likely(source, count) * factor + 0.5).floor().long().clamp(min=1)


def likeliest(model: NonAutoregressiveTransformer, states: Tensor) -> tuple[Tensor, Tensor]:
    """The likeliest tokens [B, T] of decoder states [B, T, d], of those that a target may hold, and their
    log-probabilities [B, T] among these, in nats."""
    logits = model.logits(states)
    never = [model.config.pad, model.config.eos] + [model.config.bos] * (not model.blank)
    for word in never:  # one by one: a list would have to be brought to the device
        logits[:, :, word] = -torch.inf
    return argmax(logits), torch.softmax(logits, dim=2).amax(2).log()


def given(tokens: Tensor, known: Tensor | None) -> Tensor:
    """Tokens [B, T], but those ``known`` [B, T] where that is no padding."""
    return tokens if known is None else known.where(known.ne(Config.pad), tokens)


def finished(
    model: NonAutoregressiveTransformer, tokens: Tensor, lengths: Tensor, deduplicate: bool = False
) -> list[Tensor]:
    """Each target of tokens [B, T] and lengths [B]: without ε, if the model may predict it, then without repeats."""
    targets = [row[:length] for row, length in zip(tokens, lengths.tolist(), strict=True)]
    if model.blank:
        targets = [target[target.ne(model.config.bos)] for target in targets]
    return [remove_repeats(target) for target in targets] if deduplicate else targets


@dataclass
class Argmax:
    """The likeliest token at each position, of the likeliest length, times ``length_factor``, the dataset's unless
    said.

    ``length_candidates`` > 1 decodes that many lengths at once. Length-parallel decoding (LPD, Wei et al. 2019) keeps
    the target with the highest mean log-probability of its tokens, ε counted; with a ``reranker``, an autoregressive
    system, noisy parallel decoding (NPD, Gu et al. 2018) the one that it finds likeliest, per token, once ε and, with
    ``deduplicate``, repeats are removed. With ``reference_length`` the length is the reference's, for experiments in
    which the length prediction is to have no part (OaXE, appendix A.2).

    On a canvas of codes, ``shown`` is the share of positions that keep theirs, the fill's own unless said, and
    ``reorder`` has a second pass see them in the order that the first one's tokens ask for
    (`NonAutoregressiveTransformer.reordering`), which in inference, where Y is unknown, is what equation 14 of AEQA-NAT
    (Qu et al. 2025) can do.
    """

    needs: ClassVar[tuple[str, ...]] = ("target length",)
    option_needs: ClassVar[dict[str, tuple[str, ...]]] = {"shown": ("codes",), "reorder": ("codes",)}
    of_dataset: ClassVar[tuple[str, ...]] = ("length_factor",)
    models: ClassVar[tuple[str, ...]] = ("reranker",)
    reads: ClassVar[bool] = True
    captured: ClassVar[bool] = True

    length_candidates: Annotated[int, ">= 1"] = 1
    length_factor: Annotated[float, "> 0"] = 1.0
    deduplicate: bool = False
    reranker: str | None = None
    reference_length: bool = False
    shown: Annotated[float, ">= 0", "<= 1"] | None = None
    reorder: Literal["argmax", "permutation"] | None = None

    @torch.inference_mode()
    def __call__(
        self,
        model: NonAutoregressiveTransformer,
        source_tokens: Tensor,
        reranker: Transformer | None = None,
        reference_lengths: Tensor | None = None,
    ) -> list[Tensor]:
        if self.reference_length:
            states = self._states(model, model.encoder(source_tokens), reference_lengths)
            return self.read(model, states, reference_lengths)
        lengths, tokens, score = self.compute(model, source_tokens)
        if reranker is None or self.length_candidates == 1:
            return self.targets(model, lengths, tokens, score)
        targets = finished(model, tokens, lengths.flatten(), self.deduplicate)
        return self._best(targets, mean_log_probability(reranker, source_tokens, targets).view_as(score))

    @torch.inference_mode()
    def compute(self, model: NonAutoregressiveTransformer, source_tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of each source the likeliest lengths [B, K], the tokens [B K, T] of each, and their mean log-probability
        [B, K], in nats."""
        source = model.encoder(source_tokens)
        lengths = likely_lengths(model, source, self.length_candidates, self.length_factor)  # [B, K]
        flat = lengths.flatten()
        states = self._states(model, source.repeated(self.length_candidates), flat)  # [B K, T, d]
        tokens, log_probability = likeliest(model, states)  # [B K, T]
        inside = torch.arange(tokens.shape[1], device=flat.device) < flat[:, None]
        return lengths, tokens, ((log_probability * inside).sum(1) / flat).view_as(lengths)

    def targets(
        self, model: NonAutoregressiveTransformer, lengths: Tensor, tokens: Tensor, score: Tensor
    ) -> list[Tensor]:
        """The best target of each source by what `compute` returned."""
        return self._best(finished(model, tokens, lengths.flatten(), self.deduplicate), score)

    def _best(self, targets: list[Tensor], score: Tensor) -> list[Tensor]:
        """Of B K targets those of the greatest score [B, K]."""
        if self.length_candidates == 1:
            return targets
        best = score.argmax(1).tolist()
        return [targets[row * self.length_candidates + which] for row, which in enumerate(best)]

    def _states(self, model: NonAutoregressiveTransformer, source: Source, lengths: Tensor) -> Tensor:
        """Decoder states [P, T, d] of canvases of ``lengths`` [P]."""
        kept = None if self.shown is None else model.fill.drawn(source, lengths, self.shown)
        states = model.decode(source, lengths, kept=kept)
        if self.reorder is None:
            return states
        tokens, _ = likeliest(model, states)
        said = tokens.where(model.fill.inside(lengths), model.config.pad)  # [P, T]
        return model.decode(source, lengths, kept=kept, order=model.reordering(source, said, lengths, self.reorder))

    def read(
        self, model: NonAutoregressiveTransformer, states: Tensor, lengths: Tensor, known: Tensor | None = None
    ) -> list[Tensor]:
        """The targets of decoder states [B, T, d] of ``lengths`` [B]; ``known`` [B, T]: tokens that stand where they
        are no padding, whatever the states say."""
        return finished(model, given(likeliest(model, states)[0], known), lengths, self.deduplicate)
