"""What a non-autoregressive model says by its ONNX graph, against what it says by itself, for every family."""

import numpy as np
import onnxruntime
import pytest
import torch
from tests.decoding.models import model_of, random_sources

from natlab.bundles.reading import READINGS
from natlab.decoding import decode, pad_right
from natlab.export.onnx.nat import graph
from natlab.families import load
from natlab.kernels import use
from natlab.models.nat import NonAutoregressiveTransformer

V = 23
DIFFERENCE, FREE = {"name": "difference"}, {"name": "source", "factor": 3.0}
COPY = {"name": "copy"}
CODES = {"fill": {"name": "codes"}, "codebook": {"name": "moving", "size": 9}}
CANVAS = {"lengths": DIFFERENCE, "fill": COPY}
GRAPH = {"lengths": FREE, "fill": COPY, "links": True}
ARGMAX = {"kind": "argmax"}
CASES = {
    "vanilla": (CANVAS, ARGMAX),
    "three lengths": (CANVAS, {"kind": "argmax", "length_candidates": 3}),
    "longer": (CANVAS, {"kind": "argmax", "length_factor": 1.3, "deduplicate": True}),
    "cmlm": (
        {"lengths": {"name": "absolute", "longest": 31}, "fill": {"name": "mask"}},
        {"kind": "argmax", "length_candidates": 5},
    ),
    "the mean's length": ({"lengths": {"name": "absolute", "longest": 31, "read": "mean"}, "fill": COPY}, ARGMAX),
    "axe": (CANVAS | {"blank": True}, {"kind": "argmax", "length_candidates": 2}),
    "soft copy": (CANVAS | {"fill": {"name": "soft_copy"}}, ARGMAX),
    "of states, as printed": (CANVAS | {"fill": {"name": "soft_copy", "of": "states", "scaled": False}}, ARGMAX),
    "layer-wise supervision": (CANVAS | {"deep_supervision": True}, ARGMAX),
    "codes": (CANVAS | CODES, ARGMAX),
    "more codes": (CANVAS | CODES, {"kind": "argmax", "shown": 0.7}),
    "narrow codes, the rest a copy": (
        CANVAS | {"fill": {"name": "codes", "rest": "copy"}, "codebook": {"name": "learned", "size": 9, "dim": 4}},
        ARGMAX,
    ),
    "ctc": ({"lengths": FREE, "fill": COPY, "blank": True}, {"kind": "collapse"}),
    **{
        strategy: (GRAPH, {"kind": "graph", "strategy": strategy, "length_penalty": 0.9})
        for strategy in ("greedy", "lookahead", "viterbi", "joint_viterbi")
    },
    "codes on a graph": (GRAPH | CODES, {"kind": "graph", "strategy": "lookahead"}),
    "more codes on a graph": (GRAPH | CODES, {"kind": "graph", "strategy": "lookahead", "shown": 0.7}),
    "no code shown on a graph": (
        GRAPH | CODES,
        {"kind": "graph", "strategy": "joint_viterbi", "length_penalty": 1.5, "shown": 0.0},
    ),
    "paths drawn with all codes": (GRAPH | CODES, {"kind": "graph_sample", "shown": 1.0}),
    "paths drawn": (GRAPH, {"kind": "graph_sample"}),
    "warm paths": (GRAPH, {"kind": "graph_sample", "temperature": 1.0, "top_p": 1.0, "samples": 20, "beta": 0.3}),
}


def resolved(decoding):
    """A decoding with the options that a run's row leaves to their defaults."""
    kind = load("decoding", **{"name": decoding["kind"]}, **{k: v for k, v in decoding.items() if k != "kind"})
    return {"kind": decoding["kind"], **vars(kind)}


def said(made, decoding, blank, sources):
    """What the graph says of a batch."""
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    lengths = np.array([len(source) for source in sources])
    found = session.run(names, {"tokens": pad_right(sources, 1).numpy(), "source_lengths": lengths})
    outputs = dict(zip(names, found, strict=True))
    return outputs, READINGS[decoding["kind"]](outputs, decoding, blank, [source.tolist() for source in sources])


@pytest.mark.parametrize("case", CASES)
def test_a_graph_says_what_its_model_says(case):
    options, decoding = CASES[case]
    decoding = resolved(decoding)
    net = model_of(NonAutoregressiveTransformer, seed=3, vocabulary=V, **options)
    sources = random_sources(24, 30, V, seed=5)
    with use("reference"):
        expected = [target.tolist() for target in decode(net, pad_right(sources, 1), decoding)]
    made = graph(net, decoding)
    _, together = said(made, decoding, net.blank, sources)
    assert [each.tokens for each in together] == expected
    assert len({tuple(each) for each in expected}) > 4  # they say something
    alone = [said(made, decoding, net.blank, [source])[1][0] for source in sources[:6]]
    assert [each.tokens for each in alone] == expected[:6]
    assert [each.score for each in alone] == pytest.approx([each.score for each in together[:6]], abs=1e-4)


def test_lengths_and_scores_are_the_models():
    net = model_of(NonAutoregressiveTransformer, seed=3, vocabulary=V, **CANVAS)
    sources = random_sources(9, 12, V, seed=5)
    outputs, found = said(graph(net, ARGMAX), resolved(ARGMAX), False, sources)
    with torch.inference_mode():
        source = net.encoder(pad_right(sources, 1))
        lengths = net.lengths.likely(source, 1)
        logits = net.logits(net.decode(source, lengths[:, 0]))
        logits[:, :, [0, 1, 2]] = -torch.inf
        scores = logits.log_softmax(2).amax(2)
    assert outputs["lengths"].tolist() == lengths.tolist()
    for row, (length, of) in enumerate(zip(lengths[:, 0].tolist(), found, strict=True)):
        assert of.positions == length
        assert of.score == pytest.approx(scores[row, :length].mean().item(), abs=1e-5)
