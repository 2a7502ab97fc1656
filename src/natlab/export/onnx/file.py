"""An ONNX graph as a file, its weights as float32 or as whole numbers of eight bits."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings in the log: ONNX Runtime's ask for a shape inference that fused nodes do not have."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def write(model: onnx.ModelProto, precision: str, path: Path) -> None:
    """Write a model. ``int8``: the weights of its products and embeddings in eight bits, a scale a column, activations
    as they come (ONNX Runtime's dynamic quantisation)."""
    if precision == "float32":
        onnx.save(model, path)
        return
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder, quiet():
        whole = Path(folder) / "model.onnx"
        onnx.save(model, whole)
        unknown = {"DefaultTensorType": onnx.TensorProto.FLOAT}
        quantize_dynamic(whole, path, weight_type=QuantType.QInt8, per_channel=True, extra_options=unknown)
