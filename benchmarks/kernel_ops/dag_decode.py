"""dag_decode, each strategy, against the plain torch reference; Viterbi over paths of up to T vertices."""

from collections.abc import Iterator

from benchmarks.kernel_ops import Case
from benchmarks.kernel_ops.dag_loss import SIZES, graphs
from natlab.kernels import dag_decode
from natlab.kernels.dag_decode import STRATEGIES, dag_decode_reference


def cases(device: str) -> Iterator[Case]:
    for batch, targets, length, band in SIZES[device]:
        match, transitions, lengths, _ = graphs(batch, targets, length, band, device)
        for strategy in STRATEGIES:
            arguments = transitions, match.amax(1), lengths, strategy, band, 1.0, targets
            yield Case(
                "dag_decode",
                f"{strategy}, B {batch}, T {targets}, L {length}, band {band}",
                lambda arguments=arguments: dag_decode(*arguments),
                {"reference": lambda arguments=arguments: dag_decode_reference(*arguments)},
                transitions.nbytes,
            )
