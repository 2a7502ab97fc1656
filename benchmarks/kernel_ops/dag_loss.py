"""dag_loss and its gradient against the plain torch reference and, on CUDA, DA-Transformer's kernels.

The reference sums over all transitions at each token, as DA-Transformer's torch version does. DA-Transformer's kernels
are measured where `custom_ops` can be imported: with its folder fs_plugins on PYTHONPATH.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.kernel_ops import Case
from natlab.kernels import dag_loss
from natlab.kernels.dag_loss import dag_loss_reference

# B, T, L and band
SIZES = {
    "cpu": [(16, 32, 256, None), (16, 32, 256, 32)],
    "cuda": [(88, 48, 384, None), (88, 48, 384, 383), (88, 48, 384, 32)],
}


def graphs(batch: int, targets: int, length: int, band: int | None, device: str) -> tuple:
    """Match [B, T, L], normalised transitions, graph and target lengths: all sentences of full length."""
    match = torch.randn(batch, targets, length, device=device) - 5
    at = torch.arange(length, device=device)
    to = at if band is None else at[:, None] + 1 + torch.arange(band, device=device)
    transitions = torch.randn(batch, length, band or length, device=device)
    transitions = transitions.masked_fill((to <= at[:, None]) | (to >= length), -torch.inf)
    transitions = transitions.log_softmax(2).masked_fill((at == length - 1)[:, None], -torch.inf)
    lengths = [torch.full((batch,), size, device=device) for size in (length, targets)]
    return match, transitions, *lengths


def da_transformer(band: int | None, device: str) -> tuple[Callable, Callable] | None:
    """DA-Transformer's loss and best alignment, where they are installed and take such transitions."""
    if device == "cpu" or band is None:
        return None
    try:
        from custom_ops import dag_best_alignment
        from custom_ops import dag_loss as theirs
    except ImportError:
        return None
    return theirs, dag_best_alignment


def cases(device: str) -> Iterator[Case]:
    for batch, targets, length, band in SIZES[device]:
        match, transitions, *lengths = graphs(batch, targets, length, band, device)
        inputs = match.requires_grad_(), transitions.requires_grad_()

        def with_gradient(op: Callable[..., Tensor], *options, inputs=inputs, lengths=lengths) -> Callable:
            return lambda: torch.autograd.grad(op(*inputs, *lengths, *options).sum(), inputs)

        peers = {"reference": with_gradient(dag_loss_reference, band)}
        if theirs := da_transformer(band, device):
            peers["DA-Transformer"] = with_gradient(theirs[0])
        yield Case(
            "dag_loss",
            f"B {batch}, T {targets}, L {length}, band {band}, with gradient",
            with_gradient(dag_loss, band),
            peers,
            # read forwards and backwards, and the gradients written
            3 * (match.nbytes + transitions.nbytes),
        )
