"""K vectors that states are replaced by: what all codebooks share."""

from typing import NamedTuple

import torch
import torch.distributed
from torch import Tensor, nn

from natlab.models.layers import Linear
from natlab.models.transformer import Config


class Quantised(NamedTuple):
    """States [..., d] said in codes.

    states: [..., d], each state's nearest code; its gradient is the state's (straight-through), and the codes' own
    where these are parameters.
    index: [...], which code it is.
    """

    states: Tensor
    index: Tensor


class Codebook(nn.Module):
    """K codes of D dimensions. A state is replaced by the nearest (equations 4 and 5).

    vectors: [K, D], parameters where they are learned by gradient.
    averages: what they follow where they are moving averages; None where they do not.
    """

    def __init__(self, config: Config, size: int, dim: int | None, trained: bool, averages: "Averages | None"):
        super().__init__()
        dim = dim or config.d_model
        vectors = torch.randn(size, dim)
        if trained:
            self.vectors = nn.Parameter(vectors)
        else:
            self.register_buffer("vectors", vectors)
        # the paper's encoder for pre-alignment is 1,024 wide, its model 512, and it says nothing of what lies between
        same = dim == config.d_model
        self.inward = None if same else Linear(config.d_model, dim)
        self.outward = None if same else Linear(dim, config.d_model)
        self.averages = averages

    def forward(self, states: Tensor, inside: Tensor | None = None) -> Quantised:
        """Quantise states [..., d]. In training, with gradients on, those ``inside`` (bool [...]; all without it) are
        what the codes learn from at the next `learn`."""
        points = self.points(states)
        index = self.nearest(points)
        chosen = self.vectors[index]
        if self.averages is not None and self.training and torch.is_grad_enabled():
            kept = torch.ones_like(index, dtype=torch.bool) if inside is None else inside
            self.averages.gather(points.detach()[kept], index[kept])
        codes = chosen + (points - points.detach())  # exactly the code, with the state's gradient
        codes = codes if self.outward is None else self.outward(codes)
        return Quantised(codes.to(states.dtype), index)

    def points(self, states: Tensor) -> Tensor:
        """States [..., d] as points [..., D] among the codes, in the codes' dtype."""
        states = states.to(torch.promote_types(states.dtype, self.vectors.dtype))
        return states if self.inward is None else self.inward(states)

    def mean(self, states: Tensor, inside: Tensor) -> Tensor:
        """The mean code [B, D] of the states [B, S, d] that are ``inside`` [B, S]; its gradient is the states' alone
        (straight-through): codes are chosen, so that without it equations 9 and 17 have none. No code learns of it."""
        points = self.points(states)  # [B, S, D]
        codes = self.code(points) + (points - points.detach())
        weights = inside / inside.sum(1, keepdim=True).clamp(min=1)  # [B, S]
        return (codes * weights[:, :, None]).sum(1)

    def code(self, points: Tensor) -> Tensor:
        """The code [..., D] nearest to each point [..., D], as a constant: sg(z_q(·))."""
        return self.vectors[self.nearest(points)].detach()

    @torch.no_grad()
    def nearest(self, points: Tensor) -> Tensor:
        """The index [...] of the code nearest to each point [..., D], the first of equally near ones."""
        flat = points.reshape(-1, points.shape[-1])
        # ||h - e||² = ||h||² + 2 (||e||² / 2 - h e)
        half = self.vectors.square().sum(1) / 2
        return torch.addmm(half, flat, self.vectors.T, alpha=-1).argmin(1).view(points.shape[:-1])

    def learn(self) -> None:
        """Once a batch, after all of it is quantised: let the codes follow what they stood for."""
        if self.averages is not None:
            self.averages.apply(self.vectors)


class Averages(nn.Module):
    """Exponential moving averages of how often each code is taken, and of the sum of what it is taken for (VQ-VAE, van
    den Oord et al. 2017, appendix A.1).

    Equation 6 of AEQA-NAT averages the codes themselves with a sum and divides by a count, so that a code taken n times
    a batch would shrink by γ / n: the sums are averaged instead,

        m_k ← γ m_k + (1 - γ) w_k,  n_k ← γ n_k + (1 - γ) c_k,  e_k = m_k / n_k

    with w_k the batch's sum of states whose nearest code is k and c_k their number. Counts are smoothed by ``epsilon``
    (Laplace), as in the released code of VQ-VAE. The first batch gives the codes their places, states drawn from it; a
    code whose n_k falls below ``restart`` times the codes' mean takes the place of a state of the batch. Codes, sums
    and counts are in the model's state; all processes' states are added up. States that are not finite, of an update
    that training will skip, teach nothing.
    """

    def __init__(self, size: int, dim: int, decay: float, restart: float, epsilon: float = 1e-5):
        super().__init__()
        self.register_buffer("sums", torch.zeros(size, dim))
        self.register_buffer("counts", torch.zeros(size))
        self.decay, self.restart, self.epsilon = decay, restart, epsilon
        self.gathered: list[tuple[Tensor, Tensor]] = []

    def gather(self, points: Tensor, index: Tensor) -> None:
        """Points [N, D] of the batch and their codes [N]."""
        finite = points.isfinite().all(1)
        self.gathered.append((points[finite], index[finite]))

    @torch.no_grad()
    def apply(self, vectors: Tensor) -> None:
        """Let ``vectors`` [K, D] follow what was gathered since, in place."""
        points, index = (torch.cat(parts) for parts in zip(*self.gathered, strict=True))
        self.gathered = []
        size = len(vectors)
        sums, counts = _summed(points, index, size), torch.bincount(index, minlength=size).to(self.counts)
        together = torch.distributed.is_available() and torch.distributed.is_initialized()
        if together:
            for part in (sums, counts):
                torch.distributed.all_reduce(part)
        if not counts.any():
            return
        first = not self.counts.any()
        for average, of_batch in ((self.sums, sums), (self.counts, counts)):
            average.mul_(self.decay).add_(of_batch, alpha=1 - self.decay)
        total = self.counts.sum()
        smoothed = (self.counts + self.epsilon) / (total + size * self.epsilon) * total
        vectors.copy_(self.sums / smoothed[:, None])
        dead = torch.ones_like(self.counts, dtype=torch.bool) if first else self.counts < self.restart * total / size
        if dead.any():
            places = vectors[dead]
            if len(points):
                places = points[torch.randint(len(points), (len(places),), device=points.device)]
            if together:
                torch.distributed.broadcast(places, 0)
            vectors[dead] = places
            self.counts[dead] = total / size  # it has as long as any other to find what it stands for
            self.sums[dead] = places * (total / size)


def _summed(points: Tensor, index: Tensor, size: int) -> Tensor:
    """The sum [K, D] of the points [N, D] of each of ``size`` codes, the same at every run: on a GPU `index_add_` adds
    up in any order, on a CPU `index_put_` does."""
    sums = points.new_zeros(size, points.shape[1])
    return sums.index_put_((index,), points, accumulate=True) if points.is_cuda else sums.index_add_(0, index, points)
