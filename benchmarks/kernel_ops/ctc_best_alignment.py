"""ctc_best_alignment against the plain torch reference."""

from collections.abc import Iterator

import torch

from benchmarks.kernel_ops import Case
from natlab.kernels import ctc_best_alignment
from natlab.kernels.ctc_best_alignment import ctc_best_alignment_reference

# B, T and L
SIZES = {"cpu": [(16, 32, 128)], "cuda": [(88, 48, 384)]}


def cases(device: str) -> Iterator[Case]:
    for batch, targets, length in SIZES[device]:
        match = torch.randn(batch, targets, length, device=device) - 5
        blank = torch.randn(batch, length, device=device) - 2
        tokens = torch.randint(100, (batch, targets), device=device)
        lengths = [torch.full((batch,), size, device=device) for size in (length, targets)]
        arguments = match, blank, tokens, *lengths
        yield Case(
            "ctc_best_alignment",
            f"B {batch}, T {targets}, L {length}",
            lambda arguments=arguments: ctc_best_alignment(*arguments),
            {"reference": lambda arguments=arguments: ctc_best_alignment_reference(*arguments)},
            match.nbytes,
        )
