"""dag_links and its gradient against the plain torch reference and its gradient."""

from collections.abc import Callable, Iterator

import torch

from benchmarks.kernel_ops import Case
from natlab.kernels import dag_links
from natlab.kernels.dag_links import dag_links_reference

# B, L, H, D, band and dtype
SIZES = {
    "cpu": [(16, 256, 8, 64, None, torch.float32), (16, 256, 8, 64, 32, torch.float32)],
    "cuda": [
        (88, 384, 8, 64, None, torch.float32),
        (88, 384, 8, 64, 32, torch.float32),
        (88, 384, 8, 64, None, torch.bfloat16),
    ],
}


def cases(device: str) -> Iterator[Case]:
    for batch, length, heads, dimension, band, dtype in SIZES[device]:
        query, key = torch.randn(2, batch, length, heads, dimension, device=device, dtype=dtype)
        gates = torch.randn(batch, length, heads, device=device).log_softmax(2)
        lengths = torch.full((batch,), length, device=device)
        grad = torch.randn(batch, length, band or length, device=device)

        def with_gradient(op: Callable, inputs=(query, key, gates), lengths=lengths, band=band, grad=grad) -> Callable:
            inputs = [tensor.detach().requires_grad_() for tensor in inputs]
            return lambda: torch.autograd.grad(op(*inputs, lengths, band), inputs, grad)

        yield Case(
            "dag_links",
            f"B {batch}, L {length}, H {heads}, D {dimension}, band {band}, {dtype}, with gradient",
            with_gradient(dag_links),
            {"reference": with_gradient(dag_links_reference)},
            # queries, keys and gates are read twice, their gradients written; links written, their gradients read
            3 * (query.nbytes + key.nbytes + gates.nbytes) + 2 * grad.nbytes,
        )
