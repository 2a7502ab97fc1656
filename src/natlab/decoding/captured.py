"""Decoding by CUDA graphs: all that a GPU does for a batch is launched at once, where launching hundreds of kernels one
by one takes several times as long as a sentence's arithmetic.

A CUDA graph has fixed shapes and asks the device for nothing. Sources are padded to a multiple of `STEP`, canvases are
as wide as may be needed, and what a decoding computes is captured once for each of these sizes. Graphs are captured
when their sizes first come, which takes as long as some sentences, and kept.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from natlab import families
from natlab.decoding.beam_steps import Steps
from natlab.models.layers import SinusoidalPositions
from natlab.models.shapes import fixed
from natlab.models.transformer import Seq2Seq

STEP = 8  # positions; sizes between share a graph


def rounded(width: int) -> int:
    """Up to a multiple of `STEP`."""
    return -(-width // STEP) * STEP


def can_be(decoding: Mapping) -> bool:
    """Whether what a decoding computes can be captured: of its kind, and without another model or given lengths."""
    whole = not decoding.get("reranker") and not decoding.get("reference_length")
    return whole and families.trait("decoding", decoding["kind"], "captured", False)


class Captured:
    """A model's decoding on a GPU: of each source sentence [B, S] the best target [T], on the CPU, that
    `natlab.decoding.decode` finds."""

    def __init__(self, model: Seq2Seq, decoding: Mapping):
        if not can_be(decoding):
            raise ValueError(f"{decoding['kind']}: cannot be captured as a CUDA graph with these options: {decoding}")
        options = {key: value for key, value in decoding.items() if key != "kind"}
        kind = families.load("decoding", decoding["kind"], **options)
        self.pad = model.config.pad
        self.decode = (_Stepwise if hasattr(kind, "steps") else _AtOnce)(model, kind)

    @torch.inference_mode()
    def __call__(self, source: Tensor) -> list[Tensor]:
        more = rounded(source.shape[1]) - source.shape[1]
        with torch.cuda.device(source.device):
            return self.decode(F.pad(source, (0, more), value=self.pad))


class _Recorder:
    """Captures what a model computes. The graphs of a recorder share the memory that they need while they run, as no
    two run at a time; what they leave is theirs."""

    def __init__(self, model: Seq2Seq):
        self.model = model
        self.pool = torch.cuda.graph_pool_handle()
        self.read: list[Tensor] = []  # by graphs, though the model may have put others in their place

    def __call__(self, compute: Callable[[], Any]) -> tuple[torch.cuda.CUDAGraph, Any]:
        """A graph of it, and what it returned, which each replay fills anew."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            compute()  # whatever is made at a first call is made before
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # other threads, such as those that fetch batches, may go on
        with torch.cuda.graph(graph, pool=self.pool, capture_error_mode="thread_local"):
            results = compute()
        self.read += [module.table for module in self.model.modules() if isinstance(module, SinusoidalPositions)]
        return graph, results


class _AtOnce:
    """All of a batch by one graph (``compute`` of a decoding's kind); the CPU makes targets of it (``targets``). Where
    a canvas turns out longer than was thought, the batch is computed again."""

    def __init__(self, model: Seq2Seq, kind: Any):
        self.model, self.kind = model, kind
        self.record = _Recorder(model)
        self.graphs: dict[tuple[int, int, int], tuple[Tensor, torch.cuda.CUDAGraph, tuple[Tensor, ...]]] = {}

    def __call__(self, source: Tensor) -> list[Tensor]:
        width = self._enough(source.shape[1])
        while True:
            given, graph, results = self._of(source, width)
            given.copy_(source)
            graph.replay()
            lengths, *others = (result.cpu() for result in results)
            longest = int(lengths.max())
            if longest <= width:
                return self.kind.targets(self.model, lengths, *others)
            width = rounded(longest)

    def _enough(self, size: int) -> int:
        """How wide canvases are at first, of sources of ``size`` tokens: what follows from these or, of lengths that
        are predicted, somewhat more."""
        if not self.model.free:
            return size + STEP
        return rounded(int(self.model.lengths.of(torch.tensor([size])).max()))

    def _of(self, source: Tensor, width: int) -> tuple[Tensor, torch.cuda.CUDAGraph, tuple[Tensor, ...]]:
        """For sources like ``source`` [B, S] and canvases of ``width``: where sources are put, the graph, and where it
        leaves what was computed, the canvases' lengths first."""
        key = (*source.shape, width)
        if key not in self.graphs:
            given = source.clone()
            with fixed(width):
                self.graphs[key] = given, *self.record(lambda: self.kind.compute(self.model, given))
        return self.graphs[key]


class _Stepwise:
    """A graph that begins (``start`` of `natlab.decoding.beam_steps.Steps`), and one for each token (``step``)."""

    def __init__(self, model: Seq2Seq, kind: Any):
        self.model, self.kind = model, kind
        self.record = _Recorder(model)
        self.graphs: dict[tuple[int, int], tuple[Steps, torch.cuda.CUDAGraph, torch.cuda.CUDAGraph]] = {}

    def __call__(self, source: Tensor) -> list[Tensor]:
        steps, start, step = self._of(source)
        steps.source_tokens.copy_(source)
        start.replay()
        step.replay()
        while steps.going.any():
            step.replay()
        return steps.targets()

    def _of(self, source: Tensor) -> tuple[Steps, torch.cuda.CUDAGraph, torch.cuda.CUDAGraph]:
        """The search over sources like ``source`` [B, S], and the graphs of its start and of a step."""
        key = tuple(source.shape)
        if key not in self.graphs:
            steps = self.kind.steps(self.model, source.clone())
            start, _ = self.record(steps.start)
            start.replay()  # a step's first call is to find what it needs
            step, _ = self.record(steps.step)
            self.graphs[key] = steps, start, step
        return self.graphs[key]
