"""An ONNX graph as a file, its weights as float32 or as whole numbers of eight bits."""

import logging
import tempfile
from pathlib import Path

import onnx


def write(model: onnx.ModelProto, precision: str, path: Path) -> None:
    """Write a model. ``int8``: the weights of its products and embeddings in eight bits, a scale a column, activations
    as they come (ONNX Runtime's dynamic quantisation)."""
    if precision == "float32":
        onnx.save(model, path)
        return
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # it asks for a shape inference that fused nodes do not have
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "model.onnx"
        onnx.save(model, whole)
        unknown = {"DefaultTensorType": onnx.TensorProto.FLOAT}
        quantize_dynamic(whole, path, weight_type=QuantType.QInt8, per_channel=True, extra_options=unknown)
