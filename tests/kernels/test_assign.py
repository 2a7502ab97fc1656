from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.kernels import assign, use
from natlab.kernels.assign import assign_reference

IMPLEMENTATIONS = {"library": assign, "reference": assign_reference}
# few values, so that ties and forbidden entries are common; and many, so that the cheapest assignment is unique
TIED = st.sampled_from([0.0, 1.0, 2.5, -3.0, torch.inf])
SPREAD = st.floats(-100, 100)


@st.composite
def problems(draw, entries=TIED | SPREAD):
    """Costs [B, N, N] and lengths [B]."""
    batch, size = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    values = draw(st.lists(entries, min_size=batch * size * size, max_size=batch * size * size))
    lengths = draw(st.lists(st.integers(0, size), min_size=batch, max_size=batch))
    return torch.tensor(values, dtype=torch.float64).view(batch, size, size), torch.tensor(lengths)


def value(cost: torch.Tensor, columns) -> tuple[int, float]:
    """How many forbidden entries an assignment of a matrix takes, and the sum of the others."""
    taken = cost[torch.arange(len(cost)), torch.as_tensor(columns, dtype=torch.long)]
    return int(taken.isinf().sum()), float(taken[taken.isfinite()].sum())


def best(cost: torch.Tensor) -> tuple[int, float]:
    """The least value of all permutations."""
    return min(value(cost, columns) for columns in permutations(range(len(cost))))


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@settings(max_examples=40)
@given(problem=problems())
def test_the_assignment_is_the_cheapest_of_all_permutations(name, device, problem):
    cost, lengths = problem
    columns = IMPLEMENTATIONS[name](cost.to(device), lengths.to(device)).cpu()
    for matrix, length, found in zip(cost, lengths.tolist(), columns, strict=True):
        assert found[length:].eq(-1).all()
        assert sorted(found[:length].tolist()) == list(range(length))
        allowed = matrix[:length, :length]
        forbidden, total = value(allowed, found[:length])
        least_forbidden, least = best(allowed)
        assert forbidden == least_forbidden
        assert total == pytest.approx(least, abs=1e-9)


@pytest.mark.parametrize("size", [15, 16, 17, 40, 129])
def test_it_agrees_with_scipy(device, size):
    optimize = pytest.importorskip("scipy.optimize")
    torch.manual_seed(size)
    cost = torch.randn(3, size, size)
    cost[1] = cost[1].round()  # ties
    cost[2, :, 1:4] = cost[2, :, :1]  # columns alike, as of a token that a target holds several times
    columns = assign(cost.to(device), torch.full((3,), size, device=device)).cpu()
    for matrix, found in zip(cost.double(), columns, strict=True):
        least = matrix.numpy()[optimize.linear_sum_assignment(matrix)].sum()
        assert sorted(found.tolist()) == list(range(size))
        assert value(matrix, found)[1] == pytest.approx(least, abs=1e-9)


def test_a_matrix_is_assigned_as_it_is_alone_whatever_its_padding(device):
    torch.manual_seed(1)
    cost, lengths = torch.randn(6, 9, 9, device=device), torch.tensor([0, 1, 5, 9, 8, 2], device=device)
    columns = assign(cost, lengths)
    for b, length in enumerate(lengths.tolist()):
        alone = assign(cost[b : b + 1, :length, :length], lengths[b : b + 1])
        assert columns[b, :length].equal(alone[0])
        cost[b, length:] = torch.nan
        cost[b, :, length:] = torch.nan
    assert assign(cost, lengths).equal(columns)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_every_dtype_is_computed_in_float64(device, dtype):
    torch.manual_seed(2)
    cost, lengths = torch.randn(4, 7, 7).to(dtype), torch.full((4,), 7)
    assert assign(cost.to(device), lengths.to(device)).cpu().equal(assign(cost.double(), lengths))


def test_costs_that_are_all_equal_forbidden_or_not_numbers_are_assigned_in_some_way(device):
    lengths = torch.tensor([6, 6, 6, 6], device=device)
    cost = torch.tensor([7.0, torch.inf, -torch.inf, torch.nan], device=device)[:, None, None].expand(4, 6, 6)
    assert assign(cost, lengths).sort(1).values.cpu().equal(torch.arange(6).expand(4, 6))


def test_torch_knows_the_op(device):
    torch.manual_seed(3)
    cost = torch.randn(3, 5, 5, device=device, requires_grad=True)
    lengths = torch.tensor([5, 3, 0], device=device)
    torch.library.opcheck(torch.ops.natlab.assign.default, (cost.detach(), lengths))
    assert torch.compile(assign, fullgraph=True, backend="aot_eager")(cost, lengths).equal(assign(cost, lengths))
    assert assign(cost[:0], lengths[:0]).shape == (0, 5)


def test_the_reference_can_be_chosen(device):
    cost, lengths = torch.randn(2, 4, 4, device=device), torch.tensor([4, 2], device=device)
    with use("reference"):
        assert assign(cost, lengths).equal(assign_reference(cost, lengths))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="assign: cost must be"):
        assign(torch.zeros(2, 3, 4), torch.tensor([3, 3]))
    with pytest.raises(ValueError, match="lengths int64"):
        assign(torch.zeros(2, 3, 3), torch.tensor([3.0, 3.0]))


def test_lengths_out_of_range_are_refused():
    for length in (-1, 4):
        with pytest.raises(RuntimeError, match="assign: a length is negative or exceeds its tensor"):
            assign(torch.zeros(2, 3, 3), torch.tensor([3, length]))
