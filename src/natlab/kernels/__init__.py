"""The dynamic programs under the objectives and decoders, each as plain torch, C++ and CUDA; see docs/kernels.md.

`use("reference")` forces plain torch; otherwise an op runs the library that `snakemake build_kernels` built.
"""

from natlab.kernels.assign import assign
from natlab.kernels.axe_align import AxeAlignment, axe_align
from natlab.kernels.ctc_best_alignment import ctc_best_alignment
from natlab.kernels.dag_best_path import dag_best_path
from natlab.kernels.dag_decode import dag_decode
from natlab.kernels.dag_links import dag_links
from natlab.kernels.dag_loss import dag_loss
from natlab.kernels.dag_sample import Samples, dag_sample
from natlab.kernels.gather_log_softmax import gather_log_softmax
from natlab.kernels.library import implementation, level, levels, use
from natlab.kernels.likeliest import likeliest
from natlab.kernels.output_match import output_match
from natlab.kernels.sentence_bleu import sentence_bleu

__all__ = [
    "AxeAlignment",
    "Samples",
    "assign",
    "axe_align",
    "ctc_best_alignment",
    "dag_best_path",
    "dag_decode",
    "dag_links",
    "dag_loss",
    "dag_sample",
    "gather_log_softmax",
    "implementation",
    "level",
    "levels",
    "likeliest",
    "output_match",
    "sentence_bleu",
    "use",
]
