"""output_match and its gradients against logits, then gather_log_softmax, and against its own matrix products alone."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.kernel_ops import Case
from natlab.kernels import gather_log_softmax, output_match

SIZES = {
    "cpu": [(8, 32, 256, 8000, 512, torch.float32)],
    "cuda": [
        (8, 32, 256, 8000, 512, torch.float32),
        (88, 48, 384, 8000, 512, torch.float32),
        (88, 48, 384, 8000, 512, torch.bfloat16),
    ],
}


def then_gathered(hidden: Tensor, weight: Tensor, *rest: Tensor) -> Tensor:
    return gather_log_softmax(hidden @ weight.to(hidden.dtype).t(), *rest)


def products(hidden: Tensor, weight: Tensor) -> Callable:
    """Logits, once forward and once backward, and both gradients; the logits' own size at once."""
    rows, projection = hidden.detach().flatten(0, 1), weight.detach().to(hidden.dtype)
    logits = rows @ projection.t()

    def call() -> None:
        for _ in range(2):
            torch.mm(rows, projection.t(), out=logits)
        logits @ projection
        logits.t() @ rows

    return call


def cases(device: str) -> Iterator[Case]:
    for batch, targets, length, vocabulary, width, dtype in SIZES[device]:
        hidden = torch.randn(batch, length, width, device=device, dtype=dtype, requires_grad=True)
        weight = (torch.randn(vocabulary, width, device=device) * width**-0.5).requires_grad_()
        tokens = torch.randint(vocabulary, (batch, targets), device=device)
        lengths = [torch.full((batch,), size, device=device) for size in (length, targets)]
        grad = torch.randn(batch, targets, length, device=device)

        def with_gradient(op: Callable, inputs=(hidden, weight, tokens, *lengths), grad=grad) -> Callable:
            return lambda: torch.autograd.grad(op(*inputs), inputs[:2], grad)

        yield Case(
            "output_match",
            f"B {batch}, T {targets}, L {length}, V {vocabulary}, d {width}, {dtype}, with gradient",
            with_gradient(output_match),
            {"logits, gathered": with_gradient(then_gathered), "its products": products(hidden, weight)},
        )
