"""What training, decoding and distilling cost on this machine's device; written anew after each part.

    python -m benchmarks.gpu.speed --run config/runs/mple_multi30k_gpu.yaml --out speed.json --costs costs.yaml

`update`: milliseconds of a natlab update at the largest size, by system; after ``--settle`` of them outputs have about
the right length, but for a graph's and codes', which are trained for a few. `latency`: one sentence at a time, by
kernels one after another and, where they can be, by CUDA graphs (`natlab.decoding.captured`); `tokens` is how long
outputs were. `shared`: updates a second of several trainings at once, by where they run.
`distillation`: beam 5 beside stock fairseq's. `training`: target tokens/s of the teacher at each size, natlab and
stock, batch by batch in turn; `training_bf16` with stock's ``--bf16``, which takes a GPU. A part that fails is named
with its error, and the others are measured all the same. ``--costs`` is what config/costs.yaml should then say of the
device, in its terms.
"""

import argparse
import itertools
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
import yaml

from benchmarks.training import distillation, now, trainers, training
from natlab import config, families
from natlab.costs import Costs, Work
from natlab.decoding import captured, decode
from natlab.files import write_json, written_aside
from natlab.measuring.data import Data, device, device_name
from natlab.measuring.latency import interleaved, summary

SIDES = {
    "training": ("stock fp32", "natlab fp32", "natlab bf16"),
    "training_bf16": ("stock bf16", "natlab bf16"),
}
COSTED = ("update", "latency", "distillation", "training", "start")  # what the costs rest on
VANILLA, GLAT, DAT, CODES = "vanilla_kd", "glat_kd", "dat_raw", "aeqa_raw"
SHARED = ("vanilla_raw", DAT)
MPS = "nvidia-cuda-mps-control"
TIMED = {GLAT: ("argmax", "lpd3"), DAT: ("dag_lookahead", "dag_joint_viterbi", "dag_samples"), CODES: ("argmax",)}
# Steep enough for a few hundred updates at any size, which the scale's schedule need not be.
SCHEDULE = {"lr": 0.0007, "warmup": 100, "schedule": "linear"}
START = """
import sys, torch
from natlab import compat; compat.apply()
import natlab.training.loop, natlab.measuring.data as data
data.Data(sys.argv[1]); torch.zeros(1, device=data.device()).item()
"""


class Speed:
    """The parts, of one run's specifications and its first dataset."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.run = config.load_file(args.run)
        self.dataset = next(iter(self.run.datasets))
        self.data = f"results/corpora/{self.dataset}/bin"
        self.models: dict[str, torch.nn.Module] = {}

    def spec(self, system: str, size: str) -> dict:
        """A system's specification at another size."""
        spec = self.run.spec(self.dataset, system, 1)
        of = self.run.sizes[size]
        layers = {"encoder_layers": of["layers"], "decoder_layers": of["layers"]}
        size = {key: of[key] for key in ("d_model", "d_hidden", "heads")} | layers
        return {**spec, "size": size, "training": spec["training"] | SCHEDULE}

    def settled(self, trained, updates: int) -> float:
        """Seconds of the median of so many updates of a trainer, which goes on from epoch to epoch."""
        seconds = []
        for epoch in itertools.count(1):
            batches = trained.get_train_iterator(epoch=epoch).next_epoch_itr(shuffle=True)
            trained.begin_epoch(epoch)
            for sample in batches:
                if len(seconds) == updates:
                    trained.model.eval()
                    return statistics.median(seconds)
                start = now()
                trained.train_step([sample])
                seconds.append(now() - start)

    def update(self) -> dict:
        """Leaves the models whose decodings are timed."""
        milliseconds = {}
        for system in (self.run.reference, VANILLA, GLAT, DAT, CODES):
            [trained] = trainers(self.spec(system, self.args.sizes[-1]), self.data, ("natlab bf16",)).values()
            few = system in (DAT, CODES)  # a graph is as long as its source says, and codes cost what they cost
            milliseconds[system] = 1000 * self.settled(trained, self.args.updates if few else self.args.settle)
            self.models[system] = trained.model.net
        return milliseconds

    def training(self, sides: tuple[str, ...] = SIDES["training"]) -> dict:
        return {
            size: training(
                trainers(self.spec(self.run.reference, size), self.data, sides), self.args.updates, self.args.skip
            )
            for size in self.args.sizes
        }

    def training_bf16(self) -> dict:
        return self.training(SIDES["training_bf16"]) if torch.cuda.is_available() else {}

    def latency(self) -> dict:
        tokens: dict[str, list[int]] = {}

        def decoder(system: str, name: str, precision: str, by: str) -> tuple[str, Callable]:
            model, options = self.models[system], self.decoding(name, system)
            label = f"{system} {name} {precision}" + f" {by}" * bool(by)
            model.encoder.precision = precision
            translate = captured.Captured(model, options) if by else lambda source: decode(model, source, options)
            tokens[label] = []

            def run(sentence):
                model.encoder.precision = precision
                [found] = translate(sentence)
                tokens[label].append(len(found))

            return label, run

        timed = {self.run.reference: ("beam5", "greedy"), **TIMED}
        decoders = dict(
            decoder(system, name, precision, by)
            for system, names in timed.items()
            for name in names
            for precision in ("fp32", "bf16")
            for by in ("", *["graphs"] * self.captures(name, system))
        )
        sources = Data(self.data).sources("test")
        sentences = [sources[i][None].to(device()) for i in range(min(self.args.sentences, len(sources)))]
        seconds = interleaved(
            decoders, sentences, len(sentences), now
        )  # each once beforehand: graphs are captured then
        return {name: {**summary(taken), "tokens": statistics.fmean(tokens[name])} for name, taken in seconds.items()}

    def decoding(self, name: str, system: str) -> dict:
        """Its options, of those that are tuned the first."""
        options = self.run.decoding(self.dataset, name, system)
        return options | {option: values[0] for option, values in families.tuned(options).items()}

    def captures(self, decoding: str, system: str) -> bool:
        """Whether a decoding is timed by CUDA graphs, too."""
        return torch.cuda.is_available() and captured.can_be(self.decoding(decoding, system))

    def shared(self) -> dict:
        """{where: {system: updates a second, of all}} of ``--share`` trainings at once of ``--share-run``, half of them
        a graph's; on a GPU also with NVIDIA's MPS, where there is one."""
        found = {}
        if torch.cuda.is_available():
            found["gpu"] = self.together({})
            if shutil.which(MPS):
                with tempfile.TemporaryDirectory() as folder:
                    places = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
                    subprocess.run([MPS, "-d"], env=os.environ | places, check=True)
                    try:
                        found["gpu, MPS"] = self.together(places)
                    finally:
                        subprocess.run([MPS], input="quit\n", text=True, env=os.environ | places, check=True)
        return found | {"cpu": self.together({"CUDA_VISIBLE_DEVICES": ""})}

    def together(self, environment: dict[str, str]) -> dict[str, float]:
        run = config.load_file(self.args.share_run)
        systems = [SHARED[number % 2] for number in range(self.args.share)]
        with tempfile.TemporaryDirectory() as folder:
            for system in SHARED:
                write_json(Path(folder) / system, run.spec(next(iter(run.datasets)), system, 1))
            command = [sys.executable, "-m", "benchmarks.gpu.shared", self.data]
            command += [str(self.args.share_seconds), str(len(systems)), folder]
            environment = os.environ | {"OMP_NUM_THREADS": "1"} | environment
            running = [
                subprocess.Popen([*command, system], env=environment, stdout=subprocess.PIPE, text=True)
                for system in systems
            ]
            rates = [float(process.communicate()[0]) for process in running]
        total = dict.fromkeys(systems, 0.0)
        for system, rate in zip(systems, rates, strict=True):
            total[system] += rate
        return total

    def distillation(self) -> dict:
        model = self.models[self.run.reference]
        model.encoder.precision = "fp32"
        count = min(self.args.distil, len(Data(self.data).sources("train")))
        return distillation(model, self.data, count, max(1, count // 2), self.run.scale["distil"]["batch_tokens"])

    def start(self) -> dict:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", START, self.data], check=True)
        return {"seconds": time.perf_counter() - began}

    def costs(self, found: dict) -> dict:
        """What config/costs.yaml should say of this device, and GLAT's cost over the vanilla input."""
        size = self.args.sizes[-1]
        corpus = Costs(self.run).corpus(self.dataset)
        work = Work.of(self.spec(self.run.reference, size), corpus.vocabulary)
        rates, latency, update = found["training"][size]["tokens_per_second"], found["latency"], found["update"]
        timed = [f"{self.run.reference} beam5 fp32", f"{self.run.reference} greedy fp32", f"{GLAT} argmax fp32"]
        length = latency[timed[0]]["tokens"] + 1  # and the end of the sentence
        decoded = found["distillation"]["sentences_per_second"]["natlab"] * work.decoded(length, {"beam": 5})
        return {
            "inputs": {"glat": round(max(1.0, update[GLAT] / update[VANILLA]), 2)},
            "devices": {
                "gpu": {
                    "name": found["device"],
                    "measured": True,
                    "train_gflops": {
                        kind: round(rates[f"natlab {kind}"] * 3 * work.forward / 1e9, 2) for kind in ("bf16", "fp32")
                    },
                    "decode_gflops": round(decoded / 1e9, 2),
                    "latency_seconds": round(sum(latency[name]["mean"] for name in timed) / 1000, 4),
                    "start_seconds": round(found["start"]["seconds"], 1),
                }
            },
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--costs", required=True)
    parser.add_argument("--sizes", nargs="+", default=["tiny", "small", "base"], help="of config/sizes.yaml")
    parser.add_argument("--updates", type=int, default=30)
    parser.add_argument("--skip", type=int, default=5, help="updates, or sentences, before the clock runs")
    parser.add_argument("--settle", type=int, default=300, help="updates before decoding is timed")
    parser.add_argument("--sentences", type=int, default=25)
    parser.add_argument("--distil", type=int, default=1500, help="sentences")
    parser.add_argument("--share-run", default="config/runs/codat_multi30k.yaml", help="of the same corpus")
    parser.add_argument("--share", type=int, default=14, help="trainings at once")
    parser.add_argument("--share-seconds", type=float, default=8, help="that these are counted")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    speed, found = Speed(args), {"device": device_name(), "torch": torch.__version__, "failed": {}}
    for part in (*COSTED, "training_bf16", "shared"):
        try:
            found[part] = getattr(speed, part)()
        except Exception as error:  # whatever it is, the other parts are measured
            traceback.print_exc()
            found["failed"][part] = f"{type(error).__name__}: {error}"
        write_json(args.out, found)
        if part == COSTED[-1] and not found["failed"]:
            with written_aside(args.costs) as file:
                file.write(f"# Measured by benchmarks/gpu/speed.py at size {args.sizes[-1]}, {speed.run.name}.\n")
                yaml.safe_dump(speed.costs(found), file, sort_keys=False)
    if found["failed"]:
        sys.exit("\n".join(f"{part}: {error}" for part, error in found["failed"].items()))


if __name__ == "__main__":
    main()
