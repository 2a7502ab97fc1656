"""What runs a bundle's model: from sources' numbers to what is said."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from natlab.bundles.manifest import Manifest
from natlab.bundles.reading import READINGS, Said
from natlab.errors import UserError

PAD = 1
LONGEST = 4096  # positions that an autoregressive bundle's model has
ROOM = 50  # tokens that a target may have more than its source, as in `natlab.decoding.beam_search`

Engine = Callable[[Sequence[list[int]]], list[Said]]


def start(manifest: Manifest, folder: Path, threads: int) -> Engine:
    """The engine of a bundle, on the CPU. It takes a batch of sources, each ending in eos."""
    return {"onnx": onnx, "ctranslate2": ctranslate2}[manifest.engine](manifest, folder, threads)


def onnx(manifest: Manifest, folder: Path, threads: int) -> Engine:
    """ONNX Runtime, for non-autoregressive models."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors
    try:
        session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of onnxruntime's own kinds, which have no common one
        raise UserError(f"{folder / 'model.onnx'}: ONNX Runtime cannot load it ({error}); export it again") from error
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


def ctranslate2(manifest: Manifest, folder: Path, threads: int) -> Engine:
    """CTranslate2, for autoregressive models; it knows symbols by their numbers, as words."""
    # Threads of OpenMP spin while they wait: beside other work on all cores, a sentence took seconds.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from ctranslate2 import Translator

    try:
        translator = Translator(
            str(folder / "model"), device="cpu", intra_threads=threads, compute_type=manifest.precision
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{folder / 'model'}: CTranslate2 cannot load it ({error}); export it again") from error
    options = {
        "beam_size": manifest.decoding["beam"],
        "length_penalty": manifest.decoding["length_penalty"],
        "suppress_sequences": [[str(PAD)]],
        "max_input_length": 0,
        "return_scores": True,
    }

    def translate(sources: Sequence[list[int]]) -> list[Said]:
        kept = [
            source if len(source) <= LONGEST - ROOM else [*source[: LONGEST - ROOM - 1], source[-1]]
            for source in sources
        ]
        limit = max(map(len, kept)) + ROOM
        words = [list(map(str, source)) for source in kept]
        results = translator.translate_batch(words, max_decoding_length=limit, **options)
        return [said(result.hypotheses[0], result.scores[0]) for result in results]

    def said(words: list[str], score: float) -> Said:
        tokens = list(map(int, words))
        predicted = len(tokens) + 1  # and the end
        return Said(tokens, score * predicted ** (manifest.decoding["length_penalty"] - 1), len(tokens))

    return translate
