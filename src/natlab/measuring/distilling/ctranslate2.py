"""CTranslate2, on the CPU; natlab's own beam search where it is known to differ."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from natlab.bundles.engines import ctranslate2
from natlab.bundles.manifest import Manifest
from natlab.decoding import batches, decode_corpus
from natlab.export.ctranslate import convert


def targets(
    model: Any, sources: Sequence[Tensor], decoding: Mapping[str, Any], batch_tokens: int, folder: Path
) -> list[list[int]]:
    convert(model, folder / "model", "float32")
    manifest = Manifest.plain("ctranslate2", "float32", dict(decoding), blank=False)
    translate = ctranslate2.start(manifest, folder, torch.get_num_threads())
    found: list[list[int]] = [[]] * len(sources)
    for batch in batches([len(source) for source in sources], batch_tokens):
        for row, said in zip(batch, translate([sources[i].tolist() for i in batch]), strict=True):
            found[row] = said.tokens
    # it does not let a target end at its limit, which is the batch's, and cuts a source that is too long
    limits = [len(source) + ctranslate2.ROOM for source in sources]
    other = [i for i, limit in enumerate(limits) if len(found[i]) >= limit or limit > ctranslate2.LONGEST]
    for i, target in zip(other, decode_corpus(model, [sources[i] for i in other], decoding, batch_tokens), strict=True):
        found[i] = target.tolist()
    return found
