"""assign against SciPy in a loop (on CUDA with its transfers) and torch-linear-assignment, where that is installed."""

from collections.abc import Iterator

import torch
from scipy.optimize import linear_sum_assignment

from benchmarks.kernel_ops import Case
from natlab.kernels import assign

SIZES = {"cpu": [(64, 16), (64, 32), (64, 64), (64, 128)], "cuda": [(208, 300), (256, 40)]}


def cases(device: str) -> Iterator[Case]:
    for batch, size in SIZES[device]:
        cost, lengths = torch.rand(batch, size, size, device=device), torch.full((batch,), size, device=device)

        def scipy(cost=cost):
            columns = [linear_sum_assignment(matrix)[1] for matrix in cost.cpu().numpy()]
            return torch.stack([torch.from_numpy(column) for column in columns]).to(cost.device)

        peers = {"scipy": scipy}
        if device == "cuda":
            peers |= others(cost)
        yield Case(
            "assign",
            f"{batch} x {size} x {size}",
            lambda cost=cost, lengths=lengths: assign(cost, lengths),
            peers,
            cost.nbytes + 8 * batch * size,
        )


def others(cost: torch.Tensor) -> dict:
    try:
        from torch_linear_assignment import batch_linear_assignment
    except ImportError:
        return {}
    return {"torch-linear-assignment": lambda: batch_linear_assignment(cost)}
