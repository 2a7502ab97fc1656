"""All ways to translate with a corpus' models, beside each other."""

import argparse
import itertools
import json
from pathlib import Path

import pytest
import torch
from tests import plain

from natlab.bundles.manifest import ENGINES
from natlab.corpus.binarise import binarise
from natlab.files import read_json, write_json
from natlab.measuring import speed
from natlab.measuring.data import Data
from natlab.measuring.speed import Ready, Way
from natlab.models.load import build, publish
from natlab.papers import cells
from natlab.schema import read_yaml

REPOSITORY = Path(__file__).resolve().parents[2]
LINES = ["a b c d", "c b", "a", "b b a c", "d d a b c"]
SIZE = {"d_model": 16, "d_hidden": 16, "encoder_layers": 1, "decoder_layers": 1, "heads": 2, "dropout": 0.0}
SPEC = {"dataset": "small", "scale": "demo", "system": "nat", "seed": 3}
ARGMAX = {"kind": "argmax", "length_candidates": {"tuned": [1, 2]}, "length_factor": 1.0, "deduplicate": False}
WAYS = [
    *({"system": "at", "decoding": "beam5", "engine": engine} for engine in ("natlab", "ctranslate2")),
    {"system": "at", "decoding": "greedy", "engine": "ctranslate2_int8"},
    *({"system": "nat", "decoding": "argmax", "engine": engine} for engine in ("natlab", "onnx", "onnx_int8")),
]
OPTIONS = {
    "beam5": {"kind": "beam", "beam": 5, "length_penalty": 1.0},
    "greedy": {"kind": "beam", "beam": 1, "length_penalty": 1.0},
    "argmax": ARGMAX,
}


@pytest.fixture
def arguments(tmp_path):
    """Those that measure a random NAT and a random Transformer, on five sentences of test."""
    (tmp_path / "bpe").mkdir()
    for split in ("train", "valid", "test"):
        for side in ("src", "tgt"):
            (tmp_path / "bpe" / f"{split}.{side}").write_text("".join(f"{line}\n" for line in LINES))
    binarise(True, tmp_path / "bpe", tmp_path / "bin")
    vocabulary = len(Data(tmp_path / "bin").source)
    words = {"joint_vocabulary": True, "source_vocabulary": vocabulary, "target_vocabulary": vocabulary}
    torch.manual_seed(0)
    for name, architecture in {"nat": plain.architecture(), "at": {"name": "transformer"}}.items():
        model = build({"architecture": architecture, **SIZE, **words})
        publish(tmp_path / f"{name}.pt", model, {"spec": SPEC, "fingerprint": name})
    write_json(tmp_path / "tuned.json", {"argmax": {"options": {"length_candidates": 2}}})
    parser = argparse.ArgumentParser()
    speed.add_arguments(parser)
    ways = [{**way, "options": OPTIONS[way["decoding"]]} for way in WAYS]
    return parser.parse_args(
        ["--models", f"at={tmp_path}/at.pt", f"nat={tmp_path}/nat.pt", "--reference", "at",
         "--tuned", f"nat={tmp_path}/tuned.json", "--data", f"{tmp_path}/bin", "--ways", json.dumps(ways),
         "--sentences", "3", "--warmup", "1", "--threads", "1", "--out", f"{tmp_path}/speed.json"]
    )  # fmt: skip


def test_each_way_has_all_its_values(arguments, tmp_path):
    speed.run(arguments)
    found = read_json(tmp_path / "speed.json")
    assert (found["dataset"], found["scale"], found["seed"], found["system"]) == ("small", "demo", 3, None)
    assert found["sentences"] == 3 and found["models"] == {"at": "at", "nat": "nat"}
    values = found["values"]
    units = {
        **dict.fromkeys((f"{of}/{threads}" for of in ("mean", "median", "p95") for threads in (1, 2)), "ms"),
        **dict.fromkeys((f"times/{name}" for name in speed.OVER), "x"),
        **dict.fromkeys((f"length/{length}" for length in speed.LENGTHS), "ms"),
        **dict.fromkeys(("sentences/8", "sentences/64", "sentences/best"), "sentences/s"),
        **{"memory": "MB", "disk": "MB", "bleu_tok": "BLEU", "same": "%"},
    }
    schema = read_yaml(REPOSITORY / "workflow/schemas/table.schema.yaml")
    assert set(schema["$defs"]["cell"]["properties"]["engine"]["enum"]) == {
        speed.OWN,
        speed.GRAPHS,
        *(f"{engine}{eight}" for engine in ENGINES for eight in ("", "_int8")),
    }
    assert all(cells.NUMBERED.fullmatch(f"speed/{metric}") for metric in units)
    for way in WAYS:
        of = Way(**way)
        # nothing of natlab's own is there to be the same as, for itself and for the greedy search
        without = ["same"] * (of.engine == "natlab" or of.decoding == "greedy")
        assert {metric: values[of.key(metric)]["unit"] for metric in units if of.key(metric) in values} == {
            metric: unit for metric, unit in units.items() if metric not in without
        }
    assert len(values) == len(WAYS) * len(units) - 3
    assert values["speed/same/nat/argmax/onnx"]["value"] == 100
    own, onnx = (values[f"speed/bleu_tok/nat/argmax/{engine}"] for engine in ("natlab", "onnx"))
    assert own["value"] == onnx["value"]
    assert values["speed/disk/nat/argmax/natlab"]["value"] == (tmp_path / "nat.pt").stat().st_size / 1e6
    # a process with torch holds more than one without
    assert values["speed/memory/nat/argmax/natlab"]["value"] > values["speed/memory/nat/argmax/onnx"]["value"] + 50
    assert values["speed/times/own_beam5/at/beam5/natlab"]["value"] == pytest.approx(1)


class Recorded:
    """Ways that note what they translate; each takes a second more than the one before it."""

    def __init__(self, *ways):
        self.seen = []
        self.ways = {way: Ready(lambda threads, way=way: self.started(way, threads), 1, ()) for way in ways}

    def started(self, way, threads):
        def translate(sources):
            self.seen.append((way, threads, sources))
            return [source[:-1] for source in sources]

        return translate


A, B = Way("at", "beam5", "natlab"), Way("nat", "argmax", "onnx")
SOURCES = [[4, 5, 6, 2], [7, 2], [8, 9, 2]]


@pytest.fixture
def seconds(monkeypatch):
    """Instead of a clock: B takes a second a call, A four."""

    def in_turns(started, batches, warmup):
        for batch in batches:
            for translate in started.values():
                translate(batch)
        return {way: [4.0 if way == A else 1.0] * len(batches) for way in started}

    monkeypatch.setattr(speed, "in_turns", in_turns)


def test_ways_take_turns_and_the_first_call_of_a_turn_does_not_count(monkeypatch):
    monkeypatch.setattr(speed, "TURN", 2)
    ticks = itertools.count()
    monkeypatch.setattr(speed, "clock", lambda: next(ticks) ** 2)
    calls = []
    started = {way: (lambda batch, way=way: calls.append((way, batch))) for way in (A, B)}
    seconds = speed.in_turns(started, ["a", "b", "c"], 1)
    turn = [(way, batch) for way in (A, B) for batch in "aab"]
    assert calls == [(A, "a"), (B, "a"), *turn, (A, "c"), (A, "c"), (B, "c"), (B, "c")]
    # the clock shows squares: 0 and 1, 4 and 9, ... are what is timed
    assert seconds == {A: [1, 5, 17], B: [9, 13, 21]}


def test_graphs_are_captured_before_the_clock_runs(monkeypatch):
    monkeypatch.setattr(speed, "clock", lambda: calls.append("clock") or 0)
    graphs, calls = A._replace(engine=speed.GRAPHS), []
    started = {way: (lambda batch, way=way: calls.append((way, batch))) for way in (A, graphs)}
    speed.in_turns(started, ["a", "b", "c"], 1)
    assert calls[: calls.index("clock") - 1] == [(A, "a"), (graphs, "a"), (graphs, "b"), (graphs, "c")]


def test_the_fastest_of_natlabs_own_ways_is_what_others_are_compared_with(seconds, monkeypatch):
    """Kernels one after another take a thousand times as long as they may."""
    plainly = speed.in_turns
    graphs, slow = A._replace(engine=speed.GRAPHS), A
    slower = {slow: 1000, graphs: 1}

    def in_turns(*given):
        return {way: [s * slower.get(way, 1) for s in taken] for way, taken in plainly(*given).items()}

    monkeypatch.setattr(speed, "in_turns", in_turns)
    for ways, times in (((slow, B), 4000), ((slow, graphs, B), 1)):
        values = {}
        speed.one_by_one(Recorded(*ways).ways, SOURCES, 0, "at", values)
        assert values["speed/times/own_beam5/nat/argmax/onnx"]["value"] == times


def test_cuda_graphs_translate_what_they_capture(monkeypatch):
    captured = []

    class Captured:
        def __init__(self, *given):
            captured.append(given)

        def __call__(self, source):
            return list(source)

    monkeypatch.setattr("natlab.decoding.captured.Captured", Captured)
    words = {"joint_vocabulary": True, "source_vocabulary": 10, "target_vocabulary": 10}
    model, way = build({"architecture": plain.architecture(), **SIZE, **words}), Way("nat", "argmax", speed.GRAPHS)
    translate = speed.ready(way, __file__, model, ARGMAX, Path("unused")).start(2)
    assert translate([[4, 5, 2], [7, 2]]) == [[4, 5, 2], [7, 2, 1]] and captured == [(model, ARGMAX)]


def test_one_at_a_time_on_one_thread_and_on_two(seconds):
    recorded, values = Recorded(A, B), {}
    speed.one_by_one(recorded.ways, SOURCES, 0, "at", values)
    assert recorded.seen == [(way, n, [s]) for n in (1, 2) for s in SOURCES for way in (A, B)]
    assert values["speed/mean/2/at/beam5/natlab"] == {"value": 4000, "unit": "ms"}
    assert values["speed/times/own_beam5/nat/argmax/onnx"] == {"value": 4, "unit": "x"}
    assert not any("ctranslate2" in key for key in values)


def test_sources_of_each_length_come_from_the_text(seconds):
    recorded, values = Recorded(B), {}
    speed.by_length(recorded.ways, SOURCES, values)
    assert [len(source[0]) for _, _, source in recorded.seen] == [n + 1 for n in speed.LENGTHS for _ in range(5)]
    assert recorded.seen[0][2] == [[4, 5, 6, 7, 8, 2]] and recorded.seen[1][2] == [[9, 4, 5, 6, 7, 2]]
    assert values["speed/length/200/nat/argmax/onnx"] == {"value": 1000, "unit": "ms"}


def test_sentences_of_like_length_make_a_batch(seconds):
    recorded, values = Recorded(B), {}
    speed.in_batches(recorded.ways, SOURCES * 4, 3, values)
    assert {threads for _, threads, _ in recorded.seen} == {3}
    first, second, *_ = (batch for _, _, batch in recorded.seen)
    assert (len(first), len(second)) == (8, 4) and list(map(len, first)) == [2] * 4 + [3] * 4
    assert {key: value["value"] for key, value in values.items()} == {
        "speed/sentences/8/nat/argmax/onnx": 6,  # 12 in two batches
        "speed/sentences/64/nat/argmax/onnx": 12,
        "speed/sentences/best/nat/argmax/onnx": 12,
    }
