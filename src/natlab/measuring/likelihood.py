"""How likely a model finds targets: Normalised Corpus-level Multimodality (Sun et al. 2022)."""

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor

from natlab.losses.batch import Method
from natlab.measuring.losses import losses
from natlab.models.transformer import Seq2Seq


def nats_per_token(model: Seq2Seq, sources: Sequence[Tensor], targets: Sequence[Tensor], method: Method | None) -> dict:
    """-log P(Y|X) of all targets over their tokens, the length's part in it, in nats a token; ``by_sentence``: each
    one's [nats, tokens].

    sources: each [S], ending in eos; targets: each [T], with or without eos, without ε. Those without tokens are left
    out. method: plain, so that nothing of a target is revealed to a NAT.

    NCM is that of references (CoDAT, section 4.2); of a model's own outputs it is the reading that falls when fewer
    modes are mixed: what is printed, 0.86, is below the loss of references, 2.1.
    """
    eos = torch.tensor([model.config.eos])
    bare = [target[target.ne(model.config.eos)] for target in targets]
    kept = [number for number, target in enumerate(bare) if len(target)]
    pairs = [sources[number] for number in kept], [torch.cat([bare[number], eos]) for number in kept]
    found = losses(model, *pairs, method)
    parts = [found[name]["by_sentence"] for name in ("loss", "length") if name in found]
    each = [[log(2) * sum(bits for bits, _ in of), of[0][1]] for of in zip(*parts, strict=True)]
    total = sum(nats for nats, _ in each) / max(1, sum(tokens for _, tokens in each))
    return {"value": total, "unit": "nats/token", "by_sentence": each}
