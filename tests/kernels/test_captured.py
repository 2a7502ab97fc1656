"""Decoding by CUDA graphs, against decoding without them, with the kernels that both launch."""

import pytest
import torch
from tests import plain
from tests.decoding.models import model_of, random_sources
from tests.decoding.test_captured import CASES

from natlab.decoding import captured, decode
from natlab.models.transformer import Transformer

BEAM = [(None, {"kind": "beam", "beam": 1}), (None, {"kind": "beam", "beam": 5})]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("parts, decoding", [*CASES, *BEAM])
def test_cuda_graphs_find_what_decoding_finds(parts, decoding):
    """In any order, from first to third use of a size; canvases longer than was thought, and tables made anew."""
    make = Transformer if parts is None else plain.nat
    model = model_of(make, 3, vocabulary=30, **parts or {}).cuda()
    capture = captured.Captured(model, decoding)
    sources = [source[None].cuda() for source in random_sources(40, 30, 30, seed=1)]
    long = torch.cat([*(source[:, :-1] for source in sources), sources[0]], 1)
    assert long.shape[1] > 256
    for source in [*sources, long, *sources[::-1]]:
        (wanted,) = decode(model, source, decoding)
        (found,) = capture(source)
        assert torch.equal(wanted.cpu(), found)
    assert len(capture.decode.graphs) < len(sources)
