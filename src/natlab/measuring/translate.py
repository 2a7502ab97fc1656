"""`natlab translate`: a model's translations under all its decodings, its losses and its proxy targets, in one process.

Each decoding of each split is kept as soon as it is made: started again after a kill, only those that lack are made.
"""

import argparse
import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from natlab import sources
from natlab.files import sha256, write_json, written_aside
from natlab.measuring.beside import beside

ROOM = Path(__file__).parents[1]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, help="fairseq data folder of the corpus (raw targets)")
    parser.add_argument(
        "--proxy-data", help="fairseq data folder with the targets of the system's teacher, or candidates"
    )
    parser.add_argument(
        "--beside", nargs="*", default=[], metavar="SYSTEM=MODEL", help="models that decodings and losses take besides"
    )
    parser.add_argument("--predictor", metavar="SYSTEM", help="the one beside that predicts the tokens of proxy inputs")
    parser.add_argument(
        "--grammar", metavar="DATASET", help="the dataset's file, of a generated corpus: what an ideal model loses, too"
    )
    parser.add_argument("--proxy-targets", metavar="SPLIT", help="write the proxy targets of this split as target.txt")
    parser.add_argument(
        "--positions", nargs="*", default=[], metavar="DECODING", help="measure the probability of tokens around them"
    )
    parser.add_argument("--decodings", required=True, type=json.loads, help="JSON: {name: decoding}")
    parser.add_argument("--splits", required=True, nargs="+")
    parser.add_argument(
        "--out",
        required=True,
        help="folder for {decoding}.{split}.txt, target.txt, losses.json, decoded.json, provenance.json",
    )


def fingerprint(args: argparse.Namespace) -> str:
    """What determines the translations, as a hash: decodings, models, sentences and code."""
    data = [file for name in ("dict", *args.splits) for file in Path(args.data).glob(f"{name}.*")]
    code = [__file__, *sources.files(sources.decoding(args.decodings.values()), ROOM)]
    models = [args.model, *beside(args.beside).values()]
    sums = {str(file): sha256(file) for file in (*models, *data, *code)}
    return hashlib.sha256(json.dumps([args.decodings, sums], sort_keys=True).encode()).hexdigest()[:16]


def run(args: argparse.Namespace) -> None:
    import torch

    from natlab import provenance
    from natlab.corpus.text import folder_aside
    from natlab.decoding import decode_corpus
    from natlab.losses.batch import Method
    from natlab.measuring import losses, positions
    from natlab.measuring.data import Data, device, device_name
    from natlab.models.load import load
    from natlab.models.validation import plain

    model, made = load(args.model, device())
    models = {system: load(path, device())[0] for system, path in beside(args.beside).items()}
    predictor = models[args.predictor] if args.predictor else None
    spec = made["spec"]
    data = Data(args.data)
    # beside the output, which Snakemake deletes when the job fails
    kept = Path(f"{args.out}.parts")
    parts = kept / fingerprint(args)
    decoded = defaultdict(dict)  # what is measured of the model as it decodes
    for split in args.splits:
        for name, decoding in args.decodings.items():
            part = parts / f"{name}.{split}.txt"
            if not part.exists():
                targets = decode_corpus(
                    model, data.sources(split), decoding, beside=models, references=data.targets(split)
                )
                with written_aside(part) as file:
                    file.writelines(data.text(target) + "\n" for target in targets)
            if predictor is not None and (decoding["kind"] == "sample" or decoding.get("length_candidates") == 1):
                decoded[f"{name}.{split}"]["confidence"] = losses.confidence(
                    model, data.sources(split), decoding, predictor
                )
            if name in args.positions and decoding["kind"] == "argmax":
                found = positions.token_probability(model, data.sources(split), data.targets(split), decoding)
                of_positions = {f"token_probability/{at}": value for at, value in found.items()}
                decoded[f"{name}.{split}"] |= of_positions
    torch.manual_seed(spec["seed"])  # a proxy input may draw which tokens it reveals
    raw = Method.of(plain(spec))
    on_raw = losses.losses(model, data.sources("valid"), data.targets("valid"), raw)
    method = Method.of(spec)
    pairs, candidates = proxy_data(args, spec, "valid")
    values = losses.losses(model, *pairs, method, candidates=candidates, predictor=predictor)
    if args.grammar:
        values |= ideal_losses(args.grammar, data, method)
    values |= {f"{key}_raw": value for key, value in on_raw.items()} | losses.parameters(model)
    with folder_aside(args.out) as out:
        for split in args.splits:
            for name in args.decodings:
                shutil.copy(parts / f"{name}.{split}.txt", out)
        if args.proxy_targets:
            pairs, candidates = proxy_data(args, spec, args.proxy_targets)
            targets = losses.proxy_targets(model, *pairs, method, candidates=candidates)
            with open(out / "target.txt", "w", encoding="utf-8", newline="\n") as file:
                file.writelines(data.text(target) + "\n" for target in targets)
        write_json(out / "losses.json", values)
        write_json(out / "decoded.json", decoded)
        write_json(out / "provenance.json", provenance.record(made["fingerprint"], device_name()))
    shutil.rmtree(kept, ignore_errors=True)


def ideal_losses(dataset: str, data: Any, method: Any) -> dict:
    """`natlab.measuring.ideal.losses` on the raw targets of valid of a generated corpus, under a system's proxy input;
    none of a corpus so small that its dictionary lacks words, whose targets are then not the grammar's."""
    from natlab.corpus import dataset as datasets
    from natlab.corpus import grammar
    from natlab.measuring import ideal

    source = datasets.load(dataset)["source"]
    targets = [tuple(data.text(target).split()) for target in data.targets("valid")]
    distributions = grammar.distributions(source, "valid")
    if not all(distribution.probability(target) for target, distribution in zip(targets, distributions, strict=True)):
        return {}
    return ideal.losses(distributions, targets, method.input)


def proxy_data(args: argparse.Namespace, spec: dict, split: str) -> tuple[tuple, Callable | None]:
    """((sources, targets) of a split that the system's proxy targets are made from, and the candidates of dynamic KD as
    a function of the sentences' numbers)."""
    from natlab.measuring.data import Data

    if not args.proxy_data:
        data = Data(args.data)
        return (data.sources(split), data.targets(split)), None
    data = Data(args.proxy_data)
    names = spec["target"].get("candidates")
    if names is None:
        return (data.sources(f"{split}_kd"), data.targets(f"{split}_kd")), None
    from natlab.training.candidates import Candidates

    return (data.sources(split), data.targets(split)), Candidates(args.proxy_data, split, names, data.target.pad()).of
