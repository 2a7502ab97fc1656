"""DA-Transformer's transition scores, without [B, L, L, H] temporaries.

Of Fei Huang et al. (ICML 2022); with one head Qu et al. (2025), equation 23, and with several as in DA-Transformer's
public code, where a gate weighs the heads. With queries q and keys k of H heads of dimension D, log-gates g, and R(i)
the vertices that i reaches:

    s[i, j, h] = q[i, h] . k[j, h] / sqrt D
    n[i, h]    = log sum_{j in R(i)} exp s[i, j, h]
    e[i, j]    = log sum_h exp(g[i, h] + s[i, j, h] - n[i, h])

The library computes s a block at a time, keeps n and e for the gradient, and computes s again there. With G the
gradient of e, w[i, j, h] = exp(g[i, h] + s[i, j, h] - n[i, h] - e[i, j]) the share of head h in a transition, and
p[i, j, h] = exp(s[i, j, h] - n[i, h]):

    d g[i, h]    = sum_j G[i, j] w[i, j, h]
    d s[i, j, h] = G[i, j] w[i, j, h] - p[i, j, h] d g[i, h]
"""

import math

import torch
from torch import Tensor

from natlab.kernels.dag import accumulator
from natlab.kernels.library import call, implementation


def dag_links(query: Tensor, key: Tensor, log_gates: Tensor, lengths: Tensor, band: int | None = None) -> Tensor:
    """Log-probabilities, in nats, of the transitions of a directed acyclic graph.

    query, key: [B, L, H, D], float64, float32, bfloat16 or float16, and finite. log_gates: [B, L, H], logarithms of the
    heads' weights at each vertex (in DA-Transformer a log_softmax; -inf leaves a head out). lengths: [B], int64,
    vertices of the graphs. Vertex i reaches the later vertices of its graph, with ``band`` at most i + band.

    Returns [B, L, L], entry i, j the transition from i to j, or with ``band`` [B, L, band], entry i, k the one from i
    to i + 1 + k; float32 (float64 for float64); -inf for what is no transition. The probabilities of the transitions
    from a vertex sum to the sum of its heads' weights, but for the last vertex, which has none. Differentiable once
    with respect to query, key and log_gates; impossible transitions and padding have gradient 0.

    Raises ValueError for shapes or dtypes that do not fit and for a band below 1; on the CPU, RuntimeError for lengths
    out of range (on CUDA they are clamped).
    """
    if query.dim() != 4 or query.shape != key.shape or log_gates.shape != query.shape[:3]:
        shapes = [tuple(tensor.shape) for tensor in (query, key, log_gates)]
        raise ValueError(f"dag_links: query, key and log_gates {shapes} do not fit")
    if query.dtype != key.dtype:
        raise ValueError(f"dag_links: query is {query.dtype}, key {key.dtype}")
    if lengths.shape != query.shape[:1] or lengths.dtype != torch.int64:
        raise ValueError(f"dag_links: lengths {tuple(lengths.shape)}, {lengths.dtype}, must be one int64 a sentence")
    if band is not None and band < 1:
        raise ValueError(f"dag_links: a band of {band} has no transitions")
    if implementation() == "reference":
        return dag_links_reference(query, key, log_gates, lengths, band)
    return _dag_links(query, key, log_gates.to(accumulator(query)), lengths, band or 0)[0]


def dag_links_reference(
    query: Tensor, key: Tensor, log_gates: Tensor, lengths: Tensor, band: int | None = None
) -> Tensor:
    """`dag_links` in plain torch."""
    length, dimension, dtype = query.shape[1], query.shape[3], accumulator(query)
    at = torch.arange(length, device=query.device)
    step, padding = at - at[:, None], at >= lengths[:, None]
    # whatever the padding holds, 0 times it is 0
    query, key = (tensor.to(dtype).masked_fill(padding[:, :, None, None], 0) for tensor in (query, key))
    log_gates = log_gates.to(dtype).masked_fill(padding[:, :, None], 0)
    scores = torch.einsum("bihd,bjhd->bhij", query, key) / math.sqrt(dimension)
    reached = (step > 0) & (step <= (band or length)) & ~padding[:, None, :]  # [B, L, L]
    scores = scores.masked_fill(~reached[:, None], -torch.inf)
    normalisers = scores.logsumexp(3, keepdim=True).masked_fill(~reached.any(2)[:, None, :, None], 0)  # not -inf - -inf
    shares = scores - normalisers + log_gates.transpose(1, 2)[:, :, :, None]
    impossible = (shares == -torch.inf).all(1)
    # the gradient of a logarithm of 0 would be nan
    links = shares.masked_fill(impossible[:, None], 0).logsumexp(1).masked_fill(impossible, -torch.inf)
    if band is None:
        return links
    later = at[:, None] + 1 + torch.arange(band, device=query.device)  # [L, band]
    banded = links.gather(2, later.clamp(max=length - 1).expand(len(links), -1, -1))
    return banded.masked_fill(later >= length, -torch.inf)


@torch.library.custom_op("natlab::dag_links", mutates_args=())
def _dag_links(query: Tensor, key: Tensor, log_gates: Tensor, lengths: Tensor, band: int) -> tuple[Tensor, Tensor]:
    """The links, [B, L, L] where ``band`` is 0, else [B, L, band], and the normalisers [B, L, H]."""
    dtype, outputs = log_gates.dtype, _outputs(query, key, log_gates, lengths, band)
    # half precision is converted once, not in each tile
    inputs = (tensor.contiguous() for tensor in (query.to(dtype), key.to(dtype), log_gates, lengths))
    call("dag_links", *inputs, *outputs, dtype, *query.shape, band)
    return outputs


@_dag_links.register_fake
def _outputs(query: Tensor, key: Tensor, log_gates: Tensor, lengths: Tensor, band: int) -> tuple[Tensor, Tensor]:
    batch, length, heads, _ = query.shape
    return log_gates.new_empty(batch, length, band or length), log_gates.new_empty(batch, length, heads)


@torch.library.custom_op("natlab::dag_links_backward", mutates_args=())
def _dag_links_backward(
    query: Tensor,
    key: Tensor,
    log_gates: Tensor,
    lengths: Tensor,
    links: Tensor,
    normalisers: Tensor,
    grad_links: Tensor,
    band: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of query, key and gates."""
    dtype, given = log_gates.dtype, (query.to(log_gates.dtype), key.to(log_gates.dtype), log_gates)
    gradients = _gradients(*given)
    inputs = (tensor.contiguous() for tensor in (*given, lengths, links, normalisers, grad_links))
    call("dag_links_backward", *inputs, *gradients, dtype, *query.shape, band)
    return gradients[0].to(query.dtype), gradients[1].to(query.dtype), gradients[2]


@_dag_links_backward.register_fake
def _gradients(query: Tensor, key: Tensor, log_gates: Tensor, *_) -> tuple[Tensor, Tensor, Tensor]:
    empty = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in (query, key, log_gates)]
    return empty[0], empty[1], empty[2]


def _setup(ctx, inputs, output) -> None:
    *tensors, ctx.band = inputs
    ctx.save_for_backward(*tensors, *output)


def _backward(ctx, grad_links: Tensor, _):
    return *_dag_links_backward(*ctx.saved_tensors, grad_links, ctx.band), None, None


_dag_links.register_autograd(_backward, setup_context=_setup)
