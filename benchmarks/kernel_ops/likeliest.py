"""likeliest against torch's argmax and softmax."""

from collections.abc import Iterator

import torch

from benchmarks.kernel_ops import Case
from natlab.kernels import likeliest
from natlab.kernels.likeliest import likeliest_reference

SIZES = [(3000, 304), (350, 6000)]  # rows and vocabulary: what `natlab.models.cross_entropy.likeliest` asks at once


def cases(device: str) -> Iterator[Case]:
    for rows, vocabulary in SIZES:
        logits = torch.randn(rows, vocabulary, device=device).bfloat16()
        yield Case(
            "likeliest",
            f"{rows} rows, V {vocabulary}, bfloat16",
            lambda logits=logits: likeliest(logits),
            {"argmax, softmax": lambda logits=logits: likeliest_reference(logits)},
        )
