"""What a batch costs, in nats: the losses both training and measurement use."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.transformer import Seq2Seq, Transformer
from natlab.proxy import registry
from natlab.proxy.interface import Prediction, ProxyInput, ProxyTarget

LENGTH_WEIGHT = 0.1  # of the length prediction's loss in the training loss, as in fairseq's and GLAT's NATs


@dataclass
class Loss:
    """Sums over a batch, in nats.

    loss: what training minimises, with label smoothing (differentiable); nll: negative log-likelihood of the targets,
    for an autoregressive model that of eos too; length_nll: of the lengths (0 for an autoregressive model: its eos says
    the length); tokens: target tokens, eos not counted; predicted: terms in ``loss``, by which a gradient is to be
    divided.
    """

    loss: Tensor
    nll: Tensor
    length_nll: Tensor
    tokens: int
    predicted: int


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
            options = {key: value for key, value in spec[kind].items() if key not in ("name", "teacher")}
            made[kind] = registry.load(kind + "s", spec[kind]["name"], **options)
        return cls(**made)


def autoregressive_loss(model: Transformer, source: Tensor, target: Tensor, smoothing: float = 0.0) -> Loss:
    """Teacher-forced cross-entropy. source [B, S], target [B, T]: both end in eos and are padded on the right."""
    previous = torch.cat([target.new_full((len(target), 1), model.config.eos), target[:, :-1]], dim=1)
    counted = target.ne(model.config.pad)
    loss, nll = model.token_loss(model(source, previous)[counted], target[counted], smoothing)
    predicted = len(nll)
    return Loss(loss, nll.sum(), nll.new_zeros(()), predicted - len(target), predicted)


def non_autoregressive_loss(
    model: NonAutoregressiveTransformer,
    source: Tensor,
    target: Tensor,
    proxies: Proxies,
    progress: float,
    smoothing: float = 0.0,
) -> Loss:
    """L_NAT of MPLE (equations 9 and 19, appendix E.6): cross-entropy of the proxy target T given the proxy input Z.

    Revealed tokens are copied, so they cost nothing and train nothing. The loss of the length prediction is added, each
    sentence's times its number of tokens, so that batches of any composition weigh each token alike.
    """
    config = model.config
    reference = target.masked_fill(target.eq(config.eos), config.pad)[:, :-1]
    lengths = reference.ne(config.pad).sum(1)
    reference = reference[:, : int(lengths.max())]
    encoded = model.encoder(source)
    memories = encoded.memories(model.layers)
    length_nll = F.cross_entropy(model.length_logits(encoded), model.length_class(encoded, lengths), reduction="none")

    prediction = Prediction(model, encoded, memories, lengths, progress)
    proxy_target = proxies.target(reference, prediction)
    revealed = proxies.input(proxy_target, prediction)
    states = model.decode(encoded, lengths, revealed, proxy_target, memories)
    predicted = proxy_target.ne(config.pad)
    if revealed is not None:
        predicted &= ~revealed
    loss, nll = model.token_loss(states[predicted], proxy_target[predicted], smoothing)
    tokens = lengths.sum()
    share = len(nll) / tokens
    loss = loss + LENGTH_WEIGHT * share * (length_nll * lengths).sum()
    return Loss(loss, nll.sum(), length_nll.detach().sum(), int(tokens), len(nll))


def batch_loss(
    model: Seq2Seq, source: Tensor, target: Tensor, proxies: Proxies | None, progress: float, smoothing: float = 0.0
) -> Loss:
    """The loss of a batch for either architecture; ``proxies`` are a NAT's."""
    if proxies is None:
        return autoregressive_loss(model, source, target, smoothing)
    return non_autoregressive_loss(model, source, target, proxies, progress, smoothing)
