"""Non-autoregressive models as ONNX graphs, for ONNX Runtime on a CPU."""
