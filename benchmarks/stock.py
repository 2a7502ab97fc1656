"""A stock fairseq Transformer with the weights of one of ours."""

import argparse

from natlab import compat
from natlab.models.transformer import Config, Transformer


def stock_transformer(config: Config, dictionary):
    """fairseq's Transformer of the same shape, with one vocabulary for both sides, in evaluation mode."""
    from fairseq.models.transformer import TransformerModel, base_architecture

    args = argparse.Namespace(dropout=config.dropout, share_all_embeddings=True)
    for side in ("encoder", "decoder"):
        setattr(args, f"{side}_embed_dim", config.d_model)
        setattr(args, f"{side}_ffn_embed_dim", config.d_hidden)
        setattr(args, f"{side}_layers", getattr(config, f"{side}_layers"))
        setattr(args, f"{side}_attention_heads", config.heads)
    base_architecture(args)
    task = argparse.Namespace(source_dictionary=dictionary, target_dictionary=dictionary)
    return TransformerModel.build_model(args, task).eval()


def fairseq_twin(ours: Transformer):
    """(fairseq's model, a dictionary for it): the same shape and weights as ``ours``."""
    compat.apply()
    from fairseq.data import Dictionary

    dictionary = Dictionary()
    for word in range(ours.config.target_vocabulary - len(dictionary)):
        dictionary.add_symbol(str(word))
    theirs = stock_transformer(ours.config, dictionary)
    into_fairseq(ours, theirs)
    return theirs, dictionary


def into_fairseq(ours: Transformer, theirs) -> None:
    """Copy our parameters into a fairseq Transformer of the same shape."""
    state = theirs.state_dict()

    def put(name, value):
        assert state[name].shape == value.shape, name
        state[name].copy_(value)

    def norm(theirs_name, layer):
        put(theirs_name + ".weight", layer.weight), put(theirs_name + ".bias", layer.bias)

    def projections(name, weights, biases):
        for letter, weight, bias in zip("qkv", weights, biases, strict=True):
            put(f"{name}.{letter}_proj.weight", weight), put(f"{name}.{letter}_proj.bias", bias)

    for side, layers in (("encoder", ours.encoder.layers), ("decoder", ours.layers)):
        put(f"{side}.embed_tokens.weight", ours.embedding.weight)
        for i, layer in enumerate(layers):
            at = f"{side}.layers.{i}"
            projections(f"{at}.self_attn", layer.attention.qkv.weight.chunk(3), layer.attention.qkv.bias.chunk(3))
            norm(f"{at}.self_attn.out_proj", layer.attention.out)
            norm(f"{at}.self_attn_layer_norm", layer.attention_norm)
            if side == "decoder":
                cross = layer.cross
                projections(
                    f"{at}.encoder_attn",
                    (cross.q.weight, *cross.kv.weight.chunk(2)),
                    (cross.q.bias, *cross.kv.bias.chunk(2)),
                )
                norm(f"{at}.encoder_attn.out_proj", cross.out)
                norm(f"{at}.encoder_attn_layer_norm", layer.cross_norm)
            norm(f"{at}.fc1", layer.feed_forward.inner)
            norm(f"{at}.fc2", layer.feed_forward.outer)
            norm(f"{at}.final_layer_norm", layer.feed_forward_norm)
    theirs.load_state_dict(state)
