"""From translations and losses to measurements, one JSON file each. The verb ``measure``.

A translations folder holds ``{decoding}.{split}.txt`` (tokenised, one sentence a line), ``losses.json`` and
``provenance.json``; the corpus folder holds the references, ``text/`` as published and ``tok/`` as trained on.
"""

import argparse
import json
from pathlib import Path

from natlab import provenance, tracking
from natlab.corpus import dataset as datasets
from natlab.corpus.text import folder_aside
from natlab.errors import UserError
from natlab.files import lines, read_json, write_json
from natlab.metrics import bleu
from natlab.metrics.repetition import repeated_token_rate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``measure``."""
    parser.add_argument("--translations", required=True, help="the folder of one model's translations and losses")
    parser.add_argument("--corpus", required=True, help="the dataset's folder, results/corpora/<dataset>")
    parser.add_argument("--dataset-config", required=True, help="the dataset's file, config/datasets/<dataset>.yaml")
    parser.add_argument(
        "--identity", required=True, type=json.loads, help='JSON: {"dataset", "scale", "system", "seed"} of the model'
    )
    parser.add_argument("--out", required=True, help="the folder of measurements to make")
    tracking.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Write one measurement a translation, and ``loss.json``. UserError when files are missing or do not fit."""
    translations, corpus = Path(args.translations), Path(args.corpus)
    dataset = datasets.load(args.dataset_config)
    origin = _origin(translations)
    with folder_aside(args.out) as out:
        for path in sorted(translations.glob("*.*.txt")):
            decoding, split = path.stem.split(".")
            sentences, values = translation_values(path, split, corpus, dataset)
            _write(out / f"{path.stem}.json", args.identity, decoding, split, sentences, values, origin)
        losses = _required_json(translations / "losses.json")
        sentences = next(iter(losses.values()))["sentences"]
        _write(out / "loss.json", args.identity, None, "valid", sentences, losses, origin)
    tracking.measured(args, map(read_json, sorted(Path(args.out).glob("*.json"))))


def translation_values(path: Path, split: str, corpus: Path, dataset: dict) -> tuple[int, dict]:
    """(number of sentences, metric values) of the translations in ``path``.

    sacreBLEU and chrF compare detokenised text with the raw references, lower-cased where the dataset is; ``bleu_tok``
    compares tokens with tokens; ``bleu_multi`` is sacreBLEU against all references, where a split has further ones.
    """
    hypotheses = list(lines(path))
    references = _fitting(corpus / "text" / f"{split}.tgt", path, len(hypotheses))
    tokenised = _fitting(corpus / "tok" / f"{split}.tgt", path, len(hypotheses))
    further = [
        _fitting(reference, path, len(hypotheses))
        for reference in sorted((corpus / "text").glob(f"{split}.ref*"), key=lambda p: int(p.suffix[len(".ref") :]))
    ]
    language, lowercase = dataset["languages"]["tgt"], dataset["lowercase"]
    text = hypotheses if dataset["tokenise"] == "none" else bleu.detokenised(hypotheses, language)
    values = {
        "bleu": bleu.sacrebleu(text, [references], language, lowercase),
        "bleu_tok": bleu.tokenised_bleu(hypotheses, [tokenised]),
        "chrf": bleu.chrf(text, [references], lowercase),
        "repetition": {"value": repeated_token_rate(hypotheses), "unit": "%"},
    }
    if further:
        values["bleu_multi"] = bleu.sacrebleu(text, [references, *further], language, lowercase)
    return len(hypotheses), values


def _fitting(path: Path, translations: Path, count: int) -> list[str]:
    """The lines of a reference file, as many as there are translations."""
    if not path.exists():
        raise UserError(f"{path}: no such file, but {translations} needs it as reference; make the corpus first")
    found = list(lines(path))
    if len(found) != count:
        raise UserError(
            f"{translations}: {count} lines, but {path} has {len(found)}; translate the same split of the same corpus"
        )
    return found


def _required_json(path: Path) -> dict:
    if not path.exists():
        raise UserError(
            f"{path}: no such file; the folder is not one of translations, or is incomplete: translate again"
        )
    return read_json(path)


def _origin(translations: Path) -> dict:
    """Provenance of the measurement: today's code, and the device and fingerprint of the model that translated."""
    decoded = _required_json(translations / "provenance.json")
    return provenance.record(fingerprint=decoded.get("fingerprint"), device=decoded.get("device"))


def _write(
    path: Path, identity: dict, decoding: str | None, split: str, sentences: int, values: dict, origin: dict
) -> None:
    write_json(
        path,
        {
            **{key: identity[key] for key in ("dataset", "scale", "system", "seed")},
            "decoding": decoding,
            "split": split,
            "sentences": sentences,
            "values": values,
            "provenance": origin,
        },
    )
