"""dag_best_path against the plain torch reference and, on CUDA, DA-Transformer's kernel (see dag_loss)."""

from collections.abc import Iterator

from benchmarks.kernel_ops import Case
from benchmarks.kernel_ops.dag_loss import SIZES, da_transformer, graphs
from natlab.kernels import dag_best_path
from natlab.kernels.dag_best_path import dag_best_path_reference


def cases(device: str) -> Iterator[Case]:
    for batch, targets, length, band in SIZES[device]:
        batched = graphs(batch, targets, length, band, device)
        peers = {"reference": lambda batched=batched, band=band: dag_best_path_reference(*batched, band)}
        if theirs := da_transformer(band, device):
            peers["DA-Transformer"] = lambda batched=batched, theirs=theirs: theirs[1](*batched)
        yield Case(
            "dag_best_path",
            f"B {batch}, T {targets}, L {length}, band {band}",
            lambda batched=batched, band=band: dag_best_path(*batched, band),
            peers,
            batched[0].nbytes + batched[1].nbytes,
        )
