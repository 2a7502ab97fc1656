"""The probability a NAT gives each token that it says, at the token's own position and around it."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from natlab.decoding import batches, pad_right
from natlab.decoding.kinds import argmax
from natlab.metrics.positions import REACH, around
from natlab.metrics.positions import token_probability as means
from natlab.models.nat import NonAutoregressiveTransformer


@torch.inference_mode()
def token_probability(
    model: NonAutoregressiveTransformer,
    sources: Sequence[Tensor],
    targets: Sequence[Tensor],
    decoding: Mapping,
    max_tokens: int = 6000,
) -> dict[str, dict]:
    """`natlab.metrics.positions.token_probability` of what is decoded from ``sources``, at their likeliest length times
    the ``decoding``'s factor. Which sentences are short or long, ``targets`` say, so that it is the same of all models.
    Both are [L], ending in eos.

    ε is not said: its own probabilities are left out, but its positions are among those around a token (ours; the paper
    does not say).
    """
    bands = torch.zeros(len(sources), 2 * REACH + 1, 2, dtype=torch.double)
    for batch in batches([len(source) for source in sources], max_tokens):
        source = model.encoder(pad_right([sources[i].long() for i in batch], model.config.pad).to(model.device))
        factor = decoding["length_factor"]
        lengths = argmax.likely_lengths(model, source, 1, factor)[:, 0]
        states = model.decode(source, lengths)  # [B, T, d]
        tokens, _ = argmax.likeliest(model, states)  # [B, T]
        inside = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
        said = inside & tokens.ne(model.config.bos) if model.blank else inside
        log_probs = model.logits(states).float().log_softmax(2)  # [B, T, V]
        # of the token of each row at the position of each column
        of_tokens = log_probs.gather(2, tokens[:, None].expand(-1, tokens.shape[1], -1)).transpose(1, 2)
        bands[batch] = around(of_tokens, said, inside).cpu()
    return means(bands, torch.tensor([len(target) - 1 for target in targets]))
