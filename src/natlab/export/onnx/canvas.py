"""How many positions a canvas has and what they hold, as nodes: the members of `natlab.models.lengths` and
`natlab.models.fills`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from natlab import families
from natlab.errors import UserError
from natlab.export.onnx import layers
from natlab.export.onnx.writer import Writer
from natlab.models import draws
from natlab.models.codebooks._codebook import Codebook
from natlab.models.fills.codes import CodedCanvas
from natlab.models.lengths.difference import LARGEST
from natlab.models.nat import NonAutoregressiveTransformer


@dataclass
class Source:
    """An encoded batch, as names of values of the graph.

    tokens: [B, S], int64; lengths: [B], int64, the end of the sentence counted.
    embedded, encoded: [B, S, d].
    summary: [B, d], or None.
    """

    tokens: str
    lengths: str
    embedded: str
    encoded: str
    summary: str | None

    def chosen(self, write: Writer, rows: str) -> "Source":
        """The sentences ``rows`` [P] of the batch."""
        parts = (self.tokens, self.lengths, self.embedded, self.encoded)
        return Source(*(write("Gather", part, rows) for part in parts), self.summary)


@dataclass
class Canvas:
    """Canvases of P positions at most, as names of values of the graph.

    lengths: [B], int64, of each; width: [1], the longest; steps: [P], int64.
    inside: [B, P], bool.
    """

    lengths: str
    width: str
    steps: str
    inside: str

    @classmethod
    def of(cls, write: Writer, lengths: str) -> "Canvas":
        width = write("ReduceMax", lengths, keepdims=1)
        steps = layers.steps(write, width)
        return cls(lengths, width, steps, write("Less", steps, write.widened(lengths, 1)))


def likely_lengths(write: Writer, model: NonAutoregressiveTransformer, source: Source, count: int) -> str:
    """The ``count`` likeliest lengths [B, count], int64, as the model's own `likely`."""
    if model.free:
        if model.options["lengths"]["name"] != "source":
            raise refused("length", model.options["lengths"]["name"])
        return write.widened(rounded(write, source.lengths, model.lengths.factor), 1)
    if source.summary is not None:
        read = source.summary
    else:
        at = layers.steps(write, write.size(source.tokens, 1))
        padding = write("GreaterOrEqual", at, write.widened(source.lengths, 1))
        states = write("Where", write.widened(padding, 2), write.constant(0.0), source.encoded)  # [B, S, d]
        total = write("ReduceSum", states, write.integers(1), keepdims=0)
        count_of = write.widened(write.real(source.lengths), 1)
        read = write("Div", total, count_of)
    scores = layers.linear(write, model.lengths.linear, read)  # [B, N]
    _, classes = write("TopK", scores, write.integers(count), outputs=2, axis=1)
    return at_least_one(write, write("Add", classes, base(write, model, source)))


def base(write: Writer, model: NonAutoregressiveTransformer, source: Source) -> str:
    """The length that the first class stands for, of each sentence [B, 1] or of all."""
    name = model.options["lengths"]["name"]
    if name == "difference":
        return write.widened(write("Sub", source.lengths, write.integer(1 + LARGEST)), 1)
    if name == "absolute":
        return write.integer(1)
    raise refused("length", name)


def rounded(write: Writer, lengths: str, factor: float) -> str:
    """Lengths [...] times a factor, rounded half up, at least 1."""
    times = write("Mul", write.real(lengths), write.constant(factor))
    whole = write("Floor", write("Add", times, write.constant(0.5)))
    return at_least_one(write, write.cast(whole, TensorProto.INT64))


def at_least_one(write: Writer, lengths: str) -> str:
    return write("Max", lengths, write.integer(1))


def filled(
    write: Writer, model: NonAutoregressiveTransformer, source: Source, canvas: Canvas, shown: float | None
) -> str:
    """What canvases hold before anything is revealed [B, P, d]; ``shown``: the share of codes, the model's own if
    None."""
    name = model.options["fill"]["name"]
    if name not in FILLS:
        raise refused("fill", name)
    return FILLS[name](write, model, source, canvas, shown)


def copy(write: Writer, model: NonAutoregressiveTransformer, source: Source, canvas: Canvas, shown: None) -> str:
    """`natlab.models.fills.copy`."""
    last = write("Sub", words(write, source), write.integer(1))  # [B]
    at = write("Mul", write.real(canvas.steps), write.widened(ratio(write, last, canvas), 1))
    nearest = write.cast(write("Round", at), TensorProto.INT64)  # [B, P]
    rows = write("Min", nearest, write.widened(last, 1))
    return write("GatherND", source.embedded, write.widened(rows, 2), batch_dims=1)


def words(write: Writer, source: Source) -> str:
    """How many tokens [B] each source has, its end not counted, at least 1."""
    return at_least_one(write, write("Sub", source.lengths, write.integer(1)))


def ratio(write: Writer, last: str, canvas: Canvas) -> str:
    """(S - 1) / (P - 1) [B], of the last words' numbers S - 1 [B]."""
    steps = at_least_one(write, write("Sub", canvas.lengths, write.integer(1)))
    return write("Div", write.real(last), write.real(steps))


def mask(write: Writer, model: NonAutoregressiveTransformer, source: Source, canvas: Canvas, shown: None) -> str:
    """`natlab.models.fills.mask`."""
    size = write("Concat", write.size(canvas.inside, 0), canvas.width, write.integers(model.config.d_model), axis=0)
    return write("Expand", write.constant(layers.array(model.fill.vector)), size)


def soft_copy(write: Writer, model: NonAutoregressiveTransformer, source: Source, canvas: Canvas, shown: None) -> str:
    """`natlab.models.fills.soft_copy`."""
    copied = source.embedded if model.fill.of == "embeddings" else source.encoded
    return softly(write, copied, source, canvas, model.fill.tau, model.fill.scaled)


def softly(write: Writer, copied: str, source: Source, canvas: Canvas, tau: float, scaled: bool) -> str:
    """The soft copy [B, P, d] of ``copied`` [B, S, d]."""
    tokens = words(write, source)
    of_source = layers.steps(write, write.size(source.tokens, 1))  # [S]
    at = write.real(canvas.steps)
    if scaled:
        last = write("Sub", tokens, write.integer(1))
        at = write("Mul", at, write.widened(ratio(write, last, canvas), 1))  # [B, P]
    else:
        at = write.widened(at, 0)  # [1, P]
    far = write("Abs", write("Sub", write.real(of_source), write.widened(at, 2)))
    beyond = write("GreaterOrEqual", of_source, write.widened(tokens, 1, 2))  # [B, 1, S]
    near = write("Where", beyond, write.constant(-np.inf), write("Div", far, write.constant(-tau)))
    return write("MatMul", write("Softmax", near, axis=2), copied)


def codes(
    write: Writer, model: NonAutoregressiveTransformer, source: Source, canvas: Canvas, shown: float | None
) -> str:
    """`natlab.models.fills.codes`."""
    fill: CodedCanvas = model.fill
    options = fill.options
    copied = softly(write, source.encoded, source, canvas, options.tau, options.scaled)
    said = quantised(write, model.codebook, copied)
    kept = drawn(write, source, canvas, options.shown if shown is None else shown, options.seed)
    rest = copied if fill.mask is None else write.constant(layers.array(fill.mask))
    return write("Where", write.widened(kept, 2), said, rest)


def quantised(write: Writer, codebook: Codebook, states: str) -> str:
    """Each state [B, P, d] as its nearest code."""
    points = states if codebook.inward is None else layers.linear(write, codebook.inward, states)
    vectors = layers.array(codebook.vectors)
    near = write("MatMul", points, write.constant(vectors.T))
    far = write("Sub", write.constant((vectors**2).sum(1) / 2), near)
    index = write("ArgMin", far, axis=2, keepdims=0)
    found = write("Gather", write.constant(vectors), index)
    return found if codebook.outward is None else layers.linear(write, codebook.outward, found)


def drawn(write: Writer, source: Source, canvas: Canvas, share: float, seed: int) -> str:
    """The positions [B, P] that keep their code, as `CodedCanvas.drawn`: its random numbers, bit for bit."""
    chance = write("Where", canvas.inside, chances(write, source, canvas, seed), write.constant(np.inf, np.float64))
    ones, others = (write.widened(chance, axis) for axis in (2, 1))
    smaller = write.cast(write("Less", others, ones), TensorProto.INT64)  # [B, P, P]
    rank = write("ReduceSum", smaller, write.integers(2), keepdims=0)
    share_of = write("Mul", write.real(canvas.lengths), write.constant(share))
    count = write("Floor", write("Add", share_of, write.constant(1e-6)))
    kept = write("Less", write.real(rank), write.widened(count, 1))
    return write("And", kept, canvas.inside)


def chances(write: Writer, source: Source, canvas: Canvas, seed: int) -> str:
    """Random numbers [B, P] of each sentence, float64 (`natlab.models.draws.of_sentences`)."""

    def places(width: str) -> str:
        number = write("Add", layers.steps(write, width), write.integer(1))
        return write("Mul", number, write.integer(draws.GOLDEN))

    width = write.size(source.tokens, 1)
    inside = write("Less", layers.steps(write, width), write.widened(source.lengths, 1))
    of_words = mixed(write, write("Add", source.tokens, places(width)))
    of_words = write("Where", inside, of_words, write.integer(0))
    # a ReduceSum of ONNX Runtime adds integers up as float64, which 64 bits are too many for
    total = write("Gather", write("CumSum", of_words, write.integer(1)), write.integer(-1), axis=1)
    sentence = mixed(write, write("Add", total, write.integer(seed)))
    bits = mixed(write, write("Add", write.widened(sentence, 1), places(canvas.width)))
    top = write("BitShift", write.cast(bits, TensorProto.UINT64), write.constant(11, np.uint64), direction="RIGHT")
    return write("Div", write.cast(top, TensorProto.DOUBLE), write.constant(2.0**53, np.float64))


def mixed(write: Writer, x: str) -> str:
    """SplitMix64's finaliser of int64 numbers, whose products wrap."""
    for by, factor in ((30, -4658895280553007687), (27, -7723592293110705685), (31, None)):
        moved = write("BitShift", write.cast(x, TensorProto.UINT64), write.constant(by, np.uint64), direction="RIGHT")
        x = write("BitwiseXor", x, write.cast(moved, TensorProto.INT64))
        x = x if factor is None else write("Mul", x, write.integer(factor))
    return x


def refused(family: str, name: str) -> UserError:
    """For a member that has no nodes here."""
    module = families.module(family, name)
    return UserError(f"{module}: has no ONNX form; say it in natlab.export.onnx.canvas, or export another system")


FILLS: dict[str, Callable[..., str]] = {"copy": copy, "mask": mask, "soft_copy": soft_copy, "codes": codes}
