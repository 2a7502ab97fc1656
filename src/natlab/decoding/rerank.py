"""What an autoregressive model thinks of targets that another model made: noisy parallel decoding (Gu et al. 2018)."""

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from natlab.models.transformer import Transformer


@torch.inference_mode()
def mean_log_probability(model: Transformer, source_tokens: Tensor, targets: list[Tensor]) -> Tensor:
    """Log-probability of each target and its eos by teacher forcing, in nats, over its tokens, eos counted: [B K].

    source_tokens: [B, S], each ending in eos, padded on the right; targets: B K tensors [T] without eos, the K of a
    source one after another. All are scored in one batch, with each source encoded once. Dividing by the length is what
    beam search does with a length penalty of 1; Gu et al. say no more than that the teacher scores.
    """
    config = model.config
    eos = source_tokens.new_full((1,), config.eos)
    previous = pad_sequence(
        [torch.cat([eos, target]) for target in targets], batch_first=True, padding_value=config.pad
    )
    wanted = pad_sequence([torch.cat([target, eos]) for target in targets], batch_first=True, padding_value=config.pad)
    source = model.encoder(source_tokens).repeated(len(targets) // len(source_tokens))
    counted = wanted.ne(config.pad)
    _, nll = model.token_loss(model.decode(source, previous)[counted], wanted[counted], 0.0)
    scores = nll.new_zeros(wanted.shape).masked_scatter_(counted, -nll)
    return scores.sum(1) / counted.sum(1)
