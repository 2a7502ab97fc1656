"""natlab's own beam search."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from natlab.decoding import decode_corpus


def targets(
    model: Any, sources: Sequence[Tensor], decoding: Mapping[str, Any], batch_tokens: int, folder: Path
) -> list[list[int]]:
    return [target.tolist() for target in decode_corpus(model, sources, decoding, batch_tokens)]
