"""What a step of each objective costs beside cross entropy's, of the same system on the same batches, in turn.

    python -m benchmarks.objectives --run config/runs/axe_grammar.yaml --dataset grammar_ende --data
    results/corpora/grammar_ende/bin --system xe_cmlm_raw

The system is trained by cross entropy for ``--settle`` updates first, so that alignments are those of a model that has
learned something; then each batch is a step of every objective in turn, by natlab's trainer. Prints the median of
milliseconds a step (of CPU time without a GPU) and its ratio to cross entropy's.
"""

import argparse
import copy
import itertools
import json
import logging
import statistics
import tempfile
from pathlib import Path

import torch

import natlab.config
from benchmarks.dynamic import now
from benchmarks.training import trainer
from natlab.files import write_json

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

    from natlab.training.train import fairseq_arguments

    run = natlab.config.load_file(args.run)
    spec, trained = run.spec(args.dataset, args.system, run.settings["seeds"][0]), {}
    with tempfile.TemporaryDirectory() as folder:
        for name, objective in OBJECTIVES.items():
            write_json(Path(folder) / "spec.json", {**spec, "objective": objective})
            trained[name] = trainer(fairseq_arguments(spec, args.data, Path(folder)), natlab=True)
            trained[name].begin_epoch(1)
        batches = trained["xe"].get_train_iterator(epoch=1).next_epoch_itr(shuffle=True)
        samples = list(itertools.islice(batches, args.settle + args.updates))
    for sample in samples[: args.settle]:
        trained["xe"].train_step([copy.copy(sample)])
    settled = trained["xe"].model.state_dict()
    seconds = {name: [] for name in trained}
    for one in trained.values():
        one.model.load_state_dict(settled)
    for sample in samples[args.settle :]:
        for name, one in trained.items():
            start = now()
            one.train_step([copy.copy(sample)])
            seconds[name].append(now() - start)
    milliseconds = {name: 1000 * statistics.median(spent) for name, spent in seconds.items()}
    result = {
        "threads": args.threads,
        "torch": torch.__version__,
        "updates": len(samples) - args.settle,
        "ms_per_step": milliseconds,
        "over_cross_entropy": {name: spent / milliseconds["xe"] for name, spent in milliseconds.items()},
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
