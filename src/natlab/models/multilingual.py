"""One encoder for both languages, with or without codes: what AEQA-NAT's are pre-aligned on (Qu et al. 2025, section
2.3 and appendix A.2)."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from natlab import families
from natlab.models.cross_entropy import linear_cross_entropy
from natlab.models.layers import Embedding
from natlab.models.transformer import Config, Source, TwoSided


class MultilingualEncoder(TwoSided):
    """Encodes sentences of either side by the same layers, each by its own embeddings, or both by one table where the
    vocabulary is joint.

    codebook: a member of the family `codebook`, its name and options; none without it.
    encoder: a member of the family `encoder`, which others have trained, in place of its own: its name and options and,
    as ``shape``, what it says it is built from. It may be of another width, and reads both sides in pieces of its own.
    """

    name = "multilingual"

    def __init__(self, config: Config, codebook: Mapping | None = None, encoder: Mapping | None = None):
        given = reads = None
        if encoder is not None:
            options, shape = {key: value for key, value in encoder.items() if key != "shape"}, encoder["shape"]
            config = replace(config, d_model=shape["d_model"])
            given, reads = families.load("encoder", **options).build(shape, config.dropout, config.precision)
        super().__init__(config, given)
        self.reads = reads
        parts = {"codebook": codebook, "encoder": encoder}
        self.options = {key: None if part is None else dict(part) for key, part in parts.items()}
        self.mask = nn.Parameter(torch.randn(config.d_model))  # in place of a masked token's embedding
        self.codebook = None if codebook is None else families.load("codebook", **codebook).build(config)

    def take_pretrained(self) -> None:
        """Give an encoder that others have trained, and the mask, what they have trained."""
        self.mask.data.copy_(self.encoder.load())

    def encode_source(self, source: Tensor) -> Source:
        """Encode sources [B, S], each ending in eos."""
        return self.encoder(source if self.reads is None else self.reads[0](source))

    def encode_target(self, target: Tensor) -> Source:
        """Encode targets [B, T] without eos, which is put at their end."""
        return super().encode_target(target) if self.reads is None else self.encoder(self.reads[1](target))

    def coded(self, source: Tensor) -> Tensor:
        """The codes [N] that the words of sources [B, S], each ending in eos, are said in."""
        encoded = self.encode_source(source)
        return self.codebook(encoded.encoded).index[encoded.words]

    def denoised(
        self, clean: Tensor, noised: Tensor, masked: Tensor, embedding: Embedding, mean: Tensor | None
    ) -> Tensor:
        """States [B, S, d] of sentences ``clean`` [B, S] of the side whose ``embedding`` is given, of which the encoder
        sees ``noised`` [B, S], a mask where ``masked`` [B, S] and, at each token, ``mean`` [B, d]."""
        embedded = torch.where(masked[:, :, None], self.mask, embedding.scaled(noised))
        return self.encoder.encode(clean, embedded if mean is None else embedded + mean[:, None]).encoded

    def token_loss(
        self, states: Tensor, tokens: Tensor, embedding: Embedding, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        """Loss (a sum, in nats) and negative log-likelihoods [N] of tokens [N] of the side whose ``embedding`` is
        given, under states [N, d]."""
        return linear_cross_entropy(states, embedding.weight, tokens, smoothing)

    def description(self) -> dict:
        return {**super().description(), "architecture": {"name": self.name, **self.options}}
