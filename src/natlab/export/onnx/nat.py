"""A non-autoregressive Transformer and the choices of a decoding, as one ONNX graph: from source tokens to what
`natlab.bundles.reading` makes targets of."""

import numpy as np
import onnx
from onnx import TensorProto

from natlab.export.onnx import layers
from natlab.export.onnx.canvas import Canvas, Source, filled, likely_lengths, rounded
from natlab.export.onnx.writer import FUSED, Writer
from natlab.models.nat import NonAutoregressiveTransformer

NEVER = -1e30  # added to logits of symbols that no target holds


def graph(model: NonAutoregressiveTransformer, decoding: dict) -> onnx.ModelProto:
    """Inputs: tokens [B, S], int64, padded on the right, and their lengths [B], int64, the end counted. Outputs, of K
    canvases a sentence of P positions at most (K is 1 but for several length candidates):

    lengths: [B, K], int64. said: [B, K, P], int64, the likeliest of those that a target may hold; scores: [B, K, P],
    their log-probabilities, in nats. Of a graph also, for decodings that follow the best link, following: [B, P],
    int64, the vertex after each one; for others links: [B, P, P], log-probabilities of the transitions.
    """
    write = Writer()
    tokens = write.input("tokens", "int64", ["batch", "source"])
    lengths = write.input("source_lengths", "int64", ["batch"])
    embedded, encoded, summary = layers.encoder(write, model.encoder, tokens, write.cast(lengths, TensorProto.INT32))
    source = Source(tokens, lengths, embedded, encoded, summary)
    count = decoding.get("length_candidates", 1)
    likely = likely_lengths(write, model, source, count)  # [B, K]
    if decoding.get("length_factor", 1) != 1:
        likely = rounded(write, likely, decoding["length_factor"])
    canvas = Canvas.of(write, write("Reshape", likely, write.integers(-1)))
    if count > 1:
        times = write("Mul", write.size(tokens, 0), write.integers(count))
        rows = write("Div", layers.steps(write, times), write.integer(count))
        source = source.chosen(write, rows)
    states = decoded(write, model, source, canvas, decoding.get("shown"))
    write.output("lengths", likely, "int64", ["batch", "candidates"])
    if model.links is None:
        said, scores = likeliest(write, model, states)
    else:
        said, scores = vertices(write, model, states, canvas)
        links = transitions(write, model, states, canvas)
        if decoding["kind"] == "graph" and decoding["strategy"] in ("lookahead", "greedy"):
            weighed = links
            if decoding["strategy"] == "lookahead":
                weighed = write("Add", links, write.widened(scores, 1))
            following = write("ArgMax", weighed, axis=2, keepdims=0)
            write.output("following", following, "int64", ["batch", "positions"])
        else:
            write.output("links", links, "float32", ["batch", "positions", "positions"])
    shape = write("Concat", write("Shape", likely), write.integers(-1), axis=0)
    for name, value, type in (("tokens", said, "int64"), ("scores", scores, "float32")):
        value = write("Reshape", value, shape)
        write.output("said" if name == "tokens" else name, value, type, ["batch", "candidates", "positions"])
    return write.model()


def decoded(
    write: Writer, model: NonAutoregressiveTransformer, source: Source, canvas: Canvas, shown: float | None
) -> str:
    """Decoder states [B, P, d]."""
    x = write(
        "Add", filled(write, model, source, canvas, shown), layers.positions(write, model.positions, canvas.width)
    )
    lengths, of_source = (write.cast(value, TensorProto.INT32) for value in (canvas.lengths, source.lengths))
    for number, layer in enumerate(model.layers):
        if model.joins is not None and number:
            tokens = write("ArgMax", logits(write, model, x), axis=2, keepdims=0)
            both = write("Concat", x, layers.embedded(write, model.embedding, tokens), axis=2)
            x = layers.linear(write, model.joins[number - 1], both)
        x = layers.decoder_layer(write, layer, x, lengths, source.encoded, of_source)
    return x


def logits(write: Writer, model: NonAutoregressiveTransformer, states: str) -> str:
    return write("MatMul", states, write.constant(layers.array(model.embedding.weight).T))


def without(write: Writer, model: NonAutoregressiveTransformer, scores: str, never: list[int]) -> str:
    """Scores [..., V] in which some symbols are never best."""
    least = np.zeros(len(model.embedding.weight), dtype=np.float32)
    least[never] = NEVER
    return write("Add", scores, write.constant(least))


def likeliest(write: Writer, model: NonAutoregressiveTransformer, states: str) -> tuple[str, str]:
    """`natlab.decoding.kinds.argmax.likeliest`."""
    config = model.config
    never = [config.pad, config.eos] + [config.bos] * (not model.blank)
    scores = without(write, model, logits(write, model, states), never)
    best = write("ReduceMax", write("LogSoftmax", scores, axis=2), write.integers(2), keepdims=0)
    return write("ArgMax", scores, axis=2, keepdims=0), best


def vertices(write: Writer, model: NonAutoregressiveTransformer, states: str, canvas: Canvas) -> tuple[str, str]:
    """Tokens and scores [B, P] of `natlab.models.graph.Graph.of_states`."""
    config = model.config
    every = logits(write, model, states)
    said = write("ArgMax", without(write, model, every, [config.pad, config.bos, config.eos]), axis=2, keepdims=0)
    last = write.widened(write("Sub", canvas.lengths, write.integer(1)), 1)
    said = write("Where", write("Equal", canvas.steps, write.integer(0)), write.integer(config.bos), said)
    said = write("Where", write("Equal", canvas.steps, last), write.integer(config.eos), said)
    every = write("LogSoftmax", every, axis=2)
    own = write("GatherElements", every, write.widened(said, 2), axis=2)
    return said, write("Squeeze", own, write.integers(2))


def transitions(write: Writer, model: NonAutoregressiveTransformer, states: str, canvas: Canvas) -> str:
    """Log-probabilities [B, P, P] of `natlab.kernels.dag_links`."""
    of = model.links
    at = layers.positions(write, of.positions, canvas.width)
    x = write("Concat", states, write("Expand", write.widened(at, 0), write("Shape", states)), axis=2)
    dim = model.config.d_model // of.heads
    query, key = (
        write("Reshape", layers.linear(write, part, x), write.integers(0, 0, of.heads, dim))
        for part in (of.query, of.key)
    )
    query = write("Transpose", query, perm=[0, 2, 1, 3])  # [B, H, P, d / H]
    key = write("Transpose", key, perm=[0, 2, 3, 1])
    scores = write("FusedMatMul", query, key, domain=FUSED, alpha=dim**-0.5)  # [B, H, P, P]
    later = write("Less", write.widened(canvas.steps, 1), canvas.steps)  # [P, P]
    reached = write("And", later, write.widened(canvas.inside, 1))  # [B, P, P]
    scores = write("Where", write.widened(reached, 1), scores, write.constant(NEVER))
    gates = write("LogSoftmax", layers.linear(write, of.gates, x), axis=2)  # [B, P, H]
    gates = write.widened(write("Transpose", gates, perm=[0, 2, 1]), 3)
    shares = write("Add", write("LogSoftmax", scores, axis=3), gates)
    # log sum exp over heads; ONNX Runtime's own takes several times as long
    best = write("ReduceMax", shares, write.integers(1), keepdims=1)
    total = write("ReduceSum", write("Exp", write("Sub", shares, best)), write.integers(1), keepdims=0)
    found = write("Add", write("Log", total), write("Squeeze", best, write.integers(1)))
    return write("Where", reached, found, write.constant(-np.inf))
