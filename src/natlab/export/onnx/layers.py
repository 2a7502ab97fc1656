"""The layers of `natlab.models.layers` as nodes of ONNX Runtime."""

import numpy as np
from torch import nn

from natlab.export.onnx.writer import FUSED, Writer
from natlab.models import layers
from natlab.models.transformer import Encoder


def array(parameter: nn.Parameter) -> np.ndarray:
    """The values of a parameter."""
    return parameter.detach().float().cpu().numpy()


def product(write: Writer, linear: nn.Linear, x: str) -> str:
    """x [..., d] through a linear layer, without its bias."""
    return write("MatMul", x, write.constant(array(linear.weight).T))


def linear(write: Writer, layer: nn.Linear, x: str) -> str:
    """x [..., d] through a linear layer."""
    return write("Add", product(write, layer, x), write.constant(array(layer.bias)))


def steps(write: Writer, width: str) -> str:
    """0, 1, ... as int64 [width], of a width [1]."""
    scalar = write("Squeeze", width)
    return write("Range", write.integer(0), scalar, write.integer(1))


def positions(write: Writer, of: nn.Module, width: str) -> str:
    """Position embeddings [width, d]."""
    at = steps(write, width)
    if isinstance(of, layers.LearnedPositions):
        last = write.integer(len(of.weight) - 1)
        return write("Gather", write.constant(array(of.weight)), write("Min", at, last))
    half = of.dim // 2
    frequency = np.exp(np.arange(half, dtype=np.float32) * -(np.log(10000) / (half - 1)).astype(np.float32))
    number = write("Add", write.real(at), write.constant(2.0))
    angle = write("Mul", write.widened(number, 1), write.constant(frequency))  # [width, d / 2]
    return write("Concat", write("Sin", angle), write("Cos", angle), axis=1)


def embedded(write: Writer, embedding: layers.Embedding, tokens: str) -> str:
    """Token embeddings [..., d], scaled, of tokens [...]."""
    found = write("Gather", write.constant(array(embedding.weight)), tokens)
    return write("Mul", found, write.constant(embedding.scale))


def joined(write: Writer, norm: nn.LayerNorm, of: nn.Linear, states: str, x: str) -> str:
    """Layer norm of x [B, L, d] and, joined to it, ``states`` [B, L, ...] through a linear layer."""
    y = product(write, of, states)
    parameters = (write.constant(array(value)) for value in (norm.weight, norm.bias, of.bias))
    return write("SkipLayerNormalization", y, x, *parameters, domain=FUSED, epsilon=norm.eps)


def self_attention(write: Writer, attention: layers.SelfAttention, x: str, lengths: str) -> str:
    """What each position of x [B, L, d] takes from the first ``lengths`` [B] (int32), before the output layer."""
    weight, bias = (write.constant(value) for value in (array(attention.qkv.weight).T, array(attention.qkv.bias)))
    return write("Attention", x, weight, bias, lengths, domain=FUSED, num_heads=attention.heads)


def cross_attention(write: Writer, attention: layers.CrossAttention, x: str, encoded: str, lengths: str) -> str:
    """What x [B, T, d] takes from the source's states [B, S, d], the first ``lengths`` [B] (int32) of them, before the
    output layer."""
    query = product(write, attention.q, x)
    dim = attention.q.out_features
    weight = array(attention.kv.weight)
    key, value = (write("MatMul", encoded, write.constant(part.T)) for part in (weight[:dim], weight[dim:]))
    bias = write.constant(np.concatenate([array(attention.q.bias), array(attention.kv.bias)]))
    inputs = query, key, value, bias, lengths
    return write("MultiHeadAttention", *inputs, domain=FUSED, num_heads=attention.heads)


ACTIVATIONS = {layers.ACTIVATIONS[name]: operator for name, operator in (("relu", "Relu"), ("gelu", "Gelu"))}


def feed_forward(write: Writer, layer: nn.Module, x: str) -> str:
    """x [B, L, d] through a layer's feed-forward part, joined and normalised."""
    of = layer.feed_forward
    activation = ACTIVATIONS[of.activation]
    inner = linear(write, of.inner, x)
    hidden = write(activation, inner, domain=FUSED if activation == "Gelu" else "")
    return joined(write, layer.feed_forward_norm, of.outer, hidden, x)


def encoder(write: Writer, of: Encoder, tokens: str, lengths: str) -> tuple[str, str, str | None]:
    """Embeddings [B, S, d] of tokens [B, S], the first ``lengths`` [B] (int32) of them; their states [B, S, d]; and the
    state [B, d] of the vector before the sentence, of an encoder that has one."""
    words = embedded(write, of.embedding, tokens)
    x = write("Add", words, positions(write, of.positions, write.size(tokens, 1)))
    if of.summary is not None:
        size = write("Concat", write.size(tokens, 0), write.integers(1, of.config.d_model), axis=0)
        first = write("Expand", write.constant(array(of.summary)), size)
        x = write("Concat", first, x, axis=1)
        lengths = write("Add", lengths, write.constant(1, np.int32))
    for layer in of.layers:
        x = joined(
            write, layer.attention_norm, layer.attention.out, self_attention(write, layer.attention, x, lengths), x
        )
        x = feed_forward(write, layer, x)
    if of.summary is None:
        return words, x, None
    states = write("Slice", x, write.integers(1), write.integers(2**62), write.integers(1))
    return words, states, write("Gather", x, write.integer(0), axis=1)


def decoder_layer(write: Writer, layer: layers.DecoderLayer, x: str, lengths: str, encoded: str, of_source: str) -> str:
    """x [B, T, d], the first ``lengths`` [B] of it, through a layer over states [B, S, d], the first ``of_source``."""
    seen = self_attention(write, layer.attention, x, lengths)
    x = joined(write, layer.attention_norm, layer.attention.out, seen, x)
    taken = cross_attention(write, layer.cross, x, encoded, of_source)
    x = joined(write, layer.cross_norm, layer.cross.out, taken, x)
    return feed_forward(write, layer, x)
