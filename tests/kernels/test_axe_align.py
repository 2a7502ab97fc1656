import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.kernels import axe_align, use
from natlab.kernels.axe_align import ALIGN, NONE, SKIP_PREDICTION, SKIP_TARGET, axe_align_reference

LOG_PROBS = st.floats(-10, 0) | st.just(-torch.inf)


@st.composite
def problems(draw):
    """logp [B, T, L], blank [B, L], both lengths [B], delta."""
    batch, targets, positions = (draw(st.integers(1, most)) for most in (3, 4, 4))
    values = st.lists(LOG_PROBS, min_size=batch * targets * positions, max_size=batch * targets * positions)
    blanks = st.lists(LOG_PROBS, min_size=batch * positions, max_size=batch * positions)
    lengths = [
        torch.tensor(draw(st.lists(st.integers(0, most), min_size=batch, max_size=batch)))
        for most in (targets, positions)
    ]
    logp = torch.tensor(draw(values), dtype=torch.float64).view(batch, targets, positions)
    blank = torch.tensor(draw(blanks), dtype=torch.float64).view(batch, positions)
    return logp, blank, *lengths, draw(st.sampled_from([0.5, 1.0, 2.0, 5.0]))


def paths(n: int, m: int) -> list[list[int]]:
    """All alignments of n targets and m predictions, as operations."""
    if n == m == 0:
        return [[]]
    found = [path + [ALIGN] for path in paths(n - 1, m - 1)] if n and m else []
    found += [path + [SKIP_PREDICTION] for path in paths(n, m - 1)] if m else []
    return found + ([path + [SKIP_TARGET] for path in paths(n - 1, m)] if n else [])


def walk(path: list[int], positions: int) -> list[tuple]:
    """What each operation of an alignment pays for: (operation, target or None, position or None)."""
    i = j = 0
    steps = []
    for operation in path:
        if operation == SKIP_PREDICTION:
            steps.append((operation, None, j))
        else:
            position = j if operation == ALIGN else max(j - 1, 0)
            steps.append((operation, i, position if positions else None))
            i += 1
        j += operation != SKIP_TARGET
    return steps


def price(path: list[int], logp, blank, delta: float) -> float:
    """What an alignment costs; without predictions there is no first position to pay."""
    cost = 0.0
    for operation, target, position in walk(path, len(blank)):
        if operation == SKIP_PREDICTION:
            cost -= float(blank[position])
        else:
            factor = delta if operation == SKIP_TARGET else 1
            cost -= factor * float(logp[target, position]) if position is not None else -torch.inf
    return cost


@pytest.mark.parametrize("implementation", ["library", "reference"])
@settings(max_examples=40)
@given(problem=problems())
def test_the_alignment_is_the_cheapest_of_all(implementation, device, problem):
    logp, blank, target_lengths, prediction_lengths, delta = problem
    inputs = [tensor.detach().to(device).requires_grad_() for tensor in (logp, blank)]
    with use(implementation):
        found = axe_align(*inputs, target_lengths.to(device), prediction_lengths.to(device), delta)
    grads = [grad.cpu() for grad in torch.autograd.grad(found.cost.sum(), inputs)]
    cost, operations, alignment = (output.detach().cpu() for output in found)
    for b, (n, m) in enumerate(zip(target_lengths.tolist(), prediction_lengths.tolist(), strict=True)):
        problem = logp[b, :n, :m], blank[b, :m], delta
        prices = sorted(price(path, *problem) for path in paths(n, m))
        expected = [torch.zeros_like(logp[b]), torch.zeros_like(blank[b])]
        if prices[0] == torch.inf:
            assert cost[b] == torch.inf and operations[b].eq(NONE).all() and alignment[b].eq(NONE).all()
        else:
            assert float(cost[b]) == pytest.approx(prices[0], abs=1e-9)
            chosen = operations[b][operations[b] != NONE].tolist()
            assert operations[b, len(chosen) :].eq(NONE).all()
            assert price(chosen, *problem) == pytest.approx(prices[0], abs=1e-9)
            positions = []
            for operation, target, position in walk(chosen, m):
                if operation == SKIP_PREDICTION:
                    expected[1][position] -= 1
                else:
                    expected[0][target, position] -= delta if operation == SKIP_TARGET else 1
                    positions.append(position)
            assert alignment[b].tolist() == positions + [NONE] * (logp.shape[1] - n)
        assert grads[0][b].equal(expected[0]) and grads[1][b].equal(expected[1])


def test_the_papers_example(device):
    """Figure 2: skip P1, align Y1-P2, Y2-P3, skip target Y3 at P3, align Y4-P4, Y5-P5 (P5 is last here: m = n = 5)."""
    likely = {(0, 1): 0.9, (1, 2): 0.8, (2, 2): 0.1, (3, 3): 0.9, (4, 4): 0.9}
    probabilities = torch.full((1, 5, 5), 1e-3)
    for (target, position), probability in likely.items():
        probabilities[0, target, position] = probability
    blank, five = torch.full((1, 5), 0.05, device=device), torch.tensor([5], device=device)
    cost, operations, alignment = axe_align(probabilities.log().to(device), blank.log(), five, five, 1.0)
    order = [SKIP_PREDICTION, ALIGN, ALIGN, SKIP_TARGET, ALIGN, ALIGN]
    assert operations[0].tolist() == order + [NONE] * 4
    assert alignment[0].tolist() == [1, 2, 2, 3, 4]
    assert float(cost) == pytest.approx(-float(torch.tensor([0.05, *likely.values()]).log().sum()), rel=1e-5)


def random_problem(dtype: torch.dtype, device: str, batch: int = 5, targets: int = 7, positions: int = 9):
    torch.manual_seed(batch * targets * positions)
    logp = torch.randn(batch, targets, positions, dtype=torch.float64).log_softmax(1)
    blank = torch.randn(batch, positions, dtype=torch.float64).log_softmax(1)
    lengths = [torch.randint(1, most + 1, (batch,), device=device) for most in (targets, positions)]
    return logp.to(device, dtype), blank.to(device, dtype), *lengths


@pytest.mark.parametrize("sizes", [(5, 7, 9), (3, 40, 33), (2, 33, 130), (3, 1, 1), (2, 1030, 3)])
def test_library_and_reference_agree(device, sizes):
    problem = random_problem(torch.float32, device, *sizes)
    found = axe_align(*problem, delta=1.5)
    exact = axe_align_reference(*(tensor.double() for tensor in problem[:2]), *problem[2:], delta=1.5)
    torch.testing.assert_close(found.cost.double(), exact.cost, rtol=1e-5, atol=0)
    assert found.operations.equal(exact.operations) and found.alignment.equal(exact.alignment)


def test_equally_cheap_operations_are_taken_in_the_order_of_the_paper(device):
    zeros = torch.zeros(1, 3, 2, device=device)
    lengths = torch.tensor([3], device=device), torch.tensor([2], device=device)
    for implementation in ("library", "reference"):
        with use(implementation):
            operations = axe_align(zeros, zeros[:, 0], *lengths, delta=1.0).operations
        assert operations[0].tolist() == [SKIP_TARGET, ALIGN, ALIGN, NONE, NONE]  # chosen from the end


def test_a_sentence_costs_what_it_costs_alone_whatever_its_padding(device):
    logp, blank, target_lengths, prediction_lengths = random_problem(torch.float32, device)
    found = axe_align(logp, blank, target_lengths, prediction_lengths, delta=2.0)
    for b, (n, m) in enumerate(zip(target_lengths.tolist(), prediction_lengths.tolist(), strict=True)):
        one = slice(b, b + 1)
        alone = axe_align(logp[one, :n, :m], blank[one, :m], target_lengths[one], prediction_lengths[one], delta=2.0)
        assert found.cost[b].equal(alone.cost[0])
        assert found.operations[b, : n + m].equal(alone.operations[0])
        logp[b, n:] = logp[b, :, m:] = blank[b, m:] = torch.nan
    logp.requires_grad_(), blank.requires_grad_()
    padded = axe_align(logp, blank, target_lengths, prediction_lengths, delta=2.0)
    assert all(map(torch.equal, padded, found))
    for grad, tensor in zip(torch.autograd.grad(padded.cost.sum(), [logp, blank]), [logp, blank], strict=True):
        assert grad.isfinite().all() and grad[tensor.isnan()].eq(0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_accumulated_in_float32(device, dtype):
    logp, blank, *lengths = random_problem(dtype, device, 3, 20, 25)
    logp.requires_grad_()
    half = axe_align(logp, blank, *lengths, delta=1.0)
    full = axe_align(logp.detach().float(), blank.float(), *lengths, delta=1.0)
    assert all(map(torch.equal, half, full))
    assert torch.autograd.grad(half.cost.sum(), logp)[0].dtype == dtype


def test_observed_targets_are_free_at_their_own_position(device):
    logp, blank, *_ = random_problem(torch.float64, device, 2, 4, 4)
    lengths = torch.tensor([4, 4], device=device), torch.tensor([4, 3], device=device)
    observed = torch.tensor([[True, False, True, True], [True, True, True, True]], device=device)
    logp.requires_grad_()
    for implementation in ("library", "reference"):
        with use(implementation):
            found = axe_align(logp, blank, *lengths, 1.0, observed)
        by_hand = logp.detach().clone()
        for b, t in observed.nonzero().tolist():
            by_hand[b, t, t] = 0
        assert all(map(torch.equal, found, axe_align(by_hand, blank, *lengths, 1.0)))
        (grad,) = torch.autograd.grad(found.cost.sum(), logp)
        assert grad.diagonal(dim1=1, dim2=2)[observed].eq(0).all()


def test_gradients_are_right(device):
    logp, blank, *lengths = random_problem(torch.float64, device, 3, 4, 5)
    logp.requires_grad_(), blank.requires_grad_()
    assert torch.autograd.gradcheck(lambda *inputs: axe_align(*inputs, *lengths, 1.5).cost, (logp, blank))


def test_torch_knows_the_op(device):
    logp, blank, *lengths = random_problem(torch.float32, device, 3, 4, 5)
    logp.requires_grad_(), blank.requires_grad_()
    torch.library.opcheck(torch.ops.natlab.axe_align.default, (logp, blank, *lengths, 1.5))
    compiled = torch.compile(axe_align, fullgraph=True, backend="aot_eager")
    both = [op(logp, blank, *lengths, 1.5).cost for op in (compiled, axe_align)]
    assert both[0].equal(both[1])
    grads = [torch.autograd.grad(cost.sum(), [logp, blank]) for cost in both]
    assert all(map(torch.equal, *grads))
    empty = [tensor[:0] for tensor in (logp, blank, *lengths)]
    assert [len(output) for output in axe_align(*empty, 1.0)] == [0, 0, 0]


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(delta=0.0), "delta must be above 0"),
        (dict(blank=torch.zeros(2, 4)), "are not"),
        (dict(logp=torch.zeros(2, 0, 3)), "are not"),
        (dict(blank=torch.zeros(2, 3, dtype=torch.float64)), "of one dtype"),
        (dict(target_lengths=torch.tensor([1.0, 2.0])), "lengths int64"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(change, message):
    lengths = torch.tensor([2, 1])
    inputs = dict(
        logp=torch.zeros(2, 2, 3),
        blank=torch.zeros(2, 3),
        target_lengths=lengths,
        prediction_lengths=lengths,
        delta=1.0,
    )
    with pytest.raises(ValueError, match=message):
        axe_align(**{**inputs, **change})
    with pytest.raises(RuntimeError, match="a length is negative or exceeds its tensor"):
        axe_align(**{**inputs, "prediction_lengths": torch.tensor([3, 4])})
