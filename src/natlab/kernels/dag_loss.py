"""The probability of a target under a directed acyclic graph (DA-Transformer, Huang et al. 2022, section 3).

With m[t, j] the log-probability of target token t at vertex j and e[i, j] that of the transition from i to j,

    a[0, 0] = m[0, 0]        a[t, j] = m[t, j] + log sum_{i < j} exp(a[t - 1, i] + e[i, j])

and log P = a[M - 1, n - 1] for M tokens and n vertices. The library works with probabilities: a step is a product of a
vector with the matrix exp(e), in float64 and relative to the greatest m[t, j] of each token, and only sentences that
would underflow are done in logarithms. It keeps a for the gradient, which takes the same recurrence backwards:

    b[M - 1, n - 1] = m[M - 1, n - 1]        b[t, i] = m[t, i] + log sum_{j > i} exp(e[i, j] + b[t + 1, j])

    d log P / d m[t, j] = exp(a[t, j] + b[t, j] - m[t, j] - log P)
    d log P / d e[i, j] = sum_t exp(a[t - 1, i] + e[i, j] + b[t, j] - log P)
"""

import torch
from torch import Tensor

from natlab.kernels.dag import check_graphs, check_targets, computable, dense, emissions
from natlab.kernels.library import call, implementation

# The rows of what the forward pass keeps are this long, or a multiple.
PADDING = 32


def dag_loss(
    match: Tensor, transitions: Tensor, graph_lengths: Tensor, target_lengths: Tensor, band: int | None = None
) -> Tensor:
    """Log-probabilities [B], in nats, of targets under graphs, summed over all paths (the loss is their negative).

    match: [B, T, L], the log-probability of target token t at vertex l. transitions: [B, L, L] or with ``band``
    [B, L, band], log-probabilities (see `natlab.kernels.dag`). Both of one dtype: float64, float32, bfloat16, float16.
    graph_lengths, target_lengths: [B], int64. A path has one vertex a token, from vertex 0 to the graph's last.

    The result is float32 (float64 for float64); -inf for a target without a possible path, as one that is empty or
    longer than the graph. Differentiable once with respect to match and transitions; padding, impossible transitions
    and impossible targets have gradient 0. Raises ValueError for shapes and dtypes that do not fit.
    """
    check_graphs("dag_loss", transitions, graph_lengths, band)
    check_targets("dag_loss", match, transitions, target_lengths)
    if implementation() == "reference":
        return dag_loss_reference(match, transitions, graph_lengths, target_lengths, band)
    return _dag_loss(computable(match), computable(transitions), graph_lengths, target_lengths, band or 0)[0]


def dag_loss_reference(
    match: Tensor, transitions: Tensor, graph_lengths: Tensor, target_lengths: Tensor, band: int | None = None
) -> Tensor:
    """`dag_loss` in plain torch, a step over all transitions at a time."""
    links = dense(transitions, graph_lengths, band)
    match = emissions(match, graph_lengths, target_lengths)
    batch, targets, length = match.shape
    if not targets:
        return match.sum((1, 2)) - torch.inf
    start = torch.arange(length, device=match.device) == 0
    rows = [match[:, 0].masked_fill(~start, -torch.inf)]
    for t in range(1, targets):
        rows.append(match[:, t] + _logsumexp(rows[-1][:, :, None] + links, 1))
    sentences = torch.arange(batch, device=match.device)
    ends = (target_lengths - 1).clamp(min=0), (graph_lengths - 1).clamp(min=0)
    log_probs = torch.stack(rows, 1)[sentences, *ends]
    return log_probs.masked_fill(log_probs == -torch.inf, -torch.inf)  # whose gradient is 0


def _logsumexp(x: Tensor, dim: int) -> Tensor:
    """torch.logsumexp, but with gradient 0 instead of nan where all is -inf."""
    greatest = x.detach().amax(dim, keepdim=True)
    none = greatest == -torch.inf
    total = (x - greatest.masked_fill(none, 0)).exp().sum(dim, keepdim=True)
    return (total.masked_fill(none, 1).log() + greatest).squeeze(dim)


@torch.library.custom_op("natlab::dag_loss", mutates_args=())
def _dag_loss(
    match: Tensor, transitions: Tensor, graph_lengths: Tensor, target_lengths: Tensor, band: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The log-probabilities [B], and what the gradient needs: a, and the greatest emission of each token [B, T]."""
    outputs = _outputs(match, transitions, graph_lengths, target_lengths, band)
    inputs = (tensor.contiguous() for tensor in (match, transitions, graph_lengths, target_lengths))
    call("dag_loss", *inputs, *outputs, match.dtype, *match.shape, band)
    return outputs


@_dag_loss.register_fake
def _outputs(
    match: Tensor, transitions: Tensor, graph_lengths: Tensor, target_lengths: Tensor, band: int
) -> tuple[Tensor, Tensor, Tensor]:
    batch, targets, length = match.shape
    kept = targets * ((length + PADDING - 1) // PADDING * PADDING)
    return (
        match.new_empty(batch),
        match.new_empty(batch, kept, dtype=torch.float64),
        match.new_empty(batch, targets, dtype=torch.float64),
    )


@torch.library.custom_op("natlab::dag_loss_backward", mutates_args=())
def _dag_loss_backward(
    grad: Tensor,
    match: Tensor,
    transitions: Tensor,
    graph_lengths: Tensor,
    target_lengths: Tensor,
    alpha: Tensor,
    greatest: Tensor,
    band: int,
) -> tuple[Tensor, Tensor]:
    """The gradients of match and transitions."""
    gradients = _gradients(grad, match, transitions)
    inputs = (grad, match, transitions, graph_lengths, target_lengths, alpha, greatest)
    workspace = torch.empty_like(alpha) if alpha.device.type == "cuda" else None
    contiguous = (tensor.contiguous() for tensor in inputs)
    call("dag_loss_backward", *contiguous, workspace, *gradients, match.dtype, *match.shape, band)
    return gradients


@_dag_loss_backward.register_fake
def _gradients(grad: Tensor, match: Tensor, transitions: Tensor, *_) -> tuple[Tensor, Tensor]:
    return (
        torch.empty_like(match, memory_format=torch.contiguous_format),
        torch.empty_like(transitions, memory_format=torch.contiguous_format),
    )


def _setup(ctx, inputs, output) -> None:
    *tensors, ctx.band = inputs
    ctx.save_for_backward(*tensors, *output[1:])


def _backward(ctx, grad: Tensor, *_):
    return *_dag_loss_backward(grad, *ctx.saved_tensors, ctx.band), None, None, None


_dag_loss.register_autograd(_backward, setup_context=_setup)
