"""`natlab translate`: a model's translations under all its decodings, and its losses, in one process."""

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, help="fairseq data folder of the corpus (raw targets)")
    parser.add_argument("--proxy-data", help="fairseq data folder with the targets of the system's teacher")
    parser.add_argument("--decodings", required=True, type=json.loads, help="JSON: {name: decoding}")
    parser.add_argument("--splits", required=True, nargs="+")
    parser.add_argument("--out", required=True, help="folder for {decoding}.{split}.txt, losses.json, provenance.json")


def run(args: argparse.Namespace) -> None:
    import torch

    from natlab import provenance
    from natlab.corpus.text import folder_aside
    from natlab.decoding import decode_corpus
    from natlab.decoding.data import Data, device, device_name
    from natlab.files import write_json
    from natlab.metrics.losses import losses
    from natlab.models.load import load
    from natlab.training.objective import Proxies

    model, made = load(args.model, device())
    spec = made["spec"]
    torch.manual_seed(spec["seed"])  # a proxy input may draw which tokens it reveals
    data = Data(args.data)
    with folder_aside(args.out) as out:
        for split in args.splits:
            for name, decoding in args.decodings.items():
                targets = decode_corpus(model, data.sources(split), decoding)
                with open(out / f"{name}.{split}.txt", "w", encoding="utf-8") as file:
                    file.writelines(data.text(target) + "\n" for target in targets)
        raw = data.sources("valid"), data.targets("valid")
        on_raw = losses(model, *raw, Proxies.of({**spec, "target": {"name": "raw"}, "input": {"name": "vanilla"}}))
        proxy = raw
        if args.proxy_data:
            proxy_data = Data(args.proxy_data)
            proxy = proxy_data.sources("valid_kd"), proxy_data.targets("valid_kd")
        on_proxy = losses(model, *proxy, Proxies.of(spec))
        write_json(out / "losses.json", {**on_proxy, **{f"{key}_raw": value for key, value in on_raw.items()}})
        write_json(out / "provenance.json", provenance.record(made["fingerprint"], device_name()))
