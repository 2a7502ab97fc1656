"""The forms that models take for the engines of bundles."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def ctranslate2(model: Any, decoding: Mapping[str, Any], precision: str, folder: Path) -> None:
    """Write an autoregressive model to ``folder``, which is there, as ``model/``."""
    from natlab.export.ctranslate import convert

    convert(model, folder / "model", precision)


def onnx(model: Any, decoding: Mapping[str, Any], precision: str, folder: Path) -> None:
    """Write a non-autoregressive model and its decoding to ``folder``, which is there, as ``model.onnx``."""
    from natlab.export.onnx.file import write
    from natlab.export.onnx.nat import graph

    write(graph(model, decoding), precision, folder / "model.onnx")


WRITERS = {"ctranslate2": ctranslate2, "onnx": onnx}
