"""Minimum-cost assignment of a batch of square matrices, by shortest augmenting paths (Jonker and Volgenant 1987).

Rows are assigned one after another. With prices v of the columns and, for each row r assigned so far, its assigned
column the cheapest at these prices, the next row i finds the cheapest way to a free column, in which rows on the way
change their columns. Dijkstra's algorithm finds it: with d_j the distance of column j,

    d_j = min(d_j, mu + (c[i, j] - v_j) - (c[i, k] - v_k))

whenever column k at distance mu, the nearest that is not reached yet, is reached, i being the row assigned to k (for
the row that is to be assigned, d_j = c[i, j] - v_j). Then the columns reached get cheaper by what they were nearer than
the free column, and the rows on the path exchange their columns. O(N^3) a matrix.

Everything is computed in float64. Entries that are no finite float32 are forbidden, and cost more than anything
allowed: an assignment uses as few of them as it can, and is the cheapest among those.
"""

import torch
from torch import Tensor

from natlab.kernels.library import call, implementation


def assign(cost: Tensor, lengths: Tensor) -> Tensor:
    """The cheapest assignment of each matrix: int64 [B, N], the column of each row, -1 beyond the length.

    cost: [B, N, N], float64, float32, bfloat16 or float16, of any sign; of matrix b the leading lengths[b] rows and
    columns count. lengths: [B], int64, from 0 to N. An infinite or nan cost is forbidden and taken only where nothing
    else is possible. Among equally cheap assignments any may be returned. Not differentiable: gather the costs.

    For OaXE (Du et al. 2021, appendix A.1, Algorithm 1) cost[b, i, j] is the negative log-probability, in nats, of
    target token j at position i. On CUDA N is at most 1,024. Raises ValueError for shapes and dtypes that do not fit,
    and RuntimeError for an N or, on the CPU, a length out of range (on CUDA lengths are clamped).
    """
    batch, size, columns = cost.shape
    if size != columns or lengths.shape != (batch,) or lengths.dtype != torch.int64:
        shapes = f"{tuple(cost.shape)} and {lengths.dtype} {tuple(lengths.shape)}"
        raise ValueError(f"assign: cost must be [B, N, N] and lengths int64 [B], not {shapes}")
    if implementation() == "reference":
        return assign_reference(cost, lengths)
    return _assign(cost.detach(), lengths)


def assign_reference(cost: Tensor, lengths: Tensor) -> Tensor:
    """`assign` in plain torch."""
    columns = torch.full(cost.shape[:2], -1, device=cost.device)
    for matrix, length, result in zip(cost.detach().double(), lengths.tolist(), columns, strict=True):
        result[:length] = _assigned(_allowed(matrix[:length, :length]))
    return columns


def _allowed(cost: Tensor) -> Tensor:
    """Forbidden entries of a matrix [N, N] replaced by costs above those of N allowed ones."""
    allowed = cost.abs() <= torch.finfo(torch.float32).max
    if not allowed.any():
        return torch.zeros_like(cost)
    low, high = cost[allowed].aminmax()
    spread = high - low if high > low else 1
    return torch.where(allowed, cost, high + len(cost) * spread)


def _assigned(cost: Tensor) -> Tensor:
    """The column of each row of one matrix [N, N]."""
    size = len(cost)
    price = cost.new_zeros(size)
    row_of = torch.full((size,), -1)
    column_of = torch.full((size,), -1)
    for start in range(size):
        distance, via = cost[start] - price, torch.full((size,), start)
        reached = torch.zeros(size, dtype=torch.bool, device=cost.device)
        while True:
            nearest = distance.masked_fill(reached, torch.inf)
            mu, column = nearest.min(0)
            if row_of[column] < 0:
                break
            reached[column] = True
            row = row_of[column]
            through = mu + (cost[row] - price) - (cost[row, column] - price[column])
            nearer = ~reached & (through < distance)
            distance = torch.where(nearer, through, distance)
            via = torch.where(nearer.cpu(), row, via)
        price = torch.where(reached, price + distance - mu, price)
        while column >= 0:
            row = via[column]
            row_of[column] = row
            column, column_of[row] = column_of[row].clone(), column
    return column_of


@torch.library.custom_op("natlab::assign", mutates_args=())
def _assign(cost: Tensor, lengths: Tensor) -> Tensor:
    columns = _columns(cost, lengths)
    call("assign", cost.contiguous(), lengths.contiguous(), columns, cost.dtype, *cost.shape[:2])
    return columns


@_assign.register_fake
def _columns(cost: Tensor, lengths: Tensor) -> Tensor:
    return cost.new_empty(cost.shape[:2], dtype=torch.int64)
