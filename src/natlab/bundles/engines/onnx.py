"""ONNX Runtime, for non-autoregressive models."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from natlab.bundles.engines import Translate
from natlab.bundles.manifest import Manifest
from natlab.bundles.reading import READINGS
from natlab.bundles.said import Said
from natlab.corpus.vocabulary import PAD
from natlab.errors import UserError

READ = None
ERRORS = 3  # the severity from which it writes to standard error


def start(manifest: Manifest, folder: Path, threads: int) -> Translate:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = ERRORS
    path = folder / "model.onnx"
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of onnxruntime's own kinds, which have no common one
        why = " ".join(str(error).split())
        raise UserError(
            f"{path}: ONNX Runtime {onnxruntime.__version__} cannot load it ({why}); export it again"
        ) from None
    names = [output.name for output in session.get_outputs()]
    read = READINGS[manifest.decoding["kind"]]

    def translate(sources: Sequence[list[int]]) -> list[Said]:
        lengths = np.array(list(map(len, sources)), dtype=np.int64)
        tokens = np.full((len(sources), lengths.max()), PAD, dtype=np.int64)
        for row, source in zip(tokens, sources, strict=True):
            row[: len(source)] = source
        outputs = session.run(names, {"tokens": tokens, "source_lengths": lengths})
        return read(dict(zip(names, outputs, strict=True)), manifest.decoding, manifest.blank, sources)

    return translate
