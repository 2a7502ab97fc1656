"""Sentences found by their translations: whether an encoder of both languages says alike what means alike."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from natlab.decoding import batches, pad_right

if TYPE_CHECKING:
    from natlab.models.multilingual import MultilingualEncoder

ALIKE = 1e-6  # cosines that differ by less are equal: means of the same codes are, but for rounding


@torch.inference_mode()
def retrieval(
    model: "MultilingualEncoder", sources: Sequence[Tensor], targets: Sequence[Tensor], max_tokens: int = 6000
) -> dict[str, Tensor]:
    """Of N pairs of a source and a target, each [L] ending in eos, whether the target nearest to the source, by the
    cosine of the means, is its own alone: bool [N]. ``retrieval``: by the mean of the words' states; with a codebook
    also ``code_retrieval``, by that of their codes."""
    pad, eos = model.config.pad, model.config.eos
    found: dict[str, list[tuple[Tensor, Tensor]]] = {}
    order: list[int] = []
    for batch in batches([max(len(s), len(t)) for s, t in zip(sources, targets, strict=True)], max_tokens):
        order += batch
        source, target = (
            pad_right([side[i].long() for i in batch], pad).to(model.device) for side in (sources, targets)
        )
        sides = model.encode_source(source), model.encode_target(target.masked_fill(target.eq(eos), pad)[:, :-1])
        found.setdefault("retrieval", []).append(tuple(side.mean for side in sides))
        if model.codebook is not None:
            found.setdefault("code_retrieval", []).append(
                tuple(model.codebook.mean(side.encoded, side.words) for side in sides)
            )
    back = torch.tensor(order).argsort()
    return {name: own_is_nearest(*map(torch.cat, zip(*pairs, strict=True)))[back] for name, pairs in found.items()}


def own_is_nearest(sources: Tensor, targets: Tensor) -> Tensor:
    """Bool [N], on the CPU: the vectors [N, d] whose cosine with their own of others [N, d] is larger than with any
    other."""
    similarity = F.normalize(sources.double(), dim=1) @ F.normalize(targets.double(), dim=1).T
    own = similarity.diagonal().clone()
    return (own > similarity.fill_diagonal_(-torch.inf).amax(1) + ALIKE).cpu()
