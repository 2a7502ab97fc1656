"""How long a sentence takes, and how much faster a model is than its teacher."""

import argparse
import json
from itertools import count

import pytest
import torch
from tests import plain

from natlab.corpus.binarise import binarise
from natlab.decoding.beam_search import search
from natlab.decoding.kinds.argmax import Argmax
from natlab.files import read_json, write_json
from natlab.measuring import latency
from natlab.measuring.data import Data
from natlab.measuring.latency import interleaved, summary
from natlab.models.load import build, publish

SENTENCES = ["a b c", "c b", "a", "b b a c"]
SIZE = {"d_model": 16, "d_hidden": 16, "encoder_layers": 1, "decoder_layers": 1, "heads": 2, "dropout": 0.0}
SPEC = {"dataset": "small", "scale": "demo", "system": "glat_raw", "seed": 3, "architecture": {"name": "nat"}}


def test_each_sentence_is_decoded_by_all_before_the_next_and_warm_up_is_not_counted():
    calls = []
    ticks = count()
    decoders = {name: (lambda sentence, name=name: calls.append((name, sentence))) for name in ("at", "nat")}
    seconds = interleaved(decoders, ["a", "b", "c"], 1, lambda: next(ticks))
    assert calls[:2] == [("at", "a"), ("nat", "a")]
    assert calls[2:] == [(name, sentence) for sentence in "abc" for name in ("at", "nat")]
    assert seconds == {"at": [1, 1, 1], "nat": [1, 1, 1]}


def test_a_decoders_seconds_are_those_between_its_start_and_its_end():
    """The clock shows squares: 0 and 1, 4 and 9 are the first sentence's, 16 and 25, 36 and 49 the second's."""
    ticks = (number**2 for number in count())
    decoders = {"at": lambda sentence: None, "nat": lambda sentence: None}
    assert interleaved(decoders, ["a", "b"], 0, lambda: next(ticks)) == {"at": [1, 9], "nat": [5, 13]}


def test_summary_in_milliseconds():
    seconds = [0.001 * k for k in range(1, 101)]
    assert summary(seconds) == {"mean": 50.5, "median": 50.5, "p95": 96.0}
    assert summary([0.002]) == {"mean": 2.0, "median": 2.0, "p95": 2.0}
    assert summary([0.001, 0.002, 0.009]) == {"mean": 4.0, "median": 2.0, "p95": 9.0}


@pytest.fixture
def parsed(tmp_path):
    """A function: the arguments that measure a random NAT against a random Transformer, on four sentences of test."""
    (tmp_path / "bpe").mkdir()
    for split in ("train", "valid", "test"):
        for side in ("src", "tgt"):
            (tmp_path / "bpe" / f"{split}.{side}").write_text("".join(f"{line}\n" for line in SENTENCES))
    binarise(True, tmp_path / "bpe", tmp_path / "bin")
    vocabulary = len(Data(tmp_path / "bin").source)
    words = {"joint_vocabulary": True, "source_vocabulary": vocabulary, "target_vocabulary": vocabulary}
    torch.manual_seed(0)
    for name, options in {
        "nat": {"architecture": plain.architecture(masking=True)},
        "predictor": {"architecture": plain.architecture()},
        "at": {"architecture": {"name": "transformer"}},
    }.items():
        publish(tmp_path / f"{name}.pt", build({**options, **SIZE, **words}), {"spec": SPEC, "fingerprint": name})

    def parse(decodings, *options):
        parser = argparse.ArgumentParser()
        latency.add_arguments(parser)
        return parser.parse_args(
            ["--model", f"{tmp_path}/nat.pt", "--reference", f"{tmp_path}/at.pt", "--data", f"{tmp_path}/bin",
             "--decodings", json.dumps(decodings), "--out", f"{tmp_path}/latency.json", *options]
        )  # fmt: skip

    return parse


ARGMAX = {"kind": "argmax", "length_candidates": 1, "length_factor": 1.0, "deduplicate": False}


@pytest.fixture
def clocked(monkeypatch):
    """Instead of a clock: what was timed, and seconds that make the reference's beam 5 the slowest."""
    seen = {}

    def interleaved(decoders, sentences, warmup, clock):
        seen.update(decoders=decoders, sentences=sentences, warmup=warmup, seconds=clock() - clock())
        seconds = {"reference beam5": 0.06, "reference greedy": 0.03}
        return {name: [seconds.get(name, 0.01)] * len(sentences) for name in decoders}

    monkeypatch.setattr(latency, "interleaved", interleaved)
    return seen


def test_the_speedup_is_how_many_times_as_long_the_reference_takes(parsed, clocked, tmp_path):
    latency.run(parsed({"argmax": ARGMAX}))
    found = read_json(tmp_path / "latency.json")
    assert found["values"] == {
        "latency/reference beam5": {"mean": pytest.approx(60), "median": 60, "p95": 60, "unit": "ms"},
        "latency/reference greedy": {"mean": pytest.approx(30), "median": 30, "p95": 30, "unit": "ms"},
        "latency/argmax": {"mean": pytest.approx(10), "median": 10, "p95": 10, "unit": "ms"},
        "speedup/argmax": {"value": pytest.approx(6), "unit": "x", "over": "reference beam5"},
        "speedup_greedy/argmax": {"value": pytest.approx(3), "unit": "x", "over": "reference greedy"},
    }
    assert {key: found[key] for key in ("dataset", "scale", "system", "seed")} == {
        key: SPEC[key] for key in ("dataset", "scale", "system", "seed")
    }
    assert found["decoding"] is None and found["split"] == "test" and found["sentences"] == 4
    assert found["batch"] == 1 and found["dtype"] == "float32" and found["provenance"]["fingerprint"] == "nat"


def test_what_is_timed_is_each_models_own_decoding_of_one_sentence(parsed, clocked, tmp_path):
    decodings = {"argmax": ARGMAX, "sample": {"kind": "sample", "length_factor": 1.0, "seed": 1, "predictor": "p"}}
    latency.run(parsed(decodings, "--sentences", "3", "--warmup", "2", "--auxiliary", f"p={tmp_path}/predictor.pt"))
    data = Data(tmp_path / "bin")
    assert [sentence.tolist() for sentence in clocked["sentences"]] == [
        [source.tolist()] for source in (data.sources("test")[i] for i in range(3))
    ]
    assert clocked["warmup"] == 2 and clocked["seconds"] < 0
    at, nat = latency_models(tmp_path)
    for sentence in clocked["sentences"]:
        found = {name: decoder(sentence)[0].tolist() for name, decoder in clocked["decoders"].items()}
        assert found["reference beam5"] == search(at, sentence, beam=5)[0].tolist()
        assert found["reference greedy"] == search(at, sentence, beam=1)[0].tolist()
        assert found["argmax"] == Argmax()(nat, sentence)[0].tolist()
    assert clocked["decoders"].keys() == {"reference beam5", "reference greedy", "argmax", "sample"}


def latency_models(folder):
    from natlab.models.load import load

    return [load(folder / f"{name}.pt")[0] for name in ("at", "nat")]


def test_two_hundred_sentences_are_timed_after_ten_unless_told(parsed):
    args = parsed({"argmax": ARGMAX})
    assert (args.sentences, args.warmup, args.auxiliary, args.decodings) == (200, 10, [], {"argmax": ARGMAX})


def test_models_data_decodings_and_where_to_write_must_be_given():
    parser = argparse.ArgumentParser()
    latency.add_arguments(parser)
    given = ["--model", "m", "--reference", "r", "--data", "d", "--decodings", "{}", "--out", "o"]
    found = vars(parser.parse_args(given))
    assert {key: found[key] for key in ("model", "reference", "data", "decodings", "out", "checkpoints")} == {
        "model": "m", "reference": "r", "data": "d", "decodings": {}, "out": "o", "checkpoints": "",
    }  # fmt: skip
    for at in range(0, len(given), 2):
        with pytest.raises(SystemExit):
            parser.parse_args(given[:at] + given[at + 2 :])


def test_a_tuned_decoding_is_timed_with_what_was_chosen(parsed, clocked, tmp_path, monkeypatch):
    write_json(tmp_path / "tuned.json", {"lpd": {"options": {"length_candidates": 3}}})
    tuned = {"lpd": ARGMAX | {"length_candidates": {"tuned": [2, 3]}}}
    latency.run(parsed(tuned, "--tuned", f"{tmp_path}/tuned.json"))
    seen = []
    monkeypatch.setattr("natlab.decoding.kinds.argmax.Argmax.__call__", lambda self, *of, **_: seen.append(self))
    clocked["decoders"]["lpd"](clocked["sentences"][0])
    assert [kind.length_candidates for kind in seen] == [3]
