"""CTranslate2, for autoregressive models; it knows symbols by their numbers, as words."""

from collections.abc import Sequence
from pathlib import Path

from natlab.bundles.engines import Translate
from natlab.bundles.engines._ctranslate2 import package
from natlab.bundles.manifest import Manifest
from natlab.bundles.said import Said
from natlab.corpus.vocabulary import PAD
from natlab.errors import UserError

LONGEST = 4096  # positions that a bundle's model has
ROOM = 50  # tokens that a target may have more than its source, as in `natlab.decoding.beam_search`
READ = LONGEST - ROOM


def start(manifest: Manifest, folder: Path, threads: int) -> Translate:
    path = folder / "model"
    try:
        translator = package.Translator(str(path), device="cpu", intra_threads=threads, compute_type=manifest.precision)
    except (RuntimeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise UserError(f"{path}: CTranslate2 {package.__version__} cannot load it ({why}); export it again") from None
    options = {
        "beam_size": manifest.decoding["beam"],
        "length_penalty": manifest.decoding["length_penalty"],
        "suppress_sequences": [[str(PAD)]],
        "max_input_length": 0,
        "return_scores": True,
    }

    def translate(sources: Sequence[list[int]]) -> list[Said]:
        kept = [source if len(source) <= READ else [*source[: READ - 1], source[-1]] for source in sources]
        limit = max(map(len, kept)) + ROOM
        words = [list(map(str, source)) for source in kept]
        results = translator.translate_batch(words, max_decoding_length=limit, **options)
        return [said(result.hypotheses[0], result.scores[0]) for result in results]

    def said(words: list[str], score: float) -> Said:
        tokens = list(map(int, words))
        predicted = len(tokens) + 1  # and the end
        return Said(tokens, score * predicted ** (manifest.decoding["length_penalty"] - 1), len(tokens))

    return translate
