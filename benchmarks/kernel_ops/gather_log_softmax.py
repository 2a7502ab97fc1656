"""gather_log_softmax and its gradient against log_softmax, then gather, and theirs."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.kernel_ops import Case
from natlab.kernels import gather_log_softmax

SIZES = {
    "cpu": [(8, 32, 256, 8000, torch.float32)],
    "cuda": [(88, 48, 384, 8000, torch.float32), (88, 48, 384, 8000, torch.bfloat16)],
}


def eager(logits: Tensor, tokens: Tensor, *_) -> Tensor:
    index = tokens[:, None, :].expand(-1, logits.shape[1], -1)
    return logits.log_softmax(2, dtype=torch.float32).gather(2, index).transpose(1, 2)


def cases(device: str) -> Iterator[Case]:
    for batch, targets, length, vocabulary, dtype in SIZES[device]:
        logits = torch.randn(batch, length, vocabulary, device=device, dtype=dtype, requires_grad=True)
        tokens = torch.randint(vocabulary, (batch, targets), device=device)
        lengths = [torch.full((batch,), size, device=device) for size in (length, targets)]
        grad = torch.randn(batch, targets, length, device=device)

        def with_gradient(op: Callable, inputs=(logits, tokens, *lengths), grad=grad) -> Callable:
            return lambda: torch.autograd.grad(op(*inputs), inputs[0], grad)

        yield Case(
            "gather_log_softmax",
            f"B {batch}, T {targets}, L {length}, V {vocabulary}, {dtype}, with gradient",
            with_gradient(gather_log_softmax),
            {"log_softmax, gather": with_gradient(eager)},
            3 * logits.nbytes + 2 * grad.nbytes,
        )
