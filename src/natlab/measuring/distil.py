"""`natlab distil`: what a teacher makes of one shard of a split's sources."""

import argparse
import importlib
from pathlib import Path
from tempfile import TemporaryDirectory

from natlab.files import written_aside

ENGINES = ("natlab", "ctranslate2")  # modules of `natlab.measuring.distilling`


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="the teacher's model.pt")
    parser.add_argument("--data", required=True, help="fairseq data folder")
    parser.add_argument("--split", required=True)
    parser.add_argument("--shard", type=int, required=True, help="which shard, from 1")
    parser.add_argument("--shards", type=int, required=True, help="how many shards there are")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--batch-tokens", type=int, default=6000, help="source tokens in a batch, padding counted")
    parser.add_argument("--length-penalty", type=float, default=1.0)
    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0])
    parser.add_argument("--out", required=True, help="subword text, one line a source of the shard, in order")


def run(args: argparse.Namespace) -> None:
    import torch

    from natlab.measuring.data import Data, device
    from natlab.models.load import load

    model, _ = load(args.model, device())
    data = Data(args.data)
    sources = data.sources(args.split)
    first, end = ((args.shard - 1 + k) * len(sources) // args.shards for k in (0, 1))
    decoding = {"kind": "beam", "beam": args.beam, "length_penalty": args.length_penalty}
    chosen = [sources[i] for i in range(first, end)]
    engine = importlib.import_module(f"natlab.measuring.distilling.{args.engine}")
    with TemporaryDirectory() as folder:
        targets = engine.targets(model, chosen, decoding, args.batch_tokens, Path(folder))
    with written_aside(args.out) as file:
        file.writelines(data.subwords(torch.tensor(target)) + "\n" for target in targets)
