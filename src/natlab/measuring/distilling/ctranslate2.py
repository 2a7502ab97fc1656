"""CTranslate2, on the CPU."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from natlab.bundles.engines import ctranslate2
from natlab.bundles.manifest import Manifest
from natlab.decoding import batches
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
    return found
