"""The package ctranslate2, imported so that its threads sleep while they wait.

Those of its OpenMP would spin: beside other work on all cores, a sentence took seconds.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import ctranslate2 as package  # noqa: E402

__all__ = ["package"]
