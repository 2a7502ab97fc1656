"""The ops on graphs against all paths, enumerated."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from natlab.kernels import use
from natlab.kernels.dag_best_path import _dag_best_path, dag_best_path, dag_best_path_reference
from natlab.kernels.dag_decode import STRATEGIES, _follow, _viterbi, dag_decode, dag_decode_reference
from natlab.kernels.dag_loss import _dag_loss, dag_loss, dag_loss_reference

INF = math.inf
VITERBI = ("viterbi", "joint_viterbi")


@st.composite
def batches(draw):
    """Match, transitions, graph and target lengths and a band (or None); some entries -inf, or all equal, or so far
    apart that probabilities underflow; some targets too long; what is ignored is nan."""
    batch = draw(st.integers(1, 3))
    graphs = draw(st.lists(st.integers(1, 6), min_size=batch, max_size=batch))
    targets = draw(st.lists(st.integers(0, 7), min_size=batch, max_size=batch))
    length, target = max(graphs) + draw(st.integers(0, 2)), max(targets) + draw(st.integers(0, 2))
    band = draw(st.sampled_from([None, 1, 2, 3, 9]))
    scale, never = draw(st.sampled_from([0.0, 1.0, 3.0, 500.0])), draw(st.sampled_from([0.0, 0.3]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))

    def drawn(*shape):
        entries = torch.randn(shape, generator=generator, dtype=torch.float64) * scale - 1
        return entries.masked_fill(torch.rand(shape, generator=generator) < never, -INF)

    match, transitions = drawn(batch, target, length), drawn(batch, length, band or length)
    for b in range(batch):
        match[b, targets[b] :] = torch.nan
        match[b, :, graphs[b] :] = torch.nan
        used = torch.zeros(length, band or length, dtype=torch.bool)
        for i, j in itertools.combinations(range(graphs[b]), 2):
            if j - i <= (band or length):
                used[i, j if band is None else j - i - 1] = True
        transitions[b][~used] = torch.nan
    return match, transitions, torch.tensor(graphs), torch.tensor(targets), band


def all_paths(vertices, tokens):
    """All paths of so many tokens through a graph: increasing, from the first vertex to the last."""
    if tokens == 1 and vertices == 1:
        yield (0,)
    elif 2 <= tokens <= vertices:
        for between in itertools.combinations(range(1, vertices - 1), tokens - 2):
            yield (0, *between, vertices - 1)


def transition(transitions, band, i, j):
    if band is None:
        return transitions[i, j]
    return transitions[i, j - i - 1] if j - i <= band else torch.tensor(-INF, dtype=transitions.dtype)


def path_score(match, transitions, band, path):
    """The log-probability of a target along a path."""
    links = [transition(transitions, band, i, j) for i, j in itertools.pairwise(path)]
    return sum(links, start=torch.zeros((), dtype=match.dtype)) + sum(match[t, j] for t, j in enumerate(path))


def scored_paths(match, transitions, graphs, targets, band):
    """For each sentence the possible paths and their scores."""
    for b in range(len(match)):
        scored = [
            (path_score(match[b], transitions[b], band, path), path)
            for path in all_paths(int(graphs[b]), int(targets[b]))
        ]
        yield [(score, path) for score, path in scored if score > -INF]


def enumerated_loss(match, transitions, graphs, targets, band=None):
    values = []
    for scored in scored_paths(match, transitions, graphs, targets, band):
        scores = [score for score, _ in scored]
        values.append(torch.stack(scores).logsumexp(0) if scores else torch.tensor(-INF, dtype=match.dtype))
    return torch.stack(values)


def gradients(function, match, transitions, graphs, targets, band, weights):
    match, transitions = match.detach().requires_grad_(), transitions.detach().requires_grad_()
    log_probs = function(match, transitions, graphs, targets, band)
    if not log_probs.requires_grad:  # nothing is possible
        return torch.zeros_like(match), torch.zeros_like(transitions)
    possible = log_probs > -INF
    loss = (log_probs[possible] * weights.to(log_probs)[possible]).sum()
    found = torch.autograd.grad(loss, (match, transitions), allow_unused=True, materialize_grads=True)
    return [gradient.cpu() for gradient in found]


def random_batch(graphs, targets, band=None, dtype=torch.float64, seed=0):
    """A batch as a model makes it: normalised transitions, -inf where there are none."""
    generator = torch.Generator().manual_seed(seed)
    batch, length, target = len(graphs), max(graphs), max(targets)
    match = torch.randn(batch, target, length, generator=generator, dtype=torch.float64) * 2 - 4
    transitions = torch.randn(batch, length, band or length, generator=generator, dtype=torch.float64) * 2
    at = torch.arange(length)
    to = at if band is None else at[:, None] + 1 + torch.arange(band)
    exists = (to > at[:, None]) & (to < torch.tensor(graphs)[:, None, None])
    transitions = transitions.masked_fill(~exists, -INF)
    transitions = transitions - transitions.logsumexp(2, keepdim=True).clamp(min=-1e9)
    return match.to(dtype), transitions.to(dtype), torch.tensor(graphs), torch.tensor(targets), band


def to(device, *arguments):
    return [argument.to(device) if isinstance(argument, torch.Tensor) else argument for argument in arguments]


# dag_loss


@settings(max_examples=50)
@given(batch=batches(), seed=st.integers(0, 2**31))
def test_loss_and_gradients_are_those_of_all_paths(device, batch, seed):
    weights = torch.randn(len(batch[0]), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    expected = enumerated_loss(*batch)
    expected_gradients = gradients(enumerated_loss, *batch, weights)
    for function, where in ((dag_loss_reference, "cpu"), (dag_loss, device)):
        assert_close(function(*to(where, *batch)).cpu(), expected, rtol=1e-9, atol=1e-9)
        for found, gradient in zip(gradients(function, *to(where, *batch), weights), expected_gradients, strict=True):
            assert_close(found, gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("band", [None, 3])
def test_loss_gradcheck(device, band):
    match, transitions, *rest = to(device, *random_batch([5, 1, 4], [3, 1, 4], band))
    transitions = transitions.masked_fill(transitions == -INF, -2.0)  # finite differences of -inf are none

    def probabilities(match, transitions):
        return dag_loss(match, transitions, *rest).exp()

    assert torch.autograd.gradcheck(probabilities, [match.requires_grad_(), transitions.requires_grad_()])


def test_opcheck(device):
    match, transitions, graphs, targets, _ = to(device, *random_batch([6, 1, 4], [3, 2, 4], 3))
    checked = match.requires_grad_(), transitions.requires_grad_(), graphs, targets, 3
    torch.library.opcheck(_dag_loss, checked)
    match, transitions = match.detach(), transitions.detach()
    torch.library.opcheck(_dag_best_path, (match, transitions, graphs, targets, 3))
    torch.library.opcheck(_follow, (transitions, match[:, 0], graphs, 3))
    torch.library.opcheck(_viterbi, (transitions, match[:, 0], graphs, 3, 1.0, 5, 2))


def test_ops_compile_without_a_break(device):
    match, transitions, graphs, targets, _ = to(device, *random_batch([6, 1, 4], [3, 1, 4]))

    def function(match, transitions):
        path = dag_best_path(match, transitions, graphs, targets)[1]
        decoded = dag_decode(transitions, match[:, 0], graphs, "joint_viterbi", max_length=5)
        return dag_loss(match, transitions, graphs, targets), path, *decoded

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    for f in (function, compiled):
        inputs = match.detach().requires_grad_(), transitions.detach().requires_grad_()
        outputs = f(*inputs)
        gradient = torch.autograd.grad(outputs[0].sum(), inputs)
        if f is function:
            expected, expected_gradient = outputs, gradient
    assert_close(outputs, expected, rtol=0, atol=0)
    assert_close(gradient, expected_gradient, rtol=0, atol=0)


@pytest.mark.parametrize("band", [None, 1, 8, 40])
@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_batches_of_mixed_lengths_are_the_sentences_one_by_one(device, band, scale):
    """At lengths around the blocks that the library works in; with a large scale, some sentences in logarithms."""
    graphs, targets = [70, 1, 33, 64, 9, 32], [12, 1, 33, 7, 20, 19]
    match, transitions, graph_lengths, target_lengths, _ = to(device, *random_batch(graphs, targets, band))
    match, transitions = match * scale, transitions * scale
    weights = torch.arange(1.0, 7.0)
    arguments = match, transitions, graph_lengths, target_lengths, band
    log_probs = dag_loss(*arguments)
    assert_close(log_probs, dag_loss_reference(*arguments), rtol=1e-9, atol=1e-9)
    assert torch.isneginf(log_probs[4])
    found = gradients(dag_loss, *arguments, weights)
    for one, other in zip(found, gradients(dag_loss_reference, *arguments, weights), strict=True):
        assert_close(one, other, rtol=1e-8, atol=1e-11)
    score, path = dag_best_path(*arguments)
    expected_score, expected_path = dag_best_path_reference(*arguments)
    assert_close(score, expected_score, rtol=1e-12, atol=1e-12)
    assert torch.equal(path, expected_path)
    decoded = {strategy: dag_decode(transitions, match[:, 0], graph_lengths, strategy, band) for strategy in STRATEGIES}
    for b, (n, m) in enumerate(zip(graphs, targets, strict=True)):
        links = transitions[b : b + 1, :n, : n if band is None else band]
        alone = match[b : b + 1, :m, :n], links, graph_lengths[b : b + 1], target_lengths[b : b + 1], band
        assert_close(dag_loss(*alone)[0], log_probs[b], rtol=0, atol=0)
        of_alone = gradients(dag_loss, *alone, weights[b : b + 1])
        assert_close(of_alone[0][0], found[0][b, :m, :n], rtol=0, atol=0)
        assert_close(of_alone[1][0], found[1][b, :n, : links.shape[2]], rtol=0, atol=0)
        assert not found[0][b, m:].any() and not found[0][b, :, n:].any() and not found[1][b, n:].any()
        assert torch.equal(dag_best_path(*alone)[1][0], path[b, :m]) and (path[b, m:] == -1).all()
        for strategy, (score, vertices) in decoded.items():
            one_score, one = dag_decode(links, alone[0][:, 0], alone[2], strategy, band)
            assert_close(one_score[0], score[b], rtol=0, atol=0)
            assert torch.equal(one[0], vertices[b, :n]) and (vertices[b, n:] == -1).all()


def test_sentences_that_underflow_are_exact(device):
    """All paths less likely than e^-708, relative to the likeliest emissions; transitions below a float's e^-87."""
    match, transitions, *rest = random_batch([40, 40], [20, 20])
    match[0] = match[0] * 100
    transitions[1, 3] -= 95
    arguments = to(device, match, transitions, *rest)
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 2e-5)):
        rounded = [arguments[0].to(dtype), arguments[1].to(dtype), *arguments[2:]]
        exact = [rounded[0].double(), rounded[1].double(), *arguments[2:]]
        expected = dag_loss_reference(*exact)
        assert_close(dag_loss(*rounded).double(), expected, rtol=tolerance, atol=0)
        for found, gradient in zip(
            gradients(dag_loss, *rounded, torch.ones(2)),
            gradients(dag_loss_reference, *exact, torch.ones(2)),
            strict=True,
        ):
            assert_close(found.double(), gradient, rtol=tolerance, atol=tolerance)
            assert gradient[1].any()


def test_transitions_that_are_no_probabilities(device):
    """Scores of any size: sums of transitions far above 1 neither overflow nor lose what matters."""
    match, transitions, *rest = to(device, *random_batch([30, 30, 30], [25, 25, 25]))
    transitions[0] += 3
    transitions[1] += 20
    transitions[2] += 300
    arguments = match, transitions, *rest
    assert_close(dag_loss(*arguments), dag_loss_reference(*arguments), rtol=1e-12, atol=1e-12)
    weights = torch.ones(3)
    for found, expected in zip(
        gradients(dag_loss, *arguments, weights), gradients(dag_loss_reference, *arguments, weights), strict=True
    ):
        assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_impossible_targets_have_no_probability_and_no_gradient(device):
    """Longer than the graph, empty, cut off by -inf, out of the band's reach."""
    match, transitions, graphs, targets, _ = random_batch([3, 5, 5, 4], [4, 0, 3, 2])
    transitions[2, :, 4] = -INF
    transitions[3, 0, 3] = -INF
    match, transitions, graphs, targets = to(device, match, transitions, graphs, targets)
    for function in (dag_loss, dag_loss_reference):
        inputs = match.detach().requires_grad_(), transitions.detach().requires_grad_()
        log_probs = function(*inputs, graphs, targets)
        assert torch.isneginf(log_probs).all()
        for gradient in torch.autograd.grad(-log_probs.sum(), inputs):
            assert not gradient.any()
    for function in (dag_best_path, dag_best_path_reference):
        score, path = function(match, transitions, graphs, targets)
        assert torch.isneginf(score).all() and (path == -1).all()


def test_lengths_beyond_the_tensors_are_impossible(device):
    match, transitions, graphs, targets, _ = to(device, *random_batch([4, 4], [3, 3]))
    graphs[0], targets[1] = 9, 8
    assert torch.isneginf(dag_loss(match, transitions, graphs, targets)).all()
    assert (dag_best_path(match, transitions, graphs, targets)[1] == -1).all()
    for strategy in STRATEGIES:
        assert (dag_decode(transitions, match[:, 0], graphs, strategy)[1][0] == -1).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_more(device, dtype):
    match, transitions, *rest = to(device, *random_batch([40, 9], [12, 5], dtype=dtype))
    log_probs = dag_loss(match, transitions, *rest)
    assert log_probs.dtype == torch.float32
    assert_close(log_probs, dag_loss(match.float(), transitions.float(), *rest), rtol=1e-6, atol=1e-6)
    whole = gradients(dag_loss, match.float(), transitions.float(), *rest, torch.ones(2))
    for found, expected in zip(gradients(dag_loss, match, transitions, *rest, torch.ones(2)), whole, strict=True):
        assert found.dtype == dtype
        assert_close(found, expected.to(dtype), rtol=1e-2, atol=1e-6)
    score, path = dag_best_path(match, transitions, *rest)
    assert score.dtype == torch.float32
    assert torch.equal(path, dag_best_path(match.float(), transitions.float(), *rest)[1])


def test_reference_is_what_use_forces(device):
    match, transitions, *rest = to(device, *random_batch([6, 4], [3, 4]))
    with use("reference"):
        log_probs = dag_loss(match.requires_grad_(), transitions, *rest)
    assert "natlab" not in str(log_probs.grad_fn)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_ops_can_be_captured_in_a_cuda_graph():
    match, transitions, graphs, targets, band = to("cuda", *random_batch([70, 33], [12, 20]))
    inputs = match.requires_grad_(), transitions.requires_grad_()

    def outputs():
        log_probs = dag_loss(*inputs, graphs, targets)
        decoded = [dag_decode(transitions, match[:, 0], graphs, strategy)[1] for strategy in STRATEGIES]
        path = dag_best_path(match, transitions, graphs, targets)[1]
        return log_probs, *torch.autograd.grad(log_probs.sum(), inputs), path, *decoded

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        expected = outputs()
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = outputs()
    graph.replay()
    torch.cuda.synchronize()
    assert_close(captured, expected, rtol=0, atol=0)


# dag_best_path


@settings(max_examples=50)
@given(batch=batches())
def test_best_path_is_the_best_of_all(device, batch):
    for function, where in ((dag_best_path_reference, "cpu"), (dag_best_path, device)):
        score, path = (output.cpu() for output in function(*to(where, *batch)))
        for b, scored in enumerate(scored_paths(*batch)):
            found = tuple(path[b, : batch[3][b]].tolist())
            assert (path[b, batch[3][b] :] == -1).all()
            if not scored:
                assert score[b] == -INF and set(found) <= {-1}
                continue
            best = max(value for value, _ in scored)
            assert_close(score[b], best, rtol=1e-9, atol=1e-9)
            ranked = [value for value, other in scored if other == found]
            assert ranked and ranked[0] >= best - 1e-9 * (1 + abs(best))


def test_ties_go_to_the_first_predecessor(device):
    match, transitions = torch.zeros(2, 4, 7), torch.zeros(2, 7, 7)
    arguments = match, transitions, torch.tensor([7, 5]), torch.tensor([4, 3])
    for function, where in ((dag_best_path_reference, "cpu"), (dag_best_path, device)):
        _, path = function(*to(where, *arguments))
        assert path.tolist() == [[0, 1, 2, 6], [0, 1, 4, -1]]


# dag_decode


def random_scores(batch, length):
    """Log-probabilities of the vertices' tokens, here and there -inf."""
    scores = torch.randn(batch, length, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) - 2
    return scores.masked_fill(scores < -3.5, -INF)


def decodings(transitions, scores, band, vertices):
    """All paths through a graph, with the score of transitions and vertices."""
    for tokens in range(1, vertices + 1):
        for path in all_paths(vertices, tokens):
            links = sum(float(transition(transitions, band, i, j)) for i, j in itertools.pairwise(path))
            yield links + sum(float(scores[j]) for j in path), path


@settings(max_examples=50)
@given(
    batch=batches(),
    strategy=st.sampled_from(VITERBI),
    penalty=st.sampled_from([0.0, 0.7, 1.0]),
    longest=st.integers(1, 9),
)
def test_viterbi_is_the_best_of_all_paths(device, batch, strategy, penalty, longest):
    _, transitions, graphs, _, band = batch
    scores = random_scores(*transitions.shape[:2])
    used = scores if strategy == "joint_viterbi" else torch.zeros_like(scores)
    for function, where in ((dag_decode_reference, "cpu"), (dag_decode, device)):
        arguments = to(where, transitions, scores, graphs)
        log_probs, path = (output.cpu() for output in function(*arguments, strategy, band, penalty, longest))
        assert path.shape == (len(graphs), min(longest, scores.shape[1]))
        for b, vertices in enumerate(graphs.tolist()):
            possible = [
                (score, other)
                for score, other in decodings(transitions[b], used[b], band, vertices)
                if score > -INF and len(other) <= longest
            ]
            found = tuple(vertex for vertex in path[b].tolist() if vertex >= 0)
            if not possible:
                assert log_probs[b] == -INF and not found
                continue
            best = max(score / len(other) ** penalty for score, other in possible)
            ranked = [score for score, other in possible if other == found]
            assert ranked and ranked[0] / len(found) ** penalty >= best - 1e-9 * (1 + abs(best))
            assert float(log_probs[b]) == pytest.approx(ranked[0], rel=1e-9, abs=1e-9)


@settings(max_examples=50)
@given(batch=batches(), strategy=st.sampled_from(["greedy", "lookahead"]))
def test_greedy_and_lookahead_take_the_best_next_vertex(device, batch, strategy):
    _, transitions, graphs, _, band = batch
    length = transitions.shape[1]
    scores = random_scores(len(graphs), length)
    for function, where in ((dag_decode_reference, "cpu"), (dag_decode, device)):
        log_probs, path = (o.cpu() for o in function(*to(where, transitions, scores, graphs), strategy, band))
        for b in range(len(graphs)):
            used = scores[b].tolist() if strategy == "lookahead" else [0.0] * length
            expected, total = [0], used[0]
            while True:
                i = expected[-1]
                nexts = [float(transition(transitions[b], band, i, j)) + used[j] for j in range(i + 1, int(graphs[b]))]
                if not nexts or max(nexts) == -INF:
                    break
                expected.append(i + 1 + nexts.index(max(nexts)))
                total += max(nexts)
            assert path[b].tolist() == expected + [-1] * (length - len(expected))
            arrived = expected[-1] == graphs[b] - 1
            assert float(log_probs[b]) == pytest.approx(total if arrived else -INF, rel=1e-12, abs=1e-12)


def test_equally_good_decodings(device):
    """The first of equally good vertices, the shortest of equally good paths."""
    transitions, scores, graphs = torch.zeros(2, 6, 6), torch.zeros(2, 6), torch.tensor([6, 4])
    paths = {
        "greedy": [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, -1, -1]],
        "lookahead": [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, -1, -1]],
        "viterbi": [[0, 5, -1, -1, -1, -1], [0, 3, -1, -1, -1, -1]],
        "joint_viterbi": [[0, 5, -1, -1, -1, -1], [0, 3, -1, -1, -1, -1]],
    }
    for strategy, expected in paths.items():
        for function, where in ((dag_decode_reference, "cpu"), (dag_decode, device)):
            assert function(*to(where, transitions, scores, graphs), strategy)[1].tolist() == expected


def test_refusals():
    match, transitions, graphs, targets, _ = random_batch([6, 4], [3, 4])
    scores = match[:, 0]
    for refused in (
        lambda: dag_loss(match, transitions, graphs, targets, 3),
        lambda: dag_loss(match[:, :, :5], transitions, graphs, targets),
        lambda: dag_loss(match.float(), transitions, graphs, targets),
        lambda: dag_loss(match, transitions, graphs.int(), targets),
        lambda: dag_best_path(match, transitions, graphs, targets[:1]),
        lambda: dag_decode(transitions, scores, graphs, "sampling"),
        lambda: dag_decode(transitions, None, graphs, "lookahead"),
        lambda: dag_decode(transitions, scores.float(), graphs, "joint_viterbi"),
        lambda: dag_decode(transitions, scores, graphs, "viterbi", max_length=0),
    ):
        with pytest.raises(ValueError):
            refused()
