"""Translations by CTranslate2's beam search, checked against natlab's own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from natlab import families
from natlab.bundles.manifest import engines_for
from natlab.decoding import decode_corpus
from natlab.measuring.distilling import ctranslate2

BATCH_TOKENS = 6000  # source tokens in a batch, padding counted
COMPARED = 100  # first sentences of a split that natlab searches, too
SAME = 0.99  # the share of these that must be the same; else natlab's are taken, of all sentences


def can(decoding: Mapping[str, Any]) -> bool:
    """Whether CTranslate2 can do a decoding."""
    return "ctranslate2" in engines_for(decoding)


def translated(
    model: Any, sources: Sequence[Tensor], decoding: Mapping[str, Any]
) -> tuple[list[Tensor], dict[str, Any]]:
    """The targets of all ``sources`` (each [S], ending in eos), in their order, without eos; and what they are by:
    ``name`` of the engine, ``same``: how many of the first ``compared`` are the same by both."""
    every = [sources[i] for i in range(len(sources))]
    decoding = families.defaults("decoding", decoding["kind"]) | dict(decoding)
    with TemporaryDirectory() as folder:
        found = ctranslate2.targets(model, every, decoding, BATCH_TOKENS, Path(folder))
    own = decode_corpus(model, every[:COMPARED], decoding, BATCH_TOKENS)
    same = sum(target.tolist() == other for target, other in zip(own, found[:COMPARED], strict=True))
    by = {"name": "ctranslate2", "same": same, "compared": len(own)}
    if same >= SAME * len(own):
        return [torch.tensor(target, dtype=torch.long) for target in found], by
    rest = decode_corpus(model, every[COMPARED:], decoding, BATCH_TOKENS)
    return [*own, *rest], by | {"name": "natlab"}
