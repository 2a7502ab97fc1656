"""Distillation and translation by natlab's own beam search and by CTranslate2, on the same sentences, in alternation.

    python -m benchmarks.distilling --model results/models/.../transformer/seed1/model.pt --data results/corpora/.../bin

A beam over a split's first sentences, in chunks, in turn, on the CPU; prints sentences a second, the ratio to natlab's,
the BLEU of an engine's output against natlab's and how many sentences are the same. CTranslate2's time has the model's
conversion in it, once a chunk, as the rule has it once a shard; checked, once more with the first sentences of each
chunk searched by both, as those of a split are that is translated.
"""

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import sacrebleu
import torch

from natlab.measuring import checked
from natlab.measuring.data import Data
from natlab.measuring.distilling import ctranslate2, natlab
from natlab.models.load import load

ENGINES = {
    "natlab": natlab.targets,
    "ctranslate2": ctranslate2.targets,
    "checked": lambda model, sources, decoding, *_: [
        target.tolist() for target in checked.translated(model, sources, decoding)[0]
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=4000)
    parser.add_argument("--chunk", type=int, default=2000)
    parser.add_argument("--batch-tokens", type=int, default=6000)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model, _ = load(args.model)
    data = Data(args.data)
    sources = data.sources(args.split)
    sources = [sources[i] for i in range(min(args.sentences, len(sources)))]
    decoding = {"kind": "beam", "beam": args.beam, "length_penalty": 1.0}
    seconds, outputs = dict.fromkeys(ENGINES, 0.0), {name: [] for name in ENGINES}
    for first in range(0, len(sources), args.chunk):
        for name, engine in ENGINES.items():
            start = time.perf_counter()
            with TemporaryDirectory() as folder:
                outputs[name] += engine(
                    model, sources[first : first + args.chunk], decoding, args.batch_tokens, Path(folder)
                )
            seconds[name] += time.perf_counter() - start
    texts = {name: [data.text(torch.tensor(target)) for target in found] for name, found in outputs.items()}
    same = {name: sum(a == b for a, b in zip(found, outputs["natlab"], strict=True)) for name, found in outputs.items()}
    bleu = {
        name: sacrebleu.corpus_bleu(found, [texts["natlab"]], tokenize="none", force=True).score
        for name, found in texts.items()
    }
    found = {
        "threads": args.threads,
        "sentences": len(sources),
        "sentences_per_second": {name: len(sources) / spent for name, spent in seconds.items()},
        "ratio": {name: seconds["natlab"] / spent for name, spent in seconds.items()},
        "bleu_against_natlab": bleu,
        "identical": {name: count / len(sources) for name, count in same.items()},
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
