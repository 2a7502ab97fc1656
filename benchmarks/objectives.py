"""What a step of each objective costs beside cross entropy's, of the same system on the same batches, in turn.

    python -m benchmarks.objectives --run config/runs/axe_grammar.yaml --dataset grammar_ende --data
    results/corpora/grammar_ende/bin --system xe_cmlm_raw

The system is trained by cross entropy for ``--settle`` updates first, so that alignments are those of a model that has
learned something; then each batch is a step of every objective in turn, by natlab's trainer. Prints the median of
milliseconds a step (of CPU time without a GPU) and its ratio to cross entropy's.
"""

import argparse
import json
import logging

import torch

import natlab.config
from benchmarks.steps import measured, milliseconds

OBJECTIVES = {
    "xe": {"name": "xe"},
    "axe": {"name": "axe"},
    "oaxe": {"name": "oaxe", "predict": "masks"},
    "oaxe, all tokens": {"name": "oaxe"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="config/runs/axe_grammar.yaml")
    parser.add_argument("--dataset", default="grammar_ende")
    parser.add_argument("--data", required=True, help="a fairseq data folder")
    parser.add_argument("--system", default="xe_cmlm_raw")
    parser.add_argument("--settle", type=int, default=200)
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    logging.disable(logging.WARNING)

    run = natlab.config.load_file(args.run)
    spec = run.spec(args.dataset, args.system, run.settings["seeds"][0])
    specs = {name: {**spec, "objective": objective} for name, objective in OBJECTIVES.items()}
    spent = milliseconds(specs, args.data, args.settle, args.updates)
    print(json.dumps(measured(spent, "xe", args.updates), indent=1))


if __name__ == "__main__":
    main()
