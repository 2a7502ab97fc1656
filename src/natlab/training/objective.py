"""What a batch costs, in nats: the losses both training and measurement use."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from natlab.models.transformer import Seq2Seq, Source, Transformer
from natlab.proxy import registry
from natlab.proxy.interface import Prediction, ProxyInput, ProxyTarget, References

if TYPE_CHECKING:
    from natlab.models.nat import NonAutoregressiveTransformer

LENGTH_WEIGHT = 0.1  # of the length prediction's loss in the training loss, as in fairseq's and GLAT's NATs


@dataclass
class Loss:
    """What a batch of B sentences costs, in nats.

    loss: what training minimises, a sum over the batch, with label smoothing (differentiable).
    nll: [B], negative log-likelihood of each target, for an autoregressive model that of eos too.
    length_nll: [B], of its length (0 for an autoregressive model: its eos says the length).
    masked_nll: of which positions the proxy input masks, a sum (0 without a head that predicts it).
    tokens: [B], target tokens, eos not counted.
    predicted: [B], those whose prediction ``loss`` and ``nll`` count; by their sum a gradient is to be divided.
    proxied: the proxy variables of a NAT.
    """

    loss: Tensor
    nll: Tensor
    length_nll: Tensor
    masked_nll: Tensor
    tokens: Tensor
    predicted: Tensor
    proxied: "Proxied | None" = None


@dataclass
class Proxies:
    """A system's proxy target and proxy input."""

    target: ProxyTarget
    input: ProxyInput

    @classmethod
    def of(cls, spec: dict) -> "Proxies | None":
        """Those a training spec names; None for an autoregressive model."""
        if spec["architecture"] == "transformer":
            return None
        made = {}
        for kind in ("target", "input"):
            options = {key: value for key, value in spec[kind].items() if key not in ("name", "teacher", "candidates")}
            made[kind] = registry.load(kind + "s", spec[kind]["name"], **options)
        return cls(**made)


@dataclass
class Proxied:
    """The proxy variables of a batch, and what they were chosen by.

    target: T [B, T], padded on the right to its longest; lengths: [B]; revealed: bool [B, T], which tokens of T are the
    proxy input Z, or None; prediction: the model's under Z*; encoded, memories: the encoded source.
    """

    target: Tensor
    lengths: Tensor
    revealed: Tensor | None
    prediction: Prediction
    encoded: Source
    memories: list[Tensor]


def proxied(
    model: "NonAutoregressiveTransformer", source: Tensor, references: References, proxies: Proxies, progress: float
) -> Proxied:
    """Choose T and Z for source [B, S] and references [B, T], as `references_of` returns them."""
    encoded = model.encoder(source)
    memories = encoded.memories(model.layers)
    prediction = Prediction(model, encoded, memories, progress)
    with torch.inference_mode():  # cheaper than no_grad; copies may enter the loss's graph
        target = proxies.target(references, prediction)
        lengths = target.ne(model.config.pad).sum(1)
        target = target[:, : int(lengths.max())]
        revealed = proxies.input(target, prediction)
    target, lengths = target.clone(), lengths.clone()
    revealed = None if revealed is None else revealed.clone()
    return Proxied(target, lengths, revealed, prediction, encoded, memories)


def references_of(model: "NonAutoregressiveTransformer", target: Tensor, candidates: dict[str, Tensor]) -> References:
    """References from a target [B, T + 1] that ends in eos, and for dynamic KD what `natlab.training.candidates`
    read."""
    config = model.config
    tokens = target.masked_fill(target.eq(config.eos), config.pad)[:, :-1]
    return References(tokens[:, : int(tokens.ne(config.pad).sum(1).max())], **candidates)


def autoregressive_loss(model: Transformer, source: Tensor, target: Tensor, smoothing: float = 0.0) -> Loss:
    """Teacher-forced cross-entropy. source [B, S], target [B, T]: both end in eos and are padded on the right."""
    previous = torch.cat([target.new_full((len(target), 1), model.config.eos), target[:, :-1]], dim=1)
    predicted = target.ne(model.config.pad)
    loss, nll = _of_targets(model, model(source, previous), target, predicted, smoothing)
    counts = predicted.sum(1)
    return Loss(loss, nll, torch.zeros_like(nll), nll.new_zeros(()), counts - 1, counts)


def _of_targets(
    model: Seq2Seq, states: Tensor, target: Tensor, predicted: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """The loss, a sum, and the negative log-likelihood of each target [B] of target [B, T] under states [B, T, d],
    where ``predicted`` [B, T]."""
    loss, nll = model.token_loss(states[predicted], target[predicted], smoothing)
    return loss, nll.new_zeros(len(target)).index_add_(0, predicted.nonzero()[:, 0], nll)


def non_autoregressive_loss(
    model: "NonAutoregressiveTransformer",
    source: Tensor,
    references: References,
    proxies: Proxies,
    progress: float,
    smoothing: float = 0.0,
) -> Loss:
    """L_NAT of MPLE (equations 9 and 19, appendix E.6): cross-entropy of the proxy target T given the proxy input Z.

    Revealed tokens are copied, so they cost nothing and train nothing. The loss of the length prediction is added, each
    sentence's times its number of tokens, so that batches of any composition weigh each token alike; and that of the
    head that predicts which tokens are masked, which learns from the states under Z* and lets no gradient through.
    """
    made = proxied(model, source, references, proxies, progress)
    target, lengths, encoded = made.target, made.lengths, made.encoded
    length_nll = F.cross_entropy(model.length_logits(encoded), model.length_class(encoded, lengths), reduction="none")
    states = model.decode(encoded, lengths, made.revealed, target, made.memories)
    predicted = target.ne(model.config.pad)
    if made.revealed is not None:
        predicted = predicted & ~made.revealed
    loss, nll = _of_targets(model, states, target, predicted, smoothing)
    counts = predicted.sum(1)
    share = counts.sum() / lengths.sum()
    loss = loss + LENGTH_WEIGHT * share * (length_nll * lengths).sum()
    masked_nll = nll.new_zeros(())
    if model.predictor and made.revealed is not None:
        # after the decoding, so that the random numbers of its dropout are those of a model without the head
        under_mask = made.prediction.of(target)
        logits, hidden = model.masked_logits(under_mask.states), (~made.revealed).float()
        inside = under_mask.inside
        masked_nll = F.binary_cross_entropy_with_logits(logits[inside], hidden[inside], reduction="sum")
        loss = loss + share * masked_nll
    return Loss(loss, nll, length_nll.detach(), masked_nll.detach(), lengths, counts, made)


def batch_loss(
    model: Seq2Seq,
    source: Tensor,
    target: Tensor,
    proxies: Proxies | None,
    progress: float,
    smoothing: float = 0.0,
    candidates: dict[str, Tensor] | None = None,
) -> Loss:
    """The loss of a batch for either architecture. ``proxies`` are a NAT's; ``candidates``, the fields of `References`
    beside the tokens, are dynamic KD's."""
    if proxies is None:
        return autoregressive_loss(model, source, target, smoothing)
    references = references_of(model, target, candidates or {})
    return non_autoregressive_loss(model, source, references, proxies, progress, smoothing)
