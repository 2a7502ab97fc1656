"""The dynamic programs under the objectives and decoders, each as plain torch, C++ and CUDA; see docs/kernels.md.

`use("reference")` forces plain torch; otherwise an op runs the library that `snakemake build_kernels` built.
"""

from natlab.kernels.assign import assign
from natlab.kernels.library import implementation, level, levels, use

__all__ = ["assign", "implementation", "level", "levels", "use"]
