"""What a codebook costs a vanilla NAT, a step and a sentence (AEQA-NAT), beside what else its training may take.

    python -m benchmarks.codes --data results/corpora/multi30k_ende/bin

All systems train on the same batches in turn: vanilla; the soft copy of the encoder's states; codes for it, a fixed
share kept; that with a first pass for the number that is kept; and with each term of L_SQA, two of which encode Y. Then
the first three translate sentences of the validation set one by one, in turn, by argmax, at the reference's length:
untrained models predict any. Prints medians in milliseconds and their ratios to vanilla's.
"""

import argparse
import json
import logging
import statistics

import torch

import natlab.config
from benchmarks.dynamic import now
from benchmarks.steps import measured, milliseconds
from natlab import compat
from natlab.decoding import decode
from natlab.models.load import build

SOFT = {"fill": {"name": "soft_copy", "of": "states", "tau": 0.3}}
UNIFORM = {"name": "codes", "number": "uniform"}


def variants(spec: dict, size: int) -> dict[str, dict]:
    """The systems, by name, of a vanilla one's specification; codebooks have ``size`` codes."""
    codes = {"fill": {"name": "codes"}, "codebook": {"name": "moving", "size": size}}

    def made(parts: dict, *terms: str, **rest: dict) -> dict:
        added = [*spec["terms"], *({"name": term} for term in terms)]
        return {**spec, "architecture": {**spec["architecture"], **parts}, "terms": added, **rest}

    return {
        "vanilla": spec,
        "soft copy": made(SOFT),
        "codes": made(codes, input=UNIFORM),
        "codes, first pass": made(codes, input={"name": "codes"}),
        "codes, commitment": made(codes, "commitment", input=UNIFORM),
        "codes, sentence_codes": made(codes, "sentence_codes", input=UNIFORM),
        "codes, state_codes": made(codes, "state_codes", input=UNIFORM),
        "codes, all of L_SQA": made(codes, "commitment", "sentence_codes", "state_codes", input=UNIFORM),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="config/runs/multi30k_tiny.yaml")
    parser.add_argument("--dataset", default="multi30k_ende")
    parser.add_argument("--data", required=True, help="a fairseq data folder")
    parser.add_argument("--width", type=int, default=256, help="d")
    parser.add_argument("--codes", type=int, default=2048, help="K")
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--sentences", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    logging.disable(logging.WARNING)

    from natlab.measuring.data import Data

    compat.apply()
    from natlab.training.model import description

    run = natlab.config.load_file(args.run)
    spec = run.spec(args.dataset, "vanilla_raw", run.settings["seeds"][0])
    size = {**spec["size"], "d_model": args.width, "d_hidden": 4 * args.width}
    specs = variants({**spec, "size": size}, args.codes)
    steps = milliseconds(specs, args.data, 0, args.updates)
    data = Data(args.data)
    seconds: dict[str, list[float]] = {name: [] for name in list(specs)[:3]}
    models = {name: build(description(specs[name], len(data.source), len(data.target))).eval() for name in seconds}
    for sentence in range(args.sentences):
        for name, model in models.items():
            source = data.sources("valid")[sentence][None].to(model.device)
            length = torch.tensor([len(data.targets("valid")[sentence]) - 1], device=model.device)
            start = now()
            decode(model, source, {"kind": "argmax", "reference_length": True}, reference_lengths=length)
            seconds[name].append(now() - start)
    latency = {name: 1000 * statistics.median(spent[5:]) for name, spent in seconds.items()}
    result = measured(steps, "vanilla", args.updates) | {
        "ms_per_sentence": latency,
        "latency_over_vanilla": {name: each / latency["vanilla"] for name, each in latency.items()},
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
