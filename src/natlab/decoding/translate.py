"""`natlab translate`: a model's translations under all its decodings, and its losses, in one process.

Each decoding of each split is kept as soon as it is made: started again after a kill, only those that lack are made.
"""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

from natlab.files import sha256, write_json, written_aside

ROOM = Path(__file__).parents[1]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, help="fairseq data folder of the corpus (raw targets)")
    parser.add_argument("--proxy-data", help="fairseq data folder with the targets of the system's teacher")
    parser.add_argument("--decodings", required=True, type=json.loads, help="JSON: {name: decoding}")
    parser.add_argument("--splits", required=True, nargs="+")
    parser.add_argument("--out", required=True, help="folder for {decoding}.{split}.txt, losses.json, provenance.json")


def fingerprint(args: argparse.Namespace) -> str:
    """What determines the translations, as a hash: decodings, model, sentences and code."""
    data = [file for name in ("dict", *args.splits) for file in Path(args.data).glob(f"{name}.*")]
    code = [file for room in ("models", "decoding") for file in (ROOM / room).glob("*.py")]
    sums = {str(file): sha256(file) for file in (Path(args.model), *data, *code)}
    return hashlib.sha256(json.dumps([args.decodings, sums], sort_keys=True).encode()).hexdigest()[:16]


def run(args: argparse.Namespace) -> None:
    import torch

    from natlab import provenance
    from natlab.corpus.text import folder_aside
    from natlab.decoding import decode_corpus
    from natlab.decoding.data import Data, device, device_name
    from natlab.metrics.losses import losses
    from natlab.models.load import load
    from natlab.training.objective import Proxies

    model, made = load(args.model, device())
    spec = made["spec"]
    data = Data(args.data)
    # beside the output, which Snakemake deletes when the job fails
    kept = Path(f"{args.out}.parts")
    parts = kept / fingerprint(args)
    for split in args.splits:
        for name, decoding in args.decodings.items():
            part = parts / f"{name}.{split}.txt"
            if not part.exists():
                targets = decode_corpus(model, data.sources(split), decoding)
                with written_aside(part) as file:
                    file.writelines(data.text(target) + "\n" for target in targets)
    torch.manual_seed(spec["seed"])  # a proxy input may draw which tokens it reveals
    raw = data.sources("valid"), data.targets("valid")
    on_raw = losses(model, *raw, Proxies.of({**spec, "target": {"name": "raw"}, "input": {"name": "vanilla"}}))
    proxy = raw
    if args.proxy_data:
        proxy_data = Data(args.proxy_data)
        proxy = proxy_data.sources("valid_kd"), proxy_data.targets("valid_kd")
    on_proxy = losses(model, *proxy, Proxies.of(spec))
    with folder_aside(args.out) as out:
        for split in args.splits:
            for name in args.decodings:
                shutil.copy(parts / f"{name}.{split}.txt", out)
        write_json(out / "losses.json", {**on_proxy, **{f"{key}_raw": value for key, value in on_raw.items()}})
        write_json(out / "provenance.json", provenance.record(made["fingerprint"], device_name()))
    shutil.rmtree(kept, ignore_errors=True)
