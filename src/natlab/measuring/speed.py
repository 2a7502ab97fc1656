"""`natlab speed`: all ways to translate with a corpus' models beside each other: how long a sentence takes, how many
come in a second, how much memory that takes, and how good they are.

A way is a system, a decoding and an engine: natlab's own code, or what a bundle (`natlab.bundles`) translates with.
Time is from numbers of subwords to numbers of subwords: text costs all ways alike.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from natlab.measuring.latency import summary

OWN, GRAPHS = "natlab", "natlab_graphs"  # its own code; the same by CUDA graphs, on a GPU
THREADS = (1, 2)  # of a sentence at a time
BATCHES = (8, 16, 32, 64, 128)  # sentences at a time, on all threads
SHOWN = (8, 64)
# What others are compared with: decoding and engines of the reference, the fastest of which counts, by the name of the
# comparison.
OVER = {
    "own_beam5": ("beam5", (OWN, GRAPHS)),
    "ctranslate2_beam5": ("beam5", ("ctranslate2",)),
    "ctranslate2_int8_greedy": ("greedy", ("ctranslate2_int8",)),
}
LENGTHS = (5, 10, 20, 50, 100, 200)  # subwords of sources, their end not counted
OF_LENGTH = 5  # sources of each length
TURN = 10  # calls in a row
PAUSE = 0.005  # seconds before these: threads of ONNX Runtime and of OpenMP spin for some after theirs

Sentences = Sequence[list[int]]
Translate = Callable[[Sentences], list[list[int]]]


class Way(NamedTuple):
    """A system, the name of its decoding and the engine: `OWN`, `GRAPHS`, or a bundle's, with _int8 for weights of
    eight bits."""

    system: str
    decoding: str
    engine: str

    def key(self, metric: str) -> str:
        """Of one of its values."""
        return f"speed/{metric}/{self.system}/{self.decoding}/{self.engine}"


class Ready(NamedTuple):
    """A way that can be started.

    start: with a number of threads it gives what translates.
    size: bytes on the disk.
    memory: the arguments of `peak`.
    """

    start: Callable[[int], Translate]
    size: int
    memory: tuple


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", required=True, nargs="+", metavar="SYSTEM=MODEL")
    parser.add_argument("--reference", required=True, metavar="SYSTEM", help="the autoregressive one to compare with")
    parser.add_argument("--tuned", nargs="*", default=[], metavar="SYSTEM=FILE", help="options that were chosen")
    parser.add_argument("--data", required=True, help="fairseq data folder; sentences of test are translated")
    parser.add_argument(
        "--ways", required=True, type=json.loads, help="JSON: [{system, decoding, engine, options}, …], the decoding's"
    )
    parser.add_argument("--sentences", type=int, default=200, help="that are timed")
    parser.add_argument("--warmup", type=int, default=10, help="sentences translated before the clock runs")
    parser.add_argument("--threads", type=int, required=True, help="of batches")
    parser.add_argument("--out", required=True, help="one measurement, as JSON")


def run(args: argparse.Namespace) -> None:
    from natlab import provenance
    from natlab.files import write_json
    from natlab.measuring import tuning
    from natlab.measuring.auxiliary import auxiliary
    from natlab.measuring.data import Data, device, device_name
    from natlab.models.load import load

    paths, tuned = auxiliary(args.models, "--models"), auxiliary(args.tuned, "--tuned")
    loaded = {system: load(path, device()) for system, path in paths.items()}
    data = Data(args.data)
    found = data.sources("test")
    sources = [found[i].tolist() for i in range(len(found))]
    values: dict[str, dict[str, Any]] = {}
    with TemporaryDirectory() as folder:
        ways = {}
        for number, given in enumerate(args.ways):
            way = Way(given["system"], given["decoding"], given["engine"])
            (options,) = tuning.settled({way.decoding: given["options"]}, tuned.get(way.system)).values()
            ways[way] = ready(way, paths[way.system], loaded[way.system][0], options, Path(folder) / str(number))
        one_by_one(ways, sources[: args.sentences], args.warmup, args.reference, values)
        by_length(ways, sources, values)
        in_batches(ways, sources[: args.sentences], args.threads, values)
        quality(ways, sources, data, args.threads, values)
        weight(ways, sources[:64], args.threads, values)
    spec = next(iter(loaded.values()))[1]["spec"]
    measurement = {
        **{key: spec[key] for key in ("dataset", "scale", "seed")},
        "system": None,
        "decoding": None,
        "split": "test",
        "sentences": min(args.sentences, len(sources)),
        "values": values,
        "models": {system: made["fingerprint"] for system, (_, made) in loaded.items()},
        "provenance": provenance.record(None, device_name()),
    }
    write_json(args.out, measurement)


def ready(way: Way, path: str, model: Any, decoding: Mapping[str, Any], folder: Path) -> Ready:
    """A way prepared: for a bundle's engine its model is written to ``folder``."""
    if way.engine == OWN:
        return Ready(lambda threads: own(model, decoding, threads), Path(path).stat().st_size, (path, decoding))
    if way.engine == GRAPHS:
        return Ready(lambda _: by_graphs(model, decoding), Path(path).stat().st_size, (path, decoding))
    from natlab.bundles import engines
    from natlab.bundles.manifest import Manifest
    from natlab.export import forms

    engine, _, eight = way.engine.partition("_")
    precision = eight or "float32"
    folder.mkdir()
    forms.WRITERS[engine](model, decoding, precision, folder)
    manifest = Manifest.plain(engine, precision, dict(decoding), bool(getattr(model, "blank", False)))

    def start(threads: int) -> Translate:
        translate = engines.start(manifest, folder, threads)
        return lambda sources: [said.tokens for said in translate(sources)]

    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return Ready(start, size, (manifest, folder))


def own(model: Any, decoding: Mapping[str, Any], threads: int) -> Translate:
    """natlab's decoding; of all ways of its process it has the threads of the last that was started."""
    import torch

    from natlab.decoding import decode

    torch.set_num_threads(threads)
    return _translating(model, lambda source: decode(model, source, decoding))


def by_graphs(model: Any, decoding: Mapping[str, Any]) -> Translate:
    """The same by CUDA graphs, whatever the threads."""
    from natlab.decoding.captured import Captured

    return _translating(model, Captured(model, decoding))


def _translating(model: Any, found: Callable) -> Translate:
    """Of what finds the targets of sources [B, S] on the model's device."""
    import torch

    from natlab.decoding import pad_right

    def translate(sources: Sentences) -> list[list[int]]:
        padded = pad_right([torch.tensor(source) for source in sources], model.config.pad).to(model.device)
        return [target.tolist() for target in found(padded)]

    return translate


def clock() -> float:
    """Seconds, once a GPU has done what it was given."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def in_turns(started: Mapping[Way, Translate], batches: Sequence[Sentences], warmup: int) -> dict[Way, list[float]]:
    """Seconds each way takes for each batch. A few batches are translated by all ways before any goes on to the next
    ones, so that a machine that slows down slows them alike; of each turn one more call, which does not count, comes
    first, so that a way has its caches to itself as it has with a user. ``warmup``: batches translated beforehand; by
    CUDA graphs all, which has the graphs of their sizes captured."""
    for number, batch in enumerate(batches):
        for way, translate in started.items():
            if number < warmup or way.engine == GRAPHS:
                translate(batch)
    seconds: dict[Way, list[float]] = {way: [] for way in started}
    for first in range(0, len(batches), TURN):
        turn = batches[first : first + TURN]
        for way, translate in started.items():
            time.sleep(PAUSE)
            translate(turn[0])
            for batch in turn:
                start = clock()
                translate(batch)
                seconds[way].append(clock() - start)
    return seconds


def one_by_one(
    ways: Mapping[Way, Ready], sources: Sentences, warmup: int, reference: str, values: dict[str, dict]
) -> None:
    """Mean, median and 95th percentile of milliseconds a sentence, one at a time; and how many times as fast as the
    ``reference`` by its own ways that is: means, each with the number of threads that suits it best."""
    best = dict.fromkeys(ways, float("inf"))
    for threads in THREADS:
        started = {way: of.start(threads) for way, of in ways.items()}
        for way, seconds in in_turns(started, [[source] for source in sources], warmup).items():
            best[way] = min(best[way], statistics.fmean(seconds))
            for statistic, value in summary(seconds).items():
                values[way.key(f"{statistic}/{threads}")] = {"value": value, "unit": "ms"}
    for name, (decoding, engines) in OVER.items():
        others = [best[way] for engine in engines if (way := Way(reference, decoding, engine)) in best]
        for way, own_best in best.items() if others else ():
            values[way.key(f"times/{name}")] = {"value": min(others) / own_best, "unit": "x"}


def by_length(ways: Mapping[Way, Ready], sources: Sentences, values: dict) -> None:
    """Milliseconds a sentence over the subwords of its source, one at a time, one thread. Sources are those of test,
    one after another, cut to length."""
    words = [word for source in sources for word in source[:-1]]
    end = sources[0][-1]
    started = {way: of.start(1) for way, of in ways.items()}
    for length in LENGTHS:
        firsts = [number * length for number in range(OF_LENGTH)]
        drawn = [[words[(first + k) % len(words)] for k in range(length)] for first in firsts]
        seconds = in_turns(started, [[[*source, end]] for source in drawn], 1)
        for way, of_way in seconds.items():
            values[way.key(f"length/{length}")] = {"value": 1000 * statistics.median(of_way), "unit": "ms"}


def in_batches(ways: Mapping[Way, Ready], sources: Sentences, threads: int, values: dict) -> None:
    """Sentences a second in batches of like length, and the best of all sizes of these."""
    started = {way: of.start(threads) for way, of in ways.items()}
    ordered = sorted(sources, key=len)
    rates: dict[Way, dict[int, float]] = {way: {} for way in ways}
    for size in BATCHES:
        batches = [ordered[first : first + size] for first in range(0, len(ordered), size)]
        for way, seconds in in_turns(started, batches, 1).items():
            rates[way][size] = len(ordered) / sum(seconds)
    for way, of_way in rates.items():
        shown = {str(size): of_way[size] for size in SHOWN} | {"best": max(of_way.values())}
        for size, rate in shown.items():
            values[way.key(f"sentences/{size}")] = {"value": rate, "unit": "sentences/s"}


def quality(ways: Mapping[Way, Ready], sources: Sentences, data: Any, threads: int, values: dict) -> None:
    """The tokenised BLEU of all of test, and how many per cent of the sentences are what natlab's own code says."""
    import torch

    from natlab.metrics.bleu import tokenised_bleu

    targets = data.targets("test")
    references = [data.text(targets[i]) for i in range(len(sources))]
    order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
    said: dict[Way, list[list[int]]] = {}
    for way, of in ways.items():
        translate, found = of.start(threads), [[]] * len(sources)
        for first in range(0, len(order), SHOWN[-1]):
            rows = order[first : first + SHOWN[-1]]
            for row, target in zip(rows, translate([sources[i] for i in rows]), strict=True):
                found[row] = target
        said[way] = found
        texts = [data.text(torch.tensor(target, dtype=torch.long)) for target in found]
        score = tokenised_bleu(texts, [references])
        del score["by_sentence"]
        values[way.key("bleu_tok")] = score
    for way, found in said.items():
        ours = said.get(way._replace(engine=OWN))
        if ours is not None and way.engine != OWN:
            same = sum(a == b for a, b in zip(found, ours, strict=True))
            values[way.key("same")] = {"value": 100 * same / len(found), "unit": "%"}


def weight(ways: Mapping[Way, Ready], sources: Sentences, threads: int, values: dict) -> None:
    """Megabytes on the disk, and those of memory that a process takes at most that translates some batches of eight."""
    for way, of in ways.items():
        values[way.key("disk")] = {"value": of.size / 1e6, "unit": "MB"}
        with get_context("spawn").Pool(1) as pool:
            most = pool.apply(peak, (list(sources), threads, *of.memory))
        values[way.key("memory")] = {"value": most / 1e6, "unit": "MB"}


def peak(sources: Sentences, threads: int, *of: Any) -> int:
    """Of a process of its own: the bytes of memory that it has held at most once it has translated ``sources``, by the
    model at a path under a decoding, or by a bundle's manifest and folder; of a GPU's memory it says nothing."""
    if isinstance(of[0], str):
        from natlab.models.load import load

        translate: Callable = own(load(of[0])[0], of[1], threads)
    else:
        from natlab.bundles import engines

        translate = engines.start(*of, threads)
    for first in range(0, len(sources), 8):
        translate(sources[first : first + 8])
    # of a process that began as another one's copy the kernel's maxrss is that one's
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
