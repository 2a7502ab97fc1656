"""The classifier of lengths that members share."""

from collections.abc import Callable

from torch import Tensor, nn

from natlab.models.layers import Linear
from natlab.models.transformer import Source


class LengthClasses(nn.Module):
    """Scores lengths from the encoder's summary where it has one, else from its mean state; class k is the length
    ``base(source)`` + k."""

    def __init__(self, linear: Linear, base: Callable[[Source], Tensor]):
        super().__init__()
        self.linear, self.base = linear, base

    def forward(self, source: Source) -> Tensor:
        if source.summary is not None:
            return self.linear(source.summary.float())
        weights = (~source.padding).to(source.encoded.dtype)[:, :, None]  # [B, S, 1]
        mean = (source.encoded * weights).sum(1).float() / source.lengths[:, None]  # [B, d]
        return self.linear(mean)  # [B, N]

    def classes(self, source: Source, lengths: Tensor) -> Tensor:
        """The outermost classes stand for all lengths beyond."""
        return (lengths - self.base(source)).clamp(0, self.linear.out_features - 1)

    def likely(self, source: Source, count: int) -> Tensor:
        """At least 1."""
        found = self(source).topk(count, dim=1).indices + self.base(source)[:, None]
        return found.clamp(min=1)
