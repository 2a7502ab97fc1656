"""A batch's life: from source and references to what it costs, in nats, in training and in measurement.

encode X -> canvas, P(. | Z*, X) as asked for -> T = target(references, P) -> A = objective.align(T, P) -> Z = input(A,
P)
         -> decode -> objective(T, Z) + terms
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from natlab import families
from natlab.losses.interface import Aligned, Cost, Decoded, Encoded, Objective, Term, Value
from natlab.models import architectures
from natlab.models.transformer import Source, Transformer, TwoSided
from natlab.proxy.interface import Prediction, ProxyInput, ProxyTarget, References, ShownCodes

if TYPE_CHECKING:
    from natlab.models.multilingual import MultilingualEncoder
    from natlab.models.nat import NonAutoregressiveTransformer

NLL = "nll"  # the name of the objective's own value


@dataclass
class Loss:
    """What a batch of B sentences costs.

    loss: what training minimises, a sum over the batch in nats, with label smoothing (differentiable).
    values: by name, of each sentence; `NLL` is the negative log-likelihood of each target, for an autoregressive model
    that of eos too; `length` that of its length (0 for an autoregressive model: its eos says the length).
    tokens: [B], target tokens, eos not counted.
    predicted: [B], those whose prediction ``loss`` and `NLL` count; by their sum a gradient is to be divided.
    proxied: the proxy variables of a NAT.
    """

    loss: Tensor
    values: dict[str, Value]
    tokens: Tensor
    predicted: Tensor
    proxied: "Proxied | None" = None


@dataclass
class Timed:
    """A term, and from and until which share of the training's progress it counts (None: to its end)."""

    term: Term
    after: float = 0.0
    until: float | None = None

    def counts(self, progress: float) -> bool:
        return self.after <= progress and (self.until is None or progress < self.until)


@dataclass
class Method:
    """How a NAT learns: its proxy target and input, its objective, and the terms added to that; a multilingual encoder
    likewise, but without an input."""

    target: ProxyTarget
    input: ProxyInput | None
    objective: Objective
    terms: list[Timed] = field(default_factory=list)

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> "Method | None":
        """What a training spec says; None for an autoregressive model."""
        if architectures.of(spec["architecture"]).objective is None:
            return None
        target = {key: value for key, value in spec["target"].items() if key not in ("teacher", "candidates")}
        parts = {"target": target, "input": spec.get("input"), "objective": spec["objective"]}
        terms = []
        for given in spec["terms"]:
            options = dict(given)
            when = {key: options.pop(key) for key in ("after", "until") if key in options}
            terms.append(Timed(families.load("term", **options), **when))
        loaded = {family: options and families.load(family, **options) for family, options in parts.items()}
        return cls(**loaded, terms=terms)


@dataclass
class Proxied:
    """The proxy variables of a batch, and what they were chosen by.

    target: T [B, T], padded on the right to its longest.
    lengths: [B], its tokens.
    canvas: [B], the canvases' positions; L the most.
    aligned: where T's tokens stand, or None if the input reveals none.
    revealed: bool [B, L], which of them are the proxy input Z, or None.
    codes: what an input of codes shows of them, or None.
    prediction: the model's under Z*.
    encoded, memories: the encoded source.
    """

    target: Tensor
    lengths: Tensor
    canvas: Tensor
    aligned: Aligned | None
    revealed: Tensor | None
    codes: ShownCodes | None
    prediction: Prediction
    encoded: Source
    memories: list[Tensor]


def proxied(
    model: "NonAutoregressiveTransformer", source: Tensor, references: References, method: Method, progress: float
) -> Proxied:
    """Choose T and Z for source [B, S] and references [B, T], as `references_of` returns them."""
    encoded = model.encoder(source)
    memories = encoded.memories(model.layers)
    prediction = Prediction(model, encoded, memories, progress, method.objective)
    with torch.inference_mode():  # cheaper than no_grad; copies may enter the loss's graph
        target = method.target(references, prediction)
        lengths = target.ne(model.config.pad).sum(1)
        target = target[:, : int(lengths.max())]
        aligned = revealed = codes = None
        if "revealed tokens" in method.input.offers:
            aligned = method.objective.align(target, prediction)
            revealed = method.input(aligned.tokens, prediction)
        elif "shown codes" in method.input.offers:
            codes = method.input(target, prediction)
    target, lengths = target.clone(), lengths.clone()
    if revealed is not None:
        aligned, revealed = Aligned(*(part.clone() for part in vars(aligned).values())), revealed.clone()
    if codes is not None:
        codes = ShownCodes(codes.kept.clone(), None if codes.order is None else codes.order.clone())
    canvas = model.canvas(encoded.lengths, lengths)
    return Proxied(target, lengths, canvas, aligned, revealed, codes, prediction, encoded, memories)


def references_of(model: "NonAutoregressiveTransformer", target: Tensor, candidates: dict[str, Tensor]) -> References:
    """References from a target [B, T + 1] that ends in eos, and for dynamic KD what `natlab.training.candidates`
    read."""
    config = model.config
    tokens = target.masked_fill(target.eq(config.eos), config.pad)[:, :-1]
    return References(tokens[:, : int(tokens.ne(config.pad).sum(1).max())], **candidates)


def autoregressive_loss(model: Transformer, source: Tensor, target: Tensor, smoothing: float = 0.0) -> Loss:
    """Teacher-forced cross-entropy. source [B, S], target [B, T]: both end in eos and are padded on the right."""
    previous = torch.cat([target.new_full((len(target), 1), model.config.eos), target[:, :-1]], dim=1)  # [B, T]
    predicted = target.ne(model.config.pad)
    loss, nll = model.sentence_loss(model(source, previous), target, predicted, smoothing)
    counts = predicted.sum(1)
    tokens = counts - 1
    values = {NLL: Value(nll, tokens), "length": Value(torch.zeros_like(nll), tokens)}
    return Loss(loss, values, tokens, counts)


def non_autoregressive_loss(
    model: "NonAutoregressiveTransformer",
    source: Tensor,
    references: References,
    method: Method,
    progress: float,
    smoothing: float = 0.0,
) -> Loss:
    """The objective of T given Z, and the terms that count at this ``progress``, times the share of T's tokens that are
    predicted. A model of deep supervision is trained by the mean of the objectives of all its layers (DSLP, Huang et
    al. 2022); values and terms are of the last one, which translates."""
    made = proxied(model, source, references, method, progress)
    shown = None if made.revealed is None else made.aligned.shown
    seen = None if shown is None else made.revealed & shown.ne(model.config.pad)
    codes = {} if made.codes is None else vars(made.codes)
    layers = model.decode_layers(made.encoded, made.canvas, seen, shown, made.memories, **codes)  # each [B, L, d]
    batch = Decoded(
        model,
        made.encoded,
        made.target,
        made.lengths,
        made.canvas,
        made.aligned,
        made.revealed,
        layers[-1],
        made.prediction,
    )
    cost = method.objective(batch, smoothing)
    counted = made.lengths if cost.possible is None else made.lengths * cost.possible
    if model.joins is not None:
        before = [method.objective(replace(batch, states=states), smoothing).loss for states in layers[1:-1]]
        cost = replace(cost, loss=torch.stack([cost.loss, *before]).mean())
    loss, values = _with_terms(cost, counted, batch, method, progress)
    if model.codebook is not None and model.training and torch.is_grad_enabled():
        model.codebook.learn()
    return Loss(loss, values, made.lengths, cost.predicted, made)


def denoising_loss(
    model: "MultilingualEncoder",
    source: Tensor,
    target: Tensor,
    method: Method,
    progress: float,
    smoothing: float = 0.0,
) -> Loss:
    """What an encoder of both sides restores of each, and the terms that count at this ``progress``, times the share of
    T's tokens that words to be restored are. The codes learn from the states of both sides (AEQA-NAT, Qu et al. 2025,
    appendix A.2)."""
    # no target that asks for a prediction: it needs a decoder
    chosen = method.target(references_of(model, target, {}), None)
    lengths = chosen.ne(model.config.pad).sum(1)
    batch = Encoded(model, model.encode_source(source), chosen, lengths, model.encode_target(chosen))
    cost = method.objective(batch, smoothing)
    loss, values = _with_terms(cost, cost.predicted, batch, method, progress)
    if model.codebook is not None and model.training and torch.is_grad_enabled():
        for side in (batch.source, batch.encoded_target):
            model.codebook(side.encoded, side.words)
        model.codebook.learn()
    return Loss(loss, values, lengths, cost.predicted)


def _with_terms(
    cost: Cost, counted: Tensor, batch: Decoded | Encoded, method: Method, progress: float
) -> tuple[Tensor, dict[str, Value]]:
    """The loss of an objective's cost and the terms that count at this ``progress``, and the values of all; ``counted``
    [B]: what the cost is of."""
    loss, values = cost.loss, {NLL: Value(cost.nll, counted), **cost.values}
    share = cost.predicted.sum() / batch.lengths.sum()
    for timed in method.terms:
        if timed.counts(progress):
            added = timed.term(batch)
            loss = loss + timed.term.weight * share * added.loss
            values |= added.values
    return loss, values


@torch.inference_mode()
def unaided(
    model: "NonAutoregressiveTransformer",
    source: Tensor,
    target: Tensor,
    method: Method,
    candidates: dict[str, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """What T costs where nothing is revealed, -log P(T | Z*, X) [B] in nats, and its tokens [B]; arguments as
    `batch_loss`'s."""
    encoded = model.encoder(source)
    prediction = Prediction(model, encoded, encoded.memories(model.layers), 1.0, method.objective)
    chosen = method.target(references_of(model, target, candidates or {}), prediction)
    return method.objective.nll(prediction.of(chosen), chosen), chosen.ne(model.config.pad).sum(1)


def batch_loss(
    model: TwoSided,
    source: Tensor,
    target: Tensor,
    method: Method | None,
    progress: float,
    smoothing: float = 0.0,
    candidates: dict[str, Tensor] | None = None,
) -> Loss:
    """The loss of a batch for any architecture. ``method``: None of an autoregressive one; ``candidates``, the fields
    of `References` beside the tokens, are dynamic KD's."""
    if method is None:
        return autoregressive_loss(model, source, target, smoothing)
    if method.input is None:
        return denoising_loss(model, source, target, method, progress, smoothing)
    references = references_of(model, target, candidates or {})
    return non_autoregressive_loss(model, source, references, method, progress, smoothing)
