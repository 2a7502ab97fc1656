"""COMET or BLEURT of a model's translations, one JSON file each. The verb ``score``.

It runs with the packages of ``natlab packages`` before natlab's own, and imports of natlab what needs neither torch nor
fairseq.
"""

import argparse
import hashlib
import importlib.metadata
import json
from pathlib import Path

from natlab import provenance, tracking
from natlab.corpus import dataset as datasets
from natlab.corpus.text import folder_aside
from natlab.files import read_json, sha256, write_json
from natlab.measuring import translated
from natlab.metrics import learned


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``score``."""
    parser.add_argument("--metric", required=True, choices=list(learned.SCORERS))
    parser.add_argument("--weights", required=True, help="the folder of the metric's model")
    parser.add_argument("--translations", required=True, help="the folder of one model's translations")
    parser.add_argument("--translated", required=True, nargs="+", help="which of them: <decoding>.<split>")
    parser.add_argument("--corpus", required=True, help="the dataset's folder, results/corpora/<dataset>")
    parser.add_argument("--dataset-config", required=True, help="the dataset's file, config/datasets/<dataset>.yaml")
    parser.add_argument(
        "--identity", required=True, type=json.loads, help='JSON: {"dataset", "scale", "system", "seed"} of the model'
    )
    parser.add_argument("--out", required=True, help="the folder of measurements to make")
    tracking.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Write one measurement a translation. UserError where the model or a file is missing or does not fit."""
    folder, corpus, dataset = Path(args.translations), Path(args.corpus), datasets.load(args.dataset_config)
    model = Path(args.weights)
    signature = _signature(args.metric, model, dataset["lowercase"])
    decoded = read_json(folder / "provenance.json")
    origin = provenance.record(fingerprint=decoded.get("fingerprint"), device=decoded.get("device"))
    written = []
    with folder_aside(args.out) as out:
        for name in args.translated:
            decoding, _, split = name.rpartition(".")
            sources, translations, references = _texts(folder / f"{name}.txt", split, corpus, dataset)
            each = learned.score(args.metric, model, sources, translations, references)
            value = {"value": sum(each) / len(each), "unit": args.metric.upper(), "signature": signature}
            written.append(
                {
                    **{key: args.identity[key] for key in ("dataset", "scale", "system", "seed")},
                    "decoding": decoding,
                    "split": split,
                    "sentences": len(each),
                    "values": {args.metric: value},
                    "sentence_statistics": {args.metric: each},
                    "provenance": origin,
                }
            )
            write_json(out / f"{name}.json", written[-1])
    tracking.measured(args, written)


def _texts(path: Path, split: str, corpus: Path, dataset: dict) -> list[list[str]]:
    """Sources, translations and references as plain text; in small letters where the corpus is, as for BLEU."""
    of = translated.read(path, split, corpus, dataset)
    sources = translated.plain(corpus / "text" / f"{split}.src", path, len(of.text), dataset)
    sides = [sources, of.text, of.text_references]
    return [[line.lower() for line in side] for side in sides] if of.lowercase else sides


def _signature(metric: str, model: Path, lowercase: bool) -> str:
    """What a value rests on: the model by its folder's name and the checksum of all its files, case, the package."""
    whole = hashlib.sha256()
    for path in sorted(path for path in model.rglob("*") if path.is_file()):
        whole.update(f"{path.relative_to(model)} {sha256(path)}\n".encode())
    _, package = learned.SCORERS[metric]
    case, version = "lc" if lowercase else "mixed", importlib.metadata.version(package)
    return f"model:{model.resolve().name}|sha256:{whole.hexdigest()[:12]}|case:{case}|{package}:{version}"
