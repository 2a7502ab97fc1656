"""From trained models to bundles (`natlab.bundles`): non-autoregressive ones as ONNX, autoregressive ones for
CTranslate2."""
