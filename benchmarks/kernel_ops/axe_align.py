"""axe_align and its gradient against the plain torch reference and its gradient."""

from collections.abc import Callable, Iterator

import torch

from benchmarks.kernel_ops import Case
from natlab.kernels import axe_align
from natlab.kernels.axe_align import axe_align_reference

SIZES = {"cpu": [(64, 32, 32)], "cuda": [(64, 32, 32), (88, 48, 384)]}


def cases(device: str) -> Iterator[Case]:
    for batch, targets, positions in SIZES[device]:
        logp = torch.randn(batch, targets, positions, device=device).log_softmax(1).requires_grad_()
        blank = torch.randn(batch, positions, device=device).log_softmax(1).requires_grad_()
        lengths = [torch.full((batch,), size, device=device) for size in (targets, positions)]

        def with_gradient(op: Callable, inputs=(logp, blank), lengths=lengths) -> Callable:
            return lambda: torch.autograd.grad(op(*inputs, *lengths, delta=1.0).cost.sum(), inputs)

        yield Case(
            "axe_align",
            f"B {batch}, T {targets}, L {positions}, with gradient",
            with_gradient(axe_align),
            {"reference": with_gradient(axe_align_reference)},
            2 * (logp.nbytes + blank.nbytes),
        )
