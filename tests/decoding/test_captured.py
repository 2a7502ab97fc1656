"""What CUDA graphs take of decodings: that sizes may be fixed, and that then nothing asks the device for one. The
graphs themselves: tests/kernels/test_captured.py."""

import pytest
import torch
import torch.nn.functional as F
from tests import plain
from tests.decoding.models import model_of, random_sources
from tests.decoding.test_decoding import CODES, CTC, GRAPH

from natlab import families
from natlab.decoding import captured, decode
from natlab.kernels import use
from natlab.models.shapes import fixed

CASES = [
    ({}, {"kind": "argmax"}),
    ({}, {"kind": "argmax", "length_candidates": 3, "deduplicate": True, "length_factor": 1.2}),
    ({"fill": {"name": "soft_copy"}, "blank": True}, {"kind": "argmax"}),
    ({"lengths": {"name": "absolute", "longest": 20}, "fill": {"name": "mask"}}, {"kind": "argmax"}),
    ({"deep_supervision": True}, {"kind": "argmax"}),
    (CODES, {"kind": "argmax"}),
    (CODES, {"kind": "argmax", "shown": 0.5, "reorder": "argmax"}),
    (CODES, {"kind": "argmax", "reorder": "permutation"}),
    (CTC, {"kind": "collapse"}),
    (GRAPH, {"kind": "graph", "strategy": "greedy"}),
    (GRAPH, {"kind": "graph", "strategy": "joint_viterbi"}),
    (GRAPH | CODES, {"kind": "graph", "shown": 0.5}),
]
cases = pytest.mark.parametrize("parts, decoding", CASES)


def kind_of(decoding):
    return families.load("decoding", decoding["kind"], **{k: v for k, v in decoding.items() if k != "kind"})


def widened(source, size, pad=1):
    return F.pad(source, (0, size - source.shape[1]), value=pad)


def test_every_kind_that_can_be_captured_is_among_them():
    those = {name for name in families.names("decoding") if families.trait("decoding", name, "captured", False)}
    assert {decoding["kind"] for _, decoding in CASES} == those - {"beam"}  # whose steps are tested beside
    assert all(captured.can_be(decoding) for _, decoding in CASES)


@cases
def test_wider_sources_and_canvases_say_the_same(parts, decoding):
    model, kind = model_of(plain.nat, 3, vocabulary=30, **parts), kind_of(decoding)
    found = set()
    for source in random_sources(25, 12, 30, seed=1):
        (plainly,) = decode(model, source[None], decoding)
        with fixed(192), torch.inference_mode():
            tensors = kind.compute(model, widened(source[None], 16))
        (fixed_sizes,) = kind.targets(model, *tensors)
        assert int(tensors[0].max()) <= 192 and torch.equal(plainly, fixed_sizes)
        found.add(tuple(plainly.tolist()))
    assert len(found) > 10


@cases
def test_with_fixed_sizes_the_device_is_asked_for_nothing(parts, decoding):
    """A tensor without data cannot answer."""
    model = model_of(plain.nat, 3, vocabulary=30, **parts).to("meta")
    source = torch.zeros(2, 16, dtype=torch.long, device="meta")
    with use("library"), fixed(64), torch.inference_mode():
        lengths, *_ = kind_of(decoding).compute(model, source)
    assert lengths.shape[0] == 2
    with pytest.raises(RuntimeError), torch.inference_mode():
        kind_of(decoding).compute(model, source)


def test_what_takes_another_model_or_given_lengths_is_refused():
    for options in ({"reranker": "teacher"}, {"reference_length": True}):
        assert not captured.can_be({"kind": "argmax", **options})
        with pytest.raises(ValueError, match="cannot be captured"):
            captured.Captured(None, {"kind": "argmax", **options})
    assert captured.can_be({"kind": "argmax", "reranker": None}) and not captured.can_be({"kind": "noisy"})


def test_sizes_between_share_a_graph():
    assert [captured.rounded(width) for width in (1, 8, 9, 16)] == [8, 8, 16, 16]
