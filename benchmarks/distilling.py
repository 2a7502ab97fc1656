"""Distillation by natlab's own beam search and by CTranslate2, on the same sentences, in alternation.

    python -m benchmarks.distilling --model results/models/.../transformer/seed1/model.pt --data results/corpora/.../bin

Beam 5 over the training side's first sentences, in chunks, in turn, on the CPU; prints sentences a second, the ratio,
the BLEU of one's output against the other's and how many sentences are the same. CTranslate2's time has the model's
conversion in it, once a chunk, as the rule has it once a shard.
"""

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import sacrebleu
import torch

from natlab.measuring.data import Data
from natlab.measuring.distilling import ctranslate2, natlab
from natlab.models.load import load

ENGINES = {"natlab": natlab, "ctranslate2": ctranslate2}
BEAM5 = {"kind": "beam", "beam": 5, "length_penalty": 1.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--sentences", type=int, default=4000)
    parser.add_argument("--chunk", type=int, default=2000)
    parser.add_argument("--batch-tokens", type=int, default=6000)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model, _ = load(args.model)
    data = Data(args.data)
    sources = data.sources("train")
    sources = [sources[i] for i in range(min(args.sentences, len(sources)))]
    seconds, outputs = dict.fromkeys(ENGINES, 0.0), {name: [] for name in ENGINES}
    for first in range(0, len(sources), args.chunk):
        for name, engine in ENGINES.items():
            start = time.perf_counter()
            with TemporaryDirectory() as folder:
                outputs[name] += engine.targets(
                    model, sources[first : first + args.chunk], BEAM5, args.batch_tokens, Path(folder)
                )
            seconds[name] += time.perf_counter() - start
    texts = {name: [data.text(torch.tensor(target)) for target in found] for name, found in outputs.items()}
    same = sum(a == b for a, b in zip(*outputs.values(), strict=True))
    bleu = sacrebleu.corpus_bleu(texts["ctranslate2"], [texts["natlab"]], tokenize="none", force=True)
    found = {
        "threads": args.threads,
        "sentences": len(sources),
        "sentences_per_second": {name: len(sources) / spent for name, spent in seconds.items()},
        "ratio": seconds["natlab"] / seconds["ctranslate2"],
        "bleu_against_natlab": bleu.score,
        "identical": same / len(sources),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
