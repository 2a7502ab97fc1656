"""The dynamic programs under the objectives and decoders, each as plain torch, C++ and CUDA; see docs/kernels.md.

`use("reference")` forces plain torch; otherwise an op runs the library that `snakemake build_kernels` built.
"""

from natlab.kernels.assign import assign
from natlab.kernels.axe_align import AxeAlignment, axe_align
from natlab.kernels.library import implementation, level, levels, use
from natlab.kernels.sentence_bleu import sentence_bleu

__all__ = ["AxeAlignment", "assign", "axe_align", "implementation", "level", "levels", "sentence_bleu", "use"]
