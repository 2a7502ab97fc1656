"""What runs a bundle's model, on the CPU: from sources' numbers to what is said.

One module an engine, loaded by its name; each has a function ``start(manifest, folder, threads)``, which returns a
function from a batch of sources, each ending in eos, to what is said of each, and ``READ``, how many subwords of a
source it reads at most, its end among them; None for all.
"""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

from natlab.bundles.manifest import Manifest
from natlab.bundles.said import Said

Translate = Callable[[Sequence[list[int]]], list[Said]]


def read(manifest: Manifest) -> int | None:
    """How many subwords of a source the engine of a bundle reads at most, its end among them; None for all."""
    return importlib.import_module(f"natlab.bundles.engines.{manifest.engine}").READ


def start(manifest: Manifest, folder: Path, threads: int) -> Translate:
    """The engine of a bundle, ready to translate. UserError where it cannot load the model."""
    return importlib.import_module(f"natlab.bundles.engines.{manifest.engine}").start(manifest, folder, threads)
