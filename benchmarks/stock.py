"""A stock fairseq model with the weights of one of ours."""

import argparse

from natlab import compat
from natlab.models.transformer import Config, Seq2Seq


def stock_transformer(config: Config, dictionary, name: str = "transformer"):
    """fairseq's Transformer, or its CMLM for a ``nat``, of the same shape, with one vocabulary for both sides, in
    evaluation mode."""
    if name == "transformer":
        from fairseq.models.transformer import TransformerModel as Model
        from fairseq.models.transformer import base_architecture
    else:
        from fairseq.models.nat.cmlm_transformer import CMLMNATransformerModel as Model
        from fairseq.models.nat.cmlm_transformer import cmlm_base_architecture as base_architecture

    args = argparse.Namespace(
        dropout=config.dropout,
        share_all_embeddings=True,
        activation_fn=config.activation,
        no_scale_embedding=not config.scale_embeddings,
        max_source_positions=config.learned_positions,
        max_target_positions=config.learned_positions,
    )
    for side in ("encoder", "decoder"):
        setattr(args, f"{side}_embed_dim", config.d_model)
        setattr(args, f"{side}_ffn_embed_dim", config.d_hidden)
        setattr(args, f"{side}_layers", getattr(config, f"{side}_layers"))
        setattr(args, f"{side}_attention_heads", config.heads)
        setattr(args, f"{side}_learned_pos", config.learned_positions is not None)
    base_architecture(args)
    task = argparse.Namespace(source_dictionary=dictionary, target_dictionary=dictionary)
    return Model.build_model(args, task).eval()


def fairseq_twin(ours: Seq2Seq):
    """(fairseq's model, a dictionary for it): the same shape and weights as ``ours``."""
    compat.apply()
    from fairseq.data import Dictionary

    dictionary = Dictionary()
    for word in range(ours.config.target_vocabulary - len(dictionary)):
        dictionary.add_symbol(str(word))
    theirs = stock_transformer(ours.config, dictionary, ours.name)
    into_fairseq(ours, theirs)
    return theirs, dictionary


def into_fairseq(ours: Seq2Seq, theirs) -> None:
    """Copy our parameters into a fairseq model of the same shape, all that have a place there."""
    state = theirs.state_dict()

    def put(name, value):
        assert state[name].shape == value.shape, name
        state[name].copy_(value)

    def norm(theirs_name, layer):
        put(theirs_name + ".weight", layer.weight), put(theirs_name + ".bias", layer.bias)

    def projections(name, weights, biases):
        for letter, weight, bias in zip("qkv", weights, biases, strict=True):
            put(f"{name}.{letter}_proj.weight", weight), put(f"{name}.{letter}_proj.bias", bias)

    for side, of in (("encoder", ours.encoder), ("decoder", ours)):
        put(f"{side}.embed_tokens.weight", ours.embedding.weight)
        if ours.config.learned_positions is not None:  # theirs are numbered from pad + 1
            state[f"{side}.embed_positions.weight"][ours.config.pad + 1 :] = of.positions.weight
        for i, layer in enumerate(of.layers):
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
