"""Codebooks: what they replace a state by, its gradient, and how codes follow what they stand for."""

import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab import families
from natlab.models.transformer import Config

CONFIG = Config(6, 12, 1, 1, 2, 0.0, 12, 12, True)
NAMES = families.names("codebook")


def codebook(name="moving", **options):
    torch.manual_seed(0)
    return families.load("codebook", name, **{"size": 5, **options}).build(CONFIG).double()


@given(seed=st.integers(0, 1000), size=st.integers(1, 7))
@settings(max_examples=30, deadline=None)
def test_a_state_becomes_the_nearest_code_and_its_gradient_passes(seed, size):
    """Equations 4 and 5, by trying each code; straight-through, so that a state's gradient is its code's."""
    for name in NAMES:
        book = codebook(name, size=size)
        torch.manual_seed(seed)
        states = torch.randn(2, 3, 6, dtype=torch.double, requires_grad=True)
        weights = torch.randn(2, 3, 6, dtype=torch.double)
        found = book(states)
        distances = (states[:, :, None] - book.vectors).norm(dim=3)  # [2, 3, K]
        torch.testing.assert_close(found.index, distances.argmin(2))
        assert torch.equal(found.states, book.vectors[found.index])
        (found.states * weights).sum().backward()
        assert torch.equal(states.grad, weights)
        if name == "learned":
            of_codes = torch.zeros_like(book.vectors).index_add(0, found.index.flatten(), weights.flatten(0, 1))
            torch.testing.assert_close(book.vectors.grad, of_codes)
        else:
            assert not book.vectors.requires_grad


def test_the_mean_code_is_of_the_states_inside_and_its_gradient_theirs():
    """Equations 9 and 17, straight-through; of none it is 0, and no code learns of it."""
    book = codebook()
    states = torch.randn(3, 3, 6, dtype=torch.double, requires_grad=True)
    inside = torch.tensor([[True, True, False], [True, True, True], [False, False, False]])
    found = book.mean(states, inside)
    codes = book.vectors[torch.cdist(states.detach(), book.vectors).argmin(2)]
    expected = torch.stack([codes[0, :2].sum(0) / 2, codes[1].sum(0) / 3, torch.zeros(6)])
    torch.testing.assert_close(found, expected)
    weights = torch.randn(3, 6, dtype=torch.double)
    (found * weights).sum().backward()
    shares = torch.tensor([[1 / 2, 1 / 2, 0], [1 / 3] * 3, [0.0] * 3], dtype=torch.double)
    torch.testing.assert_close(states.grad, shares[:, :, None] * weights[:, None])
    assert not book.averages.gathered


def test_codes_of_another_dimension_lie_between_two_linear_layers():
    book = codebook(dim=4)
    states = torch.randn(3, 6, dtype=torch.double)
    points = states @ book.inward.weight.T + book.inward.bias
    index = torch.cdist(points, book.vectors).argmin(1)
    torch.testing.assert_close(book(states).states, book.vectors[index] @ book.outward.weight.T + book.outward.bias)
    assert torch.equal(book(states).index, index)


def slowly(vectors, sums, counts, points, decay, epsilon=1e-5):
    """A step of the moving averages, code by code and state by state."""
    new_sums, new_counts = [], []
    for k in range(len(vectors)):
        of_code = [p for p in points if min(range(len(vectors)), key=lambda j: float((p - vectors[j]).norm())) == k]
        new_counts.append(decay * counts[k] + (1 - decay) * len(of_code))
        new_sums.append(decay * sums[k] + (1 - decay) * sum(of_code, torch.zeros_like(vectors[k])))
    counts, sums = torch.stack(new_counts), torch.stack(new_sums)
    smoothed = (counts + epsilon) / (counts.sum() + len(vectors) * epsilon) * counts.sum()
    return sums / smoothed[:, None], sums, counts


def test_codes_follow_the_averages_of_what_they_stand_for():
    """After the first batch: by a slow reference, states outside left out, those of several calls a batch added up."""
    book = codebook(restart=0.0, decay=0.9)
    first = torch.randn(40, 6, dtype=torch.double)
    book(first)
    book.learn()
    for _ in range(3):
        vectors, sums, counts = (part.clone() for part in (book.vectors, book.averages.sums, book.averages.counts))
        states = torch.randn(2, 7, 6, dtype=torch.double)
        inside = torch.rand(2, 7) < 0.7
        book(states[:1], inside[:1])
        book(states[1:], inside[1:])
        assert torch.equal(book.vectors, vectors)  # not before the batch is over
        book.learn()
        expected = slowly(vectors, sums, counts, list(states[inside]), 0.9)
        for found, wanted in zip((book.vectors, book.averages.sums, book.averages.counts), expected, strict=True):
            torch.testing.assert_close(found, wanted)


def test_it_is_what_the_library_does():
    """A step from the same state: codes, choices, counts and gradients."""
    library = pytest.importorskip("vector_quantize_pytorch")
    book = codebook(restart=0.0, decay=0.9)
    book(torch.randn(40, 6, dtype=torch.double))
    book.learn()
    theirs = (
        library.VectorQuantize(6, 5, decay=0.9, eps=1e-5, commitment_weight=0.0, rotation_trick=False).double().train()
    )
    kept = theirs._codebook
    kept.embed.data.copy_(book.vectors[None])
    kept.embed_avg.data.copy_(book.averages.sums[None])
    kept.cluster_size.data.copy_(book.averages.counts[None])
    states = torch.randn(1, 30, 6, dtype=torch.double)
    mine, other = states.clone().requires_grad_(), states.clone().requires_grad_()
    found, (codes, index, _) = book(mine), theirs(other)
    torch.testing.assert_close(found.states, codes)
    assert torch.equal(found.index, index)
    for quantised in (found.states, codes):
        quantised.square().sum().backward()
    torch.testing.assert_close(mine.grad, other.grad)
    book.learn()
    torch.testing.assert_close(book.vectors, kept.embed[0])
    torch.testing.assert_close(book.averages.counts, kept.cluster_size[0])


def test_the_first_batch_gives_codes_their_places_even_more_codes_than_states():
    book = codebook(size=50)
    states = torch.randn(7, 6, dtype=torch.double)
    book(states)
    book.learn()
    nearest = torch.cdist(book.vectors, states).amin(1)
    assert nearest.max() < 1e-6  # each code is one of the states
    assert torch.equal(book(states).states, states) or torch.cdist(book(states).states, states).amin(1).max() < 1e-6


def test_a_dead_code_takes_the_place_of_a_state():
    """Only those below a share of the mean count."""
    book = codebook(size=3, restart=0.5, decay=0.5)
    near = torch.randn(20, 6, dtype=torch.double)
    book(near)
    book.learn()
    with torch.no_grad():
        book.vectors.copy_(torch.stack([near[0], near[0] + 100, near[0] + 200]))
        book.averages.counts.fill_(4.0)
        book.averages.sums.copy_(4 * book.vectors)
    book(near)
    book.learn()  # counts are 12, 2 and 2, half of their mean 16 / 3 is more than 2
    torch.testing.assert_close(book.averages.counts, torch.tensor([12, 16 / 3, 16 / 3], dtype=torch.double))
    assert torch.cdist(book.vectors[1:], near).amin(1).max() < 1e-12
    assert torch.allclose(book.averages.sums[1:] / book.averages.counts[1:, None], book.vectors[1:])


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_states_that_are_not_finite_teach_nothing(bad):
    """Among others, and alone; restarts take the place of none of them."""
    book, other = codebook(restart=0.5), codebook(restart=0.5)
    for batch in torch.randn(3, 8, 6, dtype=torch.double):
        spoilt = torch.cat([batch, torch.full((2, 6), bad, dtype=torch.double)])
        for one, states in ((book, spoilt), (other, batch)):
            torch.manual_seed(0)
            one(states)
            one.learn()
    before = book.vectors.clone()
    book(spoilt[-2:])
    book.learn()
    assert book.vectors.isfinite().all() and torch.equal(book.vectors, before)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(book.buffers(), other.buffers(), strict=True))


def test_nothing_is_learned_in_measurement_or_without_gradients():
    book = codebook()
    states = torch.randn(4, 6, dtype=torch.double)
    with torch.no_grad():
        book(states)
    book.eval()
    book(states)
    assert not book.averages.gathered


def test_a_codebook_goes_on_where_its_state_was_saved():
    """Bit for bit, restarts included, as a training that is resumed seeds each update."""
    whole, file = codebook(size=9, restart=0.5), io.BytesIO()
    batches = torch.randn(6, 12, 6, dtype=torch.double)
    for number, states in enumerate(batches):
        if number == 3:
            torch.save(whole.state_dict(), file)
        torch.manual_seed(number)
        whole(states)
        whole.learn()
    resumed = codebook(size=9, restart=0.5)
    resumed.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    for number, states in enumerate(batches[3:], 3):
        torch.manual_seed(number)
        resumed(states)
        resumed.learn()
    assert all(torch.equal(a, b) for a, b in zip(whole.buffers(), resumed.buffers(), strict=True))


def test_equation_6_as_printed_shrinks_the_codes():
    """A code that stands for one state n times a batch ought to become that state. As printed, e ← (γ e + (1 - γ) n h)
    / n, with n_k settled at n: it becomes (1 - γ) n / (n - γ) of it, 1 % for γ 0.99 and many."""
    state, code, decay, count = 2.0, 2.0, 0.99, 10
    for _ in range(50):
        code = (decay * code + (1 - decay) * count * state) / count
    assert code == pytest.approx((1 - decay) * count / (count - decay) * state)
    assert code < 0.02 * state
    book = codebook(size=1, restart=0.0)
    states = torch.full((count, 6), state, dtype=torch.double)
    for _ in range(5):
        book(states)
        book.learn()
    torch.testing.assert_close(book.vectors, states[:1])


def test_codes_random_stay():
    book = codebook("random")
    before = book.vectors.clone()
    book(torch.randn(9, 6, dtype=torch.double))
    book.learn()
    assert torch.equal(book.vectors, before)


def _process(rank, folder, states, restart):
    torch.distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    book, found = codebook(restart=restart, decay=0.5), []
    for step, batch in enumerate(states):
        torch.manual_seed(10 * step + rank)  # what else each process draws differs
        book(batch[rank])
        book.learn()
        found.append({name: value.clone() for name, value in book.state_dict().items()})
    torch.save(found, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("restart", [0.0, 0.5])
def test_several_processes_learn_the_same_codes_from_all_their_states(tmp_path, restart):
    """Restarts included; without these, step by step the codes of one process that sees both batches."""
    states = torch.randn(3, 2, 12, 6, dtype=torch.double)
    torch.multiprocessing.spawn(_process, (str(tmp_path), states, restart), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert all(torch.equal(one[name], other[name]) for one, other in zip(first, second, strict=True) for name in one)
    for before, after, batch in zip(first, first[1:], states[1:], strict=False) if restart == 0 else ():
        book = codebook(restart=0.0, decay=0.5)
        book.load_state_dict(before)
        book(batch.flatten(0, 1))
        book.learn()
        for name, value in book.state_dict().items():
            torch.testing.assert_close(value, after[name])
