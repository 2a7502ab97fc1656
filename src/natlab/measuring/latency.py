"""`natlab latency`: how long a sentence takes, one at a time, and how much faster a model is than its teacher."""

import argparse
import json
import statistics
import time
from collections.abc import Callable

from natlab import tracking


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="the non-autoregressive model")
    parser.add_argument("--reference", required=True, help="the autoregressive model to compare with")
    parser.add_argument(
        "--auxiliary", nargs="*", default=[], metavar="SYSTEM=MODEL", help="auxiliary models of decodings"
    )
    parser.add_argument("--data", required=True, help="fairseq data folder; the first sentences of test are translated")
    parser.add_argument("--decodings", required=True, type=json.loads, help="JSON: {name: decoding} of the model")
    parser.add_argument("--tuned", metavar="FILE", help="what options were chosen, tuned.json of its translations")
    parser.add_argument("--sentences", type=int, default=200)
    parser.add_argument("--warmup", type=int, default=10, help="sentences translated before the clock runs")
    parser.add_argument("--out", required=True, help="one measurement, as JSON")
    tracking.add_arguments(parser)


def interleaved(
    decoders: dict[str, Callable], sentences: list, warmup: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds each decoder takes for each sentence. All decode a sentence before any goes on to the next, so that a
    machine that slows down slows them alike. The first ``warmup`` sentences are decoded once more beforehand."""
    for sentence in sentences[:warmup]:
        for decoder in decoders.values():
            decoder(sentence)
    seconds: dict[str, list[float]] = {name: [] for name in decoders}
    for sentence in sentences:
        for name, decoder in decoders.items():
            start = clock()
            decoder(sentence)
            seconds[name].append(clock() - start)
    return seconds


def summary(seconds: list[float]) -> dict[str, float]:
    """Mean, median and 95th percentile, in milliseconds."""
    ordered = sorted(1000 * second for second in seconds)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return {"mean": statistics.fmean(ordered), "median": statistics.median(ordered), "p95": p95}


def run(args: argparse.Namespace) -> None:
    import torch

    from natlab import provenance
    from natlab.decoding import decode
    from natlab.files import write_json
    from natlab.measuring import tuning
    from natlab.measuring.auxiliary import auxiliary
    from natlab.measuring.data import Data, device, device_name
    from natlab.models.load import load

    where = device()
    student, made = load(args.model, where)
    teacher, _ = load(args.reference, where)
    models = {system: load(path, where)[0] for system, path in auxiliary(args.auxiliary).items()}
    timed = {
        "reference beam5": (teacher, {"kind": "beam", "beam": 5}),
        "reference greedy": (teacher, {"kind": "beam", "beam": 1}),
        **{name: (student, decoding) for name, decoding in tuning.settled(args.decodings, args.tuned).items()},
    }
    sources = Data(args.data).sources("test")
    sentences = [sources[i][None].to(where) for i in range(min(args.sentences, len(sources)))]

    def clock() -> float:
        if where.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    decoders = {
        name: (lambda sentence, model=model, decoding=decoding: decode(model, sentence, decoding, models))
        for name, (model, decoding) in timed.items()
    }
    seconds = interleaved(decoders, sentences, args.warmup, clock)
    values = {}
    for name, measured in seconds.items():
        values[f"latency/{name}"] = {**summary(measured), "unit": "ms"}
    for name in args.decodings:
        for key, reference in (("speedup", "reference beam5"), ("speedup_greedy", "reference greedy")):
            ratio = values[f"latency/{reference}"]["mean"] / values[f"latency/{name}"]["mean"]
            values[f"{key}/{name}"] = {"value": ratio, "unit": "x", "over": reference}
    spec = made["spec"]
    measurement = {
        **{key: spec[key] for key in ("dataset", "scale", "system", "seed")},
        "decoding": None,
        "split": "test",
        "sentences": len(sentences),
        "batch": 1,
        "dtype": "float32",
        "values": values,
        "provenance": provenance.record(made["fingerprint"], device_name()),
    }
    write_json(args.out, measurement)
    tracking.measured(args, [measurement])
