"""What a step of GLAT with dynamic KD costs beside a vanilla NAT's on the same batches, part by part.

    python -m benchmarks.dynamic --run config/runs/multi30k_tiny.yaml --dataset multi30k_ende \
        --data results/candidates/multi30k_ende/multi30k_tiny/seed1 [--start results/models/.../glat_kd/seed1/model.pt]

Each batch is a step of all systems in turn, by natlab's trainer, so a machine that slows down slows all of them.
Besides `glat_dynamic` as it is there are two others, which choose the same targets: `distinct`, which decodes all
distinct lengths of a sentence's candidates and leaves none out, and `each`, which decodes every candidate by itself.
Prints milliseconds a step (of CPU time without a GPU) and the ratios; for each part of the steps its milliseconds:
choosing T ("target") and Z ("input"), both without what the model predicts under Z*; that, by decoder and output layer;
and the rest, which is what a vanilla step consists of; and how often a sentence is decoded, the step's own time
included.
"""

import argparse
import copy
import functools
import itertools
import json
import logging
import tempfile
import time
from collections import Counter
from math import log
from pathlib import Path

import torch

import natlab.config
from benchmarks.training import trainer
from natlab.files import write_json
from natlab.models.transformer import Seq2Seq
from natlab.proxy.interface import Prediction
from natlab.proxy.targets.dynamic import Dynamic


class Distinct(Dynamic):
    """All distinct lengths are decoded at once."""

    def __call__(self, references, prediction):
        candidates = references.candidates
        lengths = candidates.ne(prediction.model.config.pad).sum(2)
        rows = torch.arange(len(candidates), device=lengths.device)[:, None].expand_as(lengths)
        prediction.at(lengths.flatten(), rows.flatten())
        return super().__call__(references, prediction)


class Each(Dynamic):
    """Every candidate is decoded by itself, and the chosen one's length again for the proxy input."""

    def __call__(self, references, prediction):
        candidates = references.candidates
        lengths = candidates.ne(prediction.model.config.pad).sum(2)
        bits = []
        for which, length in enumerate(lengths.unbind(1)):
            alone = Prediction(prediction.model, prediction.source, prediction.memories, 0.0, prediction.objective)
            alone = alone.at(length)
            log_probs = alone.log_probs(candidates[:, which, : alone.tokens.shape[1]])
            bits.append(-log_probs.sum(1) / log(2) / length)
        chosen = (torch.stack(bits, 1) + self.distortion(references)).argmin(1)
        return candidates[torch.arange(len(chosen), device=chosen.device), chosen]


class Clock:
    """Seconds and decoder passes of the system that is stepped, by part; time within an inner part is the inner's."""

    def __init__(self):
        self.seconds, self.passes, self.within = Counter(), Counter(), []
        self.system = None

    def timed(self, part, function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            self.within.append(0.0)
            start = now()
            try:
                return function(*args, **kwargs)
            finally:
                spent = now() - start
                inner = self.within.pop()
                self.seconds[self.system, part] += spent - inner
                if self.within:
                    self.within[-1] += spent

        return wrapped


def now() -> float:
    """Seconds: on a GPU, which must have finished, of the clock; else of the CPU, which a busy machine changes less."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="config/runs/multi30k_tiny.yaml")
    parser.add_argument("--dataset", default="multi30k_ende")
    parser.add_argument("--data", required=True, help="the data set's folder of candidates")
    parser.add_argument("--start", help="a model that all start from; without it the first updates are measured")
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--skip", type=int, default=5, help="updates before the clock runs")
    parser.add_argument("--no-regulariser", action="store_true", help="dynamic KD without its regulariser")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    logging.disable(logging.WARNING)

    from natlab.training.train import fairseq_arguments

    run = natlab.config.load_file(args.run)
    dynamic = "glat_dynamic_noreg" if args.no_regulariser else "glat_dynamic"
    systems = {"vanilla": "vanilla_raw", "glat_dynamic": dynamic, "distinct": dynamic, "each": dynamic}
    clock, trained = Clock(), {}
    Prediction._decode = clock.timed("decoder under Z*", Prediction._decode)
    Seq2Seq.likeliest = clock.timed("output layer under Z*", Seq2Seq.likeliest)
    with tempfile.TemporaryDirectory() as folder:
        for name, system in systems.items():
            write_json(Path(folder) / "spec.json", run.spec(args.dataset, system, run.settings["seeds"][0]))
            spec = run.spec(args.dataset, system, run.settings["seeds"][0])
            trained[name] = trainer(fairseq_arguments(spec, args.data, Path(folder), start=args.start), natlab=True)
            method = trained[name].criterion.method
            if name in ("distinct", "each"):
                method.target = {"distinct": Distinct, "each": Each}[name](**vars(method.target))
            method.target = clock.timed("target", method.target)
            method.input = clock.timed("input", method.input)
            trained[name].train_step = clock.timed("rest", trained[name].train_step)
            trained[name].begin_epoch(1)
        decode = trained["glat_dynamic"].model.net.__class__.decode

        def counted(model, source, lengths, *rest, **named):
            clock.passes[clock.system] += len(lengths)
            return decode(model, source, lengths, *rest, **named)

        trained["glat_dynamic"].model.net.__class__.decode = counted
        # all before the clock runs: they are made in a thread of their own
        batches = trained["glat_dynamic"].get_train_iterator(epoch=1).next_epoch_itr(shuffle=True)
        samples = list(itertools.islice(batches, args.skip + args.updates))
        for update, sample in enumerate(samples):
            if update == args.skip:
                clock.seconds.clear()
                clock.passes.clear()
            for name, one in trained.items():
                clock.system = name
                one.train_step([copy.copy(sample)])
    steps = len(samples) - args.skip
    sentences = sum(len(sample["id"]) for sample in samples[args.skip :])
    total = {name: sum(s for (system, _), s in clock.seconds.items() if system == name) for name in systems}
    parts = ("target", "input", "decoder under Z*", "output layer under Z*", "rest")
    result = {
        "threads": args.threads,
        "torch": torch.__version__,
        "updates": steps,
        "sentences_per_update": sentences / steps,
        "ms_per_step": {name: 1000 * seconds / steps for name, seconds in total.items()},
        "over_vanilla": {name: seconds / total["vanilla"] for name, seconds in total.items()},
        "ms_by_part": {name: {part: 1000 * clock.seconds[name, part] / steps for part in parts} for name in systems},
        "passes_per_sentence": {name: clock.passes[name] / sentences for name in systems},
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
