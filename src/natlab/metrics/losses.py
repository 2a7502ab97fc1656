"""Losses of a model on a validation set, in bits per target token (base 2; eos is not counted as a token)."""

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor

from natlab.decoding import batches, pad_right
from natlab.models.transformer import Seq2Seq
from natlab.training.objective import Proxies, batch_loss


@torch.inference_mode()
def losses(
    model: Seq2Seq,
    sources: Sequence[Tensor],
    targets: Sequence[Tensor],
    proxies: Proxies | None,
    max_tokens: int = 6000,
) -> dict[str, dict]:
    """Negative log-likelihood of targets given sources, both [L] ending in eos, without label smoothing or dropout.

    ``loss``: of the tokens; an autoregressive model's includes the bits of eos, which say the length. ``length``: of a
    NAT's length prediction. A NAT's loss is given the true length, so its ``loss`` + ``length`` compares with an
    autoregressive ``loss``: the difference on raw data is the V-entropy estimate of the conditional total correlation
    C (MPLE, appendix B), which with the length as a variable is sum_i H(y_i | X, M) + H(M | X) - H(Y | X).
    With a proxy input, tokens it reveals cost nothing and are counted (MPLE, appendix E.6), at the end of its
    annealing.
    """
    nll = length_nll = 0.0
    tokens = 0
    for batch in batches([max(len(s), len(t)) for s, t in zip(sources, targets, strict=True)], max_tokens):
        source = pad_right([sources[i].long() for i in batch], model.config.pad).to(model.device)
        target = pad_right([targets[i].long() for i in batch], model.config.pad).to(model.device)
        part = batch_loss(model, source, target, proxies, progress=1.0)
        nll += float(part.nll)
        length_nll += float(part.length_nll)
        tokens += part.tokens
    common = {"unit": "bits/token", "tokens": tokens, "sentences": len(sources)}
    return {
        "loss": {"value": nll / tokens / log(2), **common},
        "length": {"value": length_nll / tokens / log(2), **common},
    }
