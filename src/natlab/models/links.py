"""Which position of a canvas follows which (DA-Transformer, Huang et al. 2022, section 3; its public code)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from natlab.kernels import dag_links
from natlab.models.layers import Linear, SinusoidalPositions
from natlab.models.transformer import Config


class Links(nn.Module):
    """Attention of each position over the later ones, by heads that a gate weighs.

    Queries, keys and gates are linear in a state and its position. That is embedded by sinusoids, which have no longest
    canvas; the released code learns an embedding. All is computed in float32.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.heads = config.heads
        self.query, self.key = (Linear(2 * config.d_model, config.d_model) for _ in range(2))
        self.gates = Linear(2 * config.d_model, config.heads)
        self.positions = SinusoidalPositions(config.d_model)

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Log-probabilities [B, L, L] of the transitions, as `natlab.kernels.dag_links` has them, of decoder states
        [B, L, d] of canvases of ``lengths`` [B]."""
        batch, length, _ = states.shape
        states = states.to(torch.promote_types(states.dtype, torch.float32))
        positions = self.positions(0, length).to(states.dtype).expand(batch, -1, -1)
        x = torch.cat([states, positions], 2)  # [B, L, 2 d]
        query, key = (of(x).view(batch, length, self.heads, -1) for of in (self.query, self.key))  # [B, L, H, d / H]
        return dag_links(query, key, F.log_softmax(self.gates(x), 2), lengths)
