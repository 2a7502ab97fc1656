"""The Transformer: the encoder both architectures share, and the autoregressive model (the teacher)."""

from dataclasses import asdict, dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from natlab.models.cross_entropy import likeliest, linear_cross_entropy
from natlab.models.layers import (
    DecoderLayer,
    Dropout,
    Embedding,
    EncoderLayer,
    attention_mask,
    position_embeddings,
)


@dataclass(frozen=True)
class Config:
    """What determines a model's parameters. Special symbols have fairseq's ids: 0 bos, 1 pad, 2 eos, 3 unk."""

    d_model: int
    d_hidden: int
    encoder_layers: int
    decoder_layers: int
    heads: int
    dropout: float
    source_vocabulary: int
    target_vocabulary: int
    joint_vocabulary: bool
    learned_positions: int | None = None  # how many encoder and decoder have each; sinusoidal ones without
    activation: str = "relu"  # or gelu, of the feed-forward layers
    scale_embeddings: bool = True  # by sqrt(d)
    precision: str = "fp32"  # in training. bf16: matrix products and activations in bfloat16, parameters in float32
    bos: int = 0
    pad: int = 1
    eos: int = 2


@dataclass
class Source:
    """An encoded batch of source sentences.

    tokens: [B, S].
    embedded: [B, S, d], token embeddings without positions.
    encoded: [B, S, d].
    padding: [B, S], True where padded; mask: the same for attention, or None.
    lengths: [B], the end-of-sentence symbol counted.
    summary: [B, d], the state of a vector before the sentence, of an encoder that has one.
    """

    tokens: Tensor
    embedded: Tensor
    encoded: Tensor
    padding: Tensor
    mask: Tensor | None
    lengths: Tensor
    summary: Tensor | None = None

    @property
    def mean(self) -> Tensor:
        """The mean state [B, d] of the words."""
        weights = self.words / self.words.sum(1, keepdim=True).clamp(min=1)  # [B, S]
        return (self.encoded * weights[:, :, None].to(self.encoded.dtype)).sum(1)

    def repeated(self, times: int) -> "Source":
        """The batch with each sentence ``times`` times in a row."""
        if times == 1:
            return self
        return self.chosen(torch.arange(len(self.lengths), device=self.lengths.device).repeat_interleave(times))

    def chosen(self, rows: Tensor) -> "Source":
        """The sentences ``rows`` [P] of the batch, in their order; a sentence may come several times."""
        parts = (getattr(self, field.name) for field in fields(self))
        return Source(*(part if part is None else part.index_select(0, rows) for part in parts))

    @property
    def words(self) -> Tensor:
        """Bool [B, S]: the tokens but for eos."""
        return torch.arange(self.padding.shape[1], device=self.lengths.device) < self.lengths[:, None] - 1

    def memories(self, layers: nn.ModuleList) -> list[Tensor]:
        """For each decoder layer, keys and values [2, B, heads, S, d / heads]."""
        return [layer.cross.memory(self.encoded) for layer in layers]


class Encoder(nn.Module):
    """Embeddings and the encoder's layers. ``summary``: a learned vector before the sentence, whose state stands for
    all of it and which the decoder does not see (CMLM's LENGTH, Ghazvininejad et al. 2019); none unless given."""

    def __init__(self, config: Config, embedding: Embedding):
        super().__init__()
        self.config = config
        self.precision = config.precision
        self.register_parameter("summary", None)
        self.embedding = embedding
        self.positions = position_embeddings(config.d_model, config.learned_positions)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(config.d_model, config.d_hidden, config.heads, config.dropout, config.activation)
            for _ in range(config.encoder_layers)
        )

    def forward(self, tokens: Tensor, embedding: Embedding | None = None) -> Source:
        """Encode tokens [B, S], padded on the right, each sentence ending in eos; the source's, unless another side's
        ``embedding`` is given."""
        return self.encode(tokens, (embedding or self.embedding).scaled(tokens))

    def encode(self, tokens: Tensor, embedded: Tensor) -> Source:
        """The same of tokens whose embeddings are ``embedded`` [B, S, d]."""
        padding = tokens.eq(self.config.pad)
        x = self.dropout(embedded + self.positions(0, tokens.shape[1]))
        if self.precision == "bf16":
            x = x.bfloat16()
        mask = attention_mask(padding, x.dtype)  # [B, 1, 1, S]
        lengths = (~padding).sum(1)
        if self.summary is None:
            return Source(tokens, embedded, self._through(x, mask), padding, mask, lengths)
        first = self.summary.to(x.dtype).expand(len(x), 1, -1)  # [B, 1, d], without a position
        x = self._through(torch.cat([first, x], 1), None if mask is None else F.pad(mask, (1, 0)))
        return Source(tokens, embedded, x[:, 1:], padding, mask, lengths, x[:, 0])

    def _through(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for layer in self.layers:
            x = layer(x, mask)
        return x


class TwoSided(nn.Module):
    """What all architectures share: embeddings of both sides and an encoder; one ``encoder`` that is given has one
    table for both."""

    name: str  # of the architecture

    def __init__(self, config: Config, encoder: nn.Module | None = None):
        super().__init__()
        self.config = config
        if encoder is not None:
            self.encoder, self.embedding = encoder, encoder.embedding
            return

        def embedding(vocabulary: int) -> Embedding:
            return Embedding(vocabulary, config.d_model, config.pad, config.scale_embeddings)

        source = embedding(config.source_vocabulary)
        self.encoder = Encoder(config, source)
        self.embedding = source if config.joint_vocabulary else embedding(config.target_vocabulary)

    @property
    def device(self) -> torch.device:
        return self.embedding.weight.device

    def encode_target(self, target: Tensor) -> Source:
        """The target [B, T] through the encoder, by its own embeddings, eos put at its end."""
        return self.encoder(self.ended(target), self.embedding)

    def ended(self, target: Tensor) -> Tensor:
        """Targets [B, T] without eos, padded on the right, with it: [B, T + 1]."""
        ended = F.pad(target, (0, 1), value=self.config.pad)
        return ended.scatter_(1, target.ne(self.config.pad).sum(1, keepdim=True), self.config.eos)

    def description(self) -> dict:
        """What `natlab.models.load` needs to build this model again."""
        return {"architecture": {"name": self.name}, **asdict(self.config)}


class Seq2Seq(TwoSided):
    """What both translate with: decoder layers, and an output layer tied to the target's embeddings."""

    def __init__(self, config: Config):
        super().__init__(config)
        self.positions = position_embeddings(config.d_model, config.learned_positions)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(
            DecoderLayer(config.d_model, config.d_hidden, config.heads, config.dropout, config.activation)
            for _ in range(config.decoder_layers)
        )

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores over the target vocabulary, [..., V], in float32, of decoder states [..., d]."""
        return F.linear(hidden, self.embedding.weight.to(hidden.dtype)).float()

    def token_loss(self, hidden: Tensor, target: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        """Loss (a sum, in nats) and negative log-likelihoods [N] of target [N] under decoder states [N, d]."""
        return linear_cross_entropy(hidden, self.embedding.weight, target, smoothing)

    def sentence_loss(
        self, hidden: Tensor, target: Tensor, predicted: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        """Loss (a sum, in nats) and negative log-likelihood of each sentence [B] of target [B, T] under decoder states
        [B, T, d], where ``predicted`` [B, T]."""
        loss, nll = self.token_loss(hidden[predicted], target[predicted], smoothing)
        return loss, nll.new_zeros(len(target)).index_add_(0, predicted.nonzero()[:, 0], nll)

    def likeliest(self, hidden: Tensor, among: Tensor | None = None, by_kernels: bool = False) -> tuple[Tensor, Tensor]:
        """The likeliest token [N] of decoder states [N, d], and log sum exp of its logits [N], in nats; ``among`` the
        tokens [R], or all of the vocabulary; ``by_kernels`` as of `natlab.models.cross_entropy.likeliest`."""
        if among is None:
            return likeliest(hidden, self.embedding.weight, by_kernels=by_kernels)
        which, normaliser = likeliest(hidden, self.embedding.weight[among], by_kernels=by_kernels)
        return among[which], normaliser


class Transformer(Seq2Seq):
    """The autoregressive Transformer (Vaswani et al. 2017)."""

    name = "transformer"

    def forward(self, source_tokens: Tensor, previous: Tensor) -> Tensor:
        """Decoder states [B, T, d] under teacher forcing: ``previous`` [B, T] begins with eos and is right-padded."""
        return self.decode(self.encoder(source_tokens), previous)

    def decode(self, source: Source, previous: Tensor) -> Tensor:
        """The same of an encoded source."""
        x = self.embedding.scaled(previous) + self.positions(0, previous.shape[1])
        x = self.dropout(x).to(source.encoded.dtype)
        for layer, memory in zip(self.layers, source.memories(self.layers), strict=True):
            # padding is on the right, so no position that counts looks at it
            x = layer(x, memory, source.mask, None, causal=True)
        return x
