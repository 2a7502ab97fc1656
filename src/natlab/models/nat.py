"""The non-autoregressive Transformer with length prediction (Gu et al. 2018; Qian et al. 2021; MPLE, appendix G)."""

import torch
from torch import Tensor, nn

from natlab.models.layers import Linear, attention_mask
from natlab.models.transformer import Config, Seq2Seq, Source

OPTIONS = ("canvas", "blank", "predictor")  # in a model's description, beside its Config
LARGEST_DIFFERENCE = 128  # target length less source length is one of -128 .. 127


def uniform_copy(source_lengths: Tensor, lengths: Tensor, width: int) -> Tensor:
    """Which source token each target position copies: [B, width], position t of a target of T tokens taking token
    round(t (S - 1) / (T - 1)) of the S (uniform copy, Gu et al. 2018, section 3.1). Lengths [B], eos not counted."""
    steps = torch.arange(width, device=lengths.device)
    ratio = (source_lengths - 1) / (lengths - 1).clamp(min=1)
    return torch.minimum((steps * ratio[:, None]).round().long(), source_lengths[:, None] - 1)


class NonAutoregressiveTransformer(Seq2Seq):
    """Predicts all tokens of a target at once, each independent of the others given the source and its length.

    The decoder's canvas has one position for each target token (no bos or eos). What it holds where no target token is
    revealed is the vanilla proxy input Z* of MPLE (appendix E.5), ``canvas``: ``copy`` the source's token embeddings,
    uniformly, or ``mask``, the same learned vector at all positions.

    blank: it may predict ε, which the symbol bos stands for, and which decoding removes (MPLE, appendix E.3);
    predictor: it has a head that says which positions a proxy input masks (MPLE, appendix E.6).
    """

    architecture = "nat"

    def __init__(self, config: Config, canvas: str = "copy", blank: bool = False, predictor: bool = False):
        super().__init__(config)
        self.canvas, self.blank, self.predictor = canvas, blank, predictor
        if canvas == "mask":
            self.mask_embedding = nn.Parameter(torch.randn(config.d_model))
        self.length = Linear(config.d_model, 2 * LARGEST_DIFFERENCE)
        if predictor:  # last, so that all other parameters start as without it
            self.masked = Linear(config.d_model, 1)

    def length_logits(self, source: Source) -> Tensor:
        """Scores [B, 256] over target length less source length (both without eos), from the encoder's mean state."""
        weights = (~source.padding).to(source.encoded.dtype)[:, :, None]
        mean = (source.encoded * weights).sum(1).float() / source.lengths[:, None]
        return self.length(mean)

    def length_class(self, source: Source, lengths: Tensor) -> Tensor:
        """The class [B] of target lengths [B], the outermost classes standing for all beyond."""
        return (lengths - (source.lengths - 1) + LARGEST_DIFFERENCE).clamp(0, 2 * LARGEST_DIFFERENCE - 1)

    def decode(
        self,
        source: Source,
        lengths: Tensor,
        revealed: Tensor | None = None,
        target: Tensor | None = None,
        memories: list[Tensor] | None = None,
    ) -> Tensor:
        """Decoder states [B, T, d] for targets of ``lengths`` [B] (T the longest).

        The states at a position do not depend on how far the batch is padded.
        revealed: [B, T] bool, positions that see their token of ``target`` [B, T] as proxy input; none without it.
        memories: the source's keys and values where the caller has them already.
        """
        width = int(lengths.max())
        steps = torch.arange(width, device=lengths.device)
        padding = steps >= lengths[:, None]
        if self.canvas == "copy":
            at = uniform_copy((source.lengths - 1).clamp(min=1), lengths, width)
            x = source.embedded.gather(1, at[:, :, None].expand(-1, -1, source.embedded.shape[2]))
        else:
            x = self.mask_embedding.expand(len(lengths), width, -1)
        if revealed is not None:
            x = torch.where(revealed[:, :, None], self.embedding.scaled(target), x)
        x = self.dropout(x + self.embedding.position(0, width)).to(source.encoded.dtype)
        mask = attention_mask(padding, x.dtype)
        for layer, memory in zip(self.layers, memories or source.memories(self.layers), strict=True):
            x = layer(x, memory, source.mask, mask)
        return x

    def masked_logits(self, states: Tensor) -> Tensor:
        """The logit [B, T] of "z_i is masked" from decoder states [B, T, d] under Z* (MPLE, appendix E.6).

        No gradient reaches the states: the head learns beside the model and changes nothing else of it.
        """
        return self.masked(states.detach().float())[:, :, 0]

    def description(self) -> dict:
        return {**super().description(), **{key: getattr(self, key) for key in OPTIONS}}
