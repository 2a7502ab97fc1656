"""The layers of the Transformer (Vaswani et al. 2017), post-norm, batch first, written for speed on CPU and GPU.

They compute what fairseq's layers compute (tests compare the two), with one matrix product for queries, keys and
values, no copy of a weight that is never trained, and dropout whose random numbers are cheap
on a CPU. Activations keep the dtype they come in with (float32 or bfloat16); parameters are float32 throughout.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from natlab.models.shapes import any_padded


class _CpuDropout(torch.autograd.Function):
    """Inverted dropout whose mask takes 16 random bits an element: torch's own takes most of a small layer's time."""

    @staticmethod
    def forward(ctx, x: Tensor, p: float) -> Tensor:
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.int16)[: x.numel()] >= round(p * 65536) - 32768
        mask = kept.view(x.shape).to(x.dtype).mul_(1 / (1 - p))
        ctx.save_for_backward(mask)
        return x * mask

    @staticmethod
    def backward(ctx, grad: Tensor):
        (mask,) = ctx.saved_tensors
        return grad * mask, None


class Dropout(nn.Module):
    """Inverted dropout with probability ``p`` (on CPU rounded to a multiple of 2^-16)."""

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return F.dropout(x, self.p) if x.is_cuda else _CpuDropout.apply(x, self.p)


class Linear(nn.Linear):
    """A linear layer that computes in its input's dtype from float32 parameters; Glorot uniform, zero bias.

    ``blocks`` projections may share the matrix: each is then initialised as a layer of its own.
    """

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0, blocks: int = 1):
        super().__init__(inputs, outputs)
        for block in self.weight.data.chunk(blocks):
            nn.init.xavier_uniform_(block, gain)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


class LayerNorm(nn.LayerNorm):
    """Layer normalisation in its input's dtype from float32 parameters."""

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)


def draw_normal(model: nn.Module, deviation: float = 0.02) -> None:
    """Draw all of a model's matrices and vectors from N(0, deviation²), as BERT's (Devlin et al. 2018) and AXE's
    (Ghazvininejad et al. 2020, section 4.1), but for biases and padding, which are 0, and layer norms, which stay."""
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            continue
        for name, parameter in module.named_parameters(recurse=False):
            nn.init.zeros_(parameter) if name == "bias" else nn.init.normal_(parameter, std=deviation)
        if isinstance(module, nn.Embedding):
            nn.init.zeros_(module.weight[module.padding_idx])


def sinusoidal_positions(length: int, dim: int, device: torch.device | None = None) -> Tensor:
    """Sinusoidal position embeddings [length, dim], float32 (Vaswani et al. 2017, section 3.5), laid out and numbered
    as fairseq does: sines in the first half, cosines in the second, the first position being number 2."""
    half = dim // 2
    frequency = torch.exp(torch.arange(half, device=device) * -(math.log(10000) / (half - 1)))
    angle = torch.arange(2, length + 2, device=device)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


class SinusoidalPositions(nn.Module):
    """Position embeddings that are computed, as many as are asked for."""

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim
        self.register_buffer("table", sinusoidal_positions(256, dim), persistent=False)

    def forward(self, start: int, end: int) -> Tensor:
        """Those [end - start, d] of positions start to end - 1."""
        if end > len(self.table):
            self.table = sinusoidal_positions(2 * end, self.dim, self.table.device)
        return self.table[start:end]


class LearnedPositions(nn.Module):
    """Position embeddings that are learned, ``count`` of them; all positions beyond share the last one."""

    def __init__(self, dim: int, count: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(count, dim) * dim**-0.5)

    def forward(self, start: int, end: int) -> Tensor:
        """Those [end - start, d] of positions start to end - 1."""
        if end <= len(self.weight):
            return self.weight[start:end]
        return self.weight[torch.arange(start, end, device=self.weight.device).clamp(max=len(self.weight) - 1)]


def position_embeddings(dim: int, learned: int | None) -> nn.Module:
    """So many ``learned`` ones, or sinusoidal ones where that is None."""
    return SinusoidalPositions(dim) if learned is None else LearnedPositions(dim, learned)


class Embedding(nn.Embedding):
    """Token embeddings, times sqrt(d) or times 1."""

    def __init__(self, vocabulary: int, dim: int, pad: int, scale: bool = True):
        super().__init__(vocabulary, dim, padding_idx=pad)
        nn.init.normal_(self.weight, std=dim**-0.5)
        nn.init.zeros_(self.weight[pad])
        self.scale = math.sqrt(dim) if scale else 1.0

    def scaled(self, tokens: Tensor) -> Tensor:
        """Embeddings [B, L, d] of tokens [B, L], without positions."""
        return super().forward(tokens) * self.scale


VECTOR = 64  # bytes of the widest vectors that a CPU's softmax takes at once


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool = False) -> Tensor:
    """Scaled dot-product attention of queries [B, heads, T, c] over keys and values [B, heads, S, c].

    On a CPU two batched products: torch's fused kernel is several times slower there for sentences of this length. Its
    softmax is, for rows that do not fill a vector of the machine, so that fewer keys are padded to one.
    """
    if q.is_cuda:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
    if causal:
        hidden = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).triu_(1)
        mask = torch.zeros(hidden.shape, dtype=q.dtype, device=q.device).masked_fill_(hidden, -math.inf)
    more = VECTOR // q.element_size() - k.shape[2]
    if more > 0 and q.shape[2] > 1:  # of one row it would cost more than it spares
        mask = q.new_zeros(1, 1, 1, k.shape[2]) if mask is None else mask
        k, v, mask = F.pad(k, (0, 0, 0, more)), F.pad(v, (0, 0, 0, more)), F.pad(mask, (0, more), value=-math.inf)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)  # [B, heads, T, S]
    if mask is not None:
        scores = scores + mask
    return torch.softmax(scores, dim=-1) @ v


class SelfAttention(nn.Module):
    """Multi-head self-attention over [B, L, d]."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = Linear(dim, 3 * dim, gain=2**-0.5, blocks=3)
        self.out = Linear(dim, dim)

    def project(self, x: Tensor) -> Tensor:
        """Queries, keys and values [3, B, heads, L, d / heads]."""
        batch, length, dim = x.shape
        return self.qkv(x).view(batch, length, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)

    def merge(self, x: Tensor) -> Tensor:
        """Heads [B, heads, L, d / heads] put together and mixed: [B, L, d]."""
        return self.out(x.transpose(1, 2).flatten(2))

    def forward(self, x: Tensor, mask: Tensor | None, causal: bool = False) -> Tensor:
        """``mask``: [B, 1, 1, L] added to the scores, 0 or -inf; or None. ``causal`` hides later positions instead."""
        q, k, v = self.project(x)
        return self.merge(attend(q, k, v, mask, causal))


class CrossAttention(nn.Module):
    """Multi-head attention of the decoder's [B, T, d] over the encoder's output."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q = Linear(dim, dim, gain=2**-0.5)
        self.kv = Linear(dim, 2 * dim, gain=2**-0.5, blocks=2)
        self.out = Linear(dim, dim)

    def memory(self, encoded: Tensor) -> Tensor:
        """Keys and values [2, B, heads, S, d / heads] of the encoder's output [B, S, d]."""
        batch, length, dim = encoded.shape
        return self.kv(encoded).view(batch, length, 2, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        batch, length, dim = x.shape
        q = self.q(x).view(batch, length, self.heads, dim // self.heads).transpose(1, 2)
        k, v = memory
        return self.out(attend(q, k, v, mask).transpose(1, 2).flatten(2))


ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}


class FeedForward(nn.Module):
    """Two linear layers with an activation between, one of `ACTIVATIONS`."""

    def __init__(self, dim: int, hidden: int, activation: str):
        super().__init__()
        self.inner = Linear(dim, hidden)
        self.outer = Linear(hidden, dim)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.activation(self.inner(x)))


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each with dropout, residual and layer norm after it."""

    def __init__(self, dim: int, hidden: int, heads: int, dropout: float, activation: str = "relu"):
        super().__init__()
        self.attention, self.attention_norm = SelfAttention(dim, heads), LayerNorm(dim)
        self.feed_forward, self.feed_forward_norm = FeedForward(dim, hidden, activation), LayerNorm(dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


class DecoderLayer(nn.Module):
    """Self-attention (causal or not), attention over the source, feed-forward."""

    def __init__(self, dim: int, hidden: int, heads: int, dropout: float, activation: str = "relu"):
        super().__init__()
        self.attention, self.attention_norm = SelfAttention(dim, heads), LayerNorm(dim)
        self.cross, self.cross_norm = CrossAttention(dim, heads), LayerNorm(dim)
        self.feed_forward, self.feed_forward_norm = FeedForward(dim, hidden, activation), LayerNorm(dim)
        self.dropout = Dropout(dropout)

    def forward(
        self, x: Tensor, memory: Tensor, source_mask: Tensor | None, mask: Tensor | None, causal: bool = False
    ) -> Tensor:
        """``x``: [B, T, d]; ``memory``, ``source_mask``: the source's keys, values and mask; ``mask``: the target's."""
        x = self.attention_norm(x + self.dropout(self.attention(x, mask, causal)))
        return self._after_attention(x, memory, source_mask)

    def step(self, x: Tensor, cache: Tensor, at: int | Tensor, memory: Tensor, source_mask: Tensor | None) -> Tensor:
        """One position of incremental decoding.

        ``x``: [N, K, d], the newest token of K hypotheses of each of N sentences; ``cache``: [2, N * K, heads, T, d /
        heads], where keys and values of position ``at`` are written, a number or one on the device [1], for which the
        positions beyond are masked and not left out; ``memory``: [2, N, heads, S, d / heads], shared by the hypotheses
        of a sentence, so that it is neither copied nor reordered.
        """
        sentences, hypotheses, dim = x.shape
        q, k, v = self.attention.project(x.reshape(sentences * hypotheses, 1, dim))
        if isinstance(at, int):
            cache[0, :, :, at] = k[:, :, 0]
            cache[1, :, :, at] = v[:, :, 0]
            seen, mask = cache[:, :, :, : at + 1], None
        else:
            seen = cache.index_copy_(3, at, torch.stack([k, v]))
            later = torch.arange(cache.shape[3], device=at.device) > at
            mask = torch.zeros(later.shape, dtype=x.dtype, device=at.device).masked_fill_(later, -math.inf)[
                None, None, None
            ]
        mixed = self.attention.merge(attend(q, seen[0], seen[1], mask))
        x = self.attention_norm(x + mixed.view(sentences, hypotheses, dim))
        return self._after_attention(x, memory, source_mask)

    def _after_attention(self, x: Tensor, memory: Tensor, source_mask: Tensor | None) -> Tensor:
        x = self.cross_norm(x + self.dropout(self.cross(x, memory, source_mask)))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


def attention_mask(padding: Tensor, dtype: torch.dtype) -> Tensor | None:
    """The additive mask [B, 1, 1, L] of padding [B, L] (True where padded); None where nothing is padded."""
    if not any_padded(padding):
        return None
    mask = torch.zeros(padding.shape, dtype=dtype, device=padding.device).masked_fill_(padding, -math.inf)
    return mask[:, None, None]
