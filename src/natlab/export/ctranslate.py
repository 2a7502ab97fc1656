"""Autoregressive models in the form of CTranslate2, whose symbols are called by their numbers."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from natlab.bundles.engines._ctranslate2 import package
from natlab.bundles.engines.ctranslate2 import LONGEST
from natlab.models.layers import DecoderLayer, EncoderLayer, FeedForward
from natlab.models.transformer import Transformer

specs = package.specs


def convert(model: Transformer, folder: Path, precision: str) -> None:
    """Write a model's weights, ``float32`` or ``int8``, and vocabulary to a new folder."""
    config = model.config
    layers = config.encoder_layers, config.decoder_layers
    activation = {"relu": specs.Activation.RELU, "gelu": specs.Activation.GELU}[config.activation]
    spec = specs.TransformerSpec.from_config(layers, config.heads, pre_norm=False, activation=activation)
    for side, part in ((spec.encoder, model.encoder), (spec.decoder, model)):
        embeddings = side.embeddings[0] if side is spec.encoder else side.embeddings
        embeddings.weight = array(part.embedding.weight)
        side.scale_embeddings = config.scale_embeddings
        side.position_encodings.encodings = array(part.positions(0, LONGEST))
        for to, layer in zip(side.layer, part.layers, strict=True):
            fill(to, layer)
    spec.decoder.projection.weight = array(model.embedding.weight)
    for register, size in (
        (spec.register_source_vocabulary, config.source_vocabulary),
        (spec.register_target_vocabulary, config.target_vocabulary),
    ):
        register(list(map(str, range(size))))
    symbols = {"bos_token": config.bos, "eos_token": config.eos, "unk_token": config.eos + 1}
    for name, number in symbols.items():
        setattr(spec.config, name, str(number))
    spec.config.decoder_start_token = str(config.eos)
    spec.config.add_source_bos = spec.config.add_source_eos = False
    spec.validate()
    spec.optimize(quantization=None if precision == "float32" else precision)
    folder.mkdir(parents=True)
    spec.save(str(folder))


def fill(to: specs.LayerSpec, layer: EncoderLayer | DecoderLayer) -> None:
    """A layer's weights."""
    own, norms = to.self_attention, [(to.self_attention.layer_norm, layer.attention_norm)]
    linear(own.linear[0], layer.attention.qkv)
    linear(own.linear[1], layer.attention.out)
    if isinstance(layer, DecoderLayer):
        for number, part in enumerate((layer.cross.q, layer.cross.kv, layer.cross.out)):
            linear(to.attention.linear[number], part)
        norms.append((to.attention.layer_norm, layer.cross_norm))
    of: FeedForward = layer.feed_forward
    linear(to.ffn.linear_0, of.inner)
    linear(to.ffn.linear_1, of.outer)
    for norm, part in (*norms, (to.ffn.layer_norm, layer.feed_forward_norm)):
        norm.gamma, norm.beta = array(part.weight), array(part.bias)


def linear(to: specs.common_spec.LinearSpec, part: nn.Linear) -> None:
    to.weight, to.bias = array(part.weight), array(part.bias)


def array(parameter: nn.Parameter) -> NDArray[np.float32]:
    """A copy of the values: CTranslate2 turns weights into whole numbers in place."""
    return np.array(parameter.detach().float().cpu())
