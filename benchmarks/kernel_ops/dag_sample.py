"""dag_sample of 128 paths against the plain torch reference, and beside a lookahead path of the same graph."""

from collections.abc import Iterator

import torch

from benchmarks.kernel_ops import Case
from benchmarks.kernel_ops.dag_loss import graphs
from natlab.kernels import dag_decode, dag_sample
from natlab.kernels.dag_sample import dag_sample_reference

SIZES = {"cpu": [(1, 32, 128), (1, 32, 256), (16, 32, 256)], "cuda": [(1, 32, 256), (88, 48, 384)]}


def cases(device: str) -> Iterator[Case]:
    for batch, targets, length in SIZES[device]:
        match, transitions, lengths, _ = graphs(batch, targets, length, None, device)
        scores = match.amax(1)
        arguments = transitions, scores, lengths, torch.arange(batch, device=device), 128
        yield Case(
            "dag_sample",
            f"B {batch}, L {length}, K 128",
            lambda arguments=arguments: dag_sample(*arguments),
            {
                "reference": lambda arguments=arguments: dag_sample_reference(*arguments),
                "lookahead": lambda arguments=arguments: dag_decode(*arguments[:3]),
            },
            transitions.nbytes,
        )
