"""Which positions a proxy input reveals: subsets of given sizes, drawn evenly or by weights, and their probability."""

import torch
from torch import Tensor

from natlab.models.draws import smallest

LEAST = 1e-6  # of a weight, so that any number of positions can be drawn


def whole(number: Tensor, lengths: Tensor, least: int) -> Tensor:
    """How many [B] of ``lengths`` [B] tokens to reveal: ``number`` [B] rounded down, or ``least`` where that is more
    and leaves one to predict.

    MPLE's appendix E.6 says l in [1, L], its rules λ L and λ d also give 0: ``least`` 0 takes these, 1 the interval.
    """
    return torch.maximum(number.floor(), torch.minimum(torch.full_like(lengths, least), lengths - 1))


def even(inside: Tensor, count: Tensor) -> Tensor:
    """A subset of ``count`` [B] positions ``inside`` [B, T], each such subset being as likely."""
    return smallest(torch.rand(inside.shape, device=inside.device), inside, count)


def even_log_probability(revealed: Tensor, inside: Tensor, count: Tensor) -> Tensor:
    """Log-probability [B], in nats, that `even` draws ``revealed`` [B, T]: 1 of (L over l); -inf if it never does."""
    length, count = inside.sum(1).double(), count.double()
    log_subsets = torch.lgamma(length + 1) - torch.lgamma(count + 1) - torch.lgamma(length - count + 1)
    possible = revealed.sum(1).eq(count) & ~(revealed & ~inside).any(1)
    return torch.where(possible, -log_subsets, -torch.inf)


def successive(weights: Tensor, inside: Tensor, count: Tensor) -> Tensor:
    """A subset drawn position by position without replacement, each time in proportion to ``weights`` [B, T].

    Equally: with an exponential waiting time at the rate of its weight for each, the ``count`` [B] first ones.
    """
    waiting = -torch.rand(inside.shape, device=inside.device).log() / weights.clamp(min=LEAST)
    return smallest(waiting, inside, count)


def successive_log_probability(
    revealed: Tensor, weights: Tensor, inside: Tensor, count: Tensor, nodes: int = 1024
) -> Tensor:
    """Log-probability [B], in nats, that `successive` draws ``revealed`` [B, T], in any order; -inf if it never does.

    All of the subset S come before the first of the others, which comes at the rate W of their weights together:

        P(S) = ∫_0^∞ W exp(-W t) Π_{i in S} (1 - exp(-w_i t)) dt,    and with W t = exp(x)
             = ∫ exp(x - exp(x)) Π_{i in S} (1 - exp(-exp(x) w_i / W)) dx

    whose integrand is smooth and vanishes at both ends, so that the trapezoidal rule with ``nodes`` nodes is exact to
    1e-9 for hundreds of positions.
    """
    weights = weights.double().clamp(min=LEAST)
    others = (weights * (inside & ~revealed)).sum(1)
    x = torch.linspace(-40.0, 8.0, nodes, dtype=torch.double, device=weights.device)
    # rate of each position of the subset where the others' is 1; where there are no others, the subset is certain
    rate = weights / others.clamp(min=torch.finfo(torch.double).tiny)[:, None]
    total = (x - x.exp()).repeat(len(weights), 1)
    for position in range(weights.shape[1]):  # one after another: [B, T, nodes] would be large
        drawn = torch.log(-torch.expm1(-rate[:, position, None] * x.exp()))
        total += torch.where(revealed[:, position, None], drawn, 0)
    integral = total.logsumexp(1) + torch.log(x[1] - x[0])
    possible = revealed.sum(1).eq(count) & ~(revealed & ~inside).any(1)
    return torch.where(possible, torch.where(others > 0, integral, 0), -torch.inf)
