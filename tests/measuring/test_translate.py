"""The verb `translate` when it is cut off: what was decoded is not decoded again."""

import argparse
import json
import shutil

import numpy as np
import pytest
import torch
from tests import plain

import natlab.decoding
from natlab import sources
from natlab.corpus import grammar
from natlab.corpus.binarise import binarise, write_mmap
from natlab.corpus.exact import Distribution
from natlab.corpus.vocabulary import read_symbols, symbol_index
from natlab.decoding import decode
from natlab.decoding.kinds.argmax import Argmax
from natlab.errors import UserError
from natlab.files import read_json, write_json
from natlab.losses.batch import Method
from natlab.measuring import checked, exactly, losses, translate
from natlab.measuring.data import Data
from natlab.measuring.likelihood import nats_per_token
from natlab.metrics.bleu import tokenised_bleu
from natlab.models import validation
from natlab.models.load import build, load, publish
from natlab.papers.cells import REVEALED

SENTENCES = ["a b c", "c b", "a", "b b a c"]


@pytest.fixture
def arguments(tmp_path):
    """A function: the arguments for some decodings of a random model, on a corpus of four sentences a split."""
    (tmp_path / "bpe").mkdir()
    for split in ("train", "valid", "test"):
        for side in ("src", "tgt"):
            text = "".join(f"{sentence}\n" for sentence in SENTENCES)
            (tmp_path / "bpe" / f"{split}.{side}").write_text(text, encoding="utf-8")
    binarise(True, tmp_path / "bpe", tmp_path / "bin")
    torch.manual_seed(0)
    vocabulary = len(Data(tmp_path / "bin").source)
    spec = {**plain.spec(input={"name": "glat", "end": 1.0}), "seed": 1}
    for name in ("model", "predictor"):
        model = build({
            "architecture": plain.architecture(masking=name == "model"), "d_model": 16, "d_hidden": 16,
            "encoder_layers": 1, "decoder_layers": 1, "heads": 2, "dropout": 0.0, "joint_vocabulary": True,
            "source_vocabulary": vocabulary, "target_vocabulary": vocabulary,
        })  # fmt: skip
        publish(tmp_path / f"{name}.pt", model, {"spec": spec, "fingerprint": "f"})

    def parsed(decodings, out, *more):
        parser = argparse.ArgumentParser()
        translate.add_arguments(parser)
        return parser.parse_args(
            ["--model", str(tmp_path / "model.pt"), "--data", str(tmp_path / "bin"), "--decodings",
             json.dumps(decodings), "--splits", "test", "valid", "--out", str(tmp_path / out), *more]
        )  # fmt: skip

    return parsed


@pytest.fixture
def decoded(monkeypatch):
    """The candidates of each decoding that was made; the third one is cut off, once."""
    made, original = [], natlab.decoding.decode_corpus

    def decode_corpus(model, sources, decoding, auxiliary, references):
        made.append(decoding["length_candidates"])
        if len(made) == 3:
            raise KeyboardInterrupt
        return original(model, sources, decoding, auxiliary=auxiliary, references=references)

    monkeypatch.setattr(natlab.decoding, "decode_corpus", decode_corpus)
    return made


def files(folder):
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.name != "provenance.json"}


def test_an_interrupted_translation_goes_on_with_what_it_lacks(arguments, decoded, tmp_path):
    both = {f"argmax{n}": {"kind": "argmax", "length_candidates": n} for n in (1, 3)}
    with pytest.raises(KeyboardInterrupt):
        translate.run(arguments(both, "out"))
    assert not (tmp_path / "out").exists()
    translate.run(arguments(both, "out"))
    assert decoded == [1, 3, 1, 1, 3]  # test and test, then valid, cut off, then valid and valid
    assert not (tmp_path / "out.parts").exists()
    translate.run(arguments(both, "at_once"))
    assert files(tmp_path / "out") == files(tmp_path / "at_once")
    assert {"argmax1.test.txt", "argmax3.valid.txt", "losses.json"} <= files(tmp_path / "out").keys()


def test_what_another_configuration_left_behind_is_not_used(arguments, decoded, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        translate.run(
            arguments(
                {"a": {"kind": "argmax", "length_candidates": 1}, "b": {"kind": "argmax", "length_candidates": 3}},
                "out",
            )
        )
    translate.run(arguments({"a": {"kind": "argmax", "length_candidates": 2}}, "out"))
    assert decoded == [1, 3, 1, 2, 2]
    assert not (tmp_path / "out.parts").exists()


DECODINGS = {
    "argmax": {"kind": "argmax", "length_candidates": 1, "length_factor": 1.0},
    "lpd": {"kind": "argmax", "length_candidates": 3, "length_factor": 1.0},
    "sample": {"kind": "sample", "length_factor": 1.0, "seed": 1, "predictor": "vanilla"},
}


def test_a_model_with_a_predictor_is_measured_with_it(arguments, tmp_path):
    auxiliary = ["--auxiliary", f"vanilla={tmp_path / 'predictor.pt'}", "--predictor", "vanilla"]
    translate.run(arguments(DECODINGS, "out", *auxiliary, "--proxy-targets", "test"))
    losses = read_json(tmp_path / "out/losses.json")
    assert {"loss", "length", "l_input", "loss_raw", "length_raw", "parameters"} <= losses.keys()
    assert losses["l_input"]["tokens"] == losses["loss"]["tokens"] == 10
    decoded = read_json(tmp_path / "out/decoded.json")
    assert decoded.keys() == {"argmax.test", "argmax.valid", "sample.test", "sample.valid"}
    assert files(tmp_path / "out")["target.txt"].splitlines() == SENTENCES
    assert decoded["sample.test"].keys() == {"confidence"} and decoded["sample.test"]["confidence"]["value"] < 0


def test_without_a_predictor_neither_input_nor_confidence_is_measured(arguments, tmp_path):
    translate.run(arguments({"argmax": DECODINGS["argmax"]}, "out"))
    assert "l_input" not in read_json(tmp_path / "out/losses.json")
    assert files(tmp_path / "out").keys() == {"argmax.test.txt", "argmax.valid.txt", "losses.json", "decoded.json"}
    assert read_json(tmp_path / "out/decoded.json") == {}


def test_how_far_the_model_is_from_a_known_truth_is_measured_where_asked(arguments, tmp_path, monkeypatch):
    # over the words of the small corpus; of the third source one target has a word that the model does not know
    known = [[(("a", "b"), 0.5), (("c",), 0.5)], [(("b",), 1.0)], [(("a",), 0.8), (("x",), 0.2)], [(("c", "c"), 1.0)]]
    asked = [Distribution((targets,)) for targets in known]
    monkeypatch.setattr(grammar, "distributions", lambda source, split: asked if split == "test" else None)
    translate.run(arguments({}, "out", "--truth", "config/datasets/grammar_ende.yaml"))
    found = read_json(tmp_path / "out/truth.json")
    assert found.keys() == {"held", "mass_allowed"}
    assert found["held"]["by_sentence"] == pytest.approx([100, 100, 80, 100])
    model, made = load(tmp_path / "model.pt", "cpu")
    data = Data(tmp_path / "bin")
    target, source = torch.tensor([[data.target.index("b")]]), data.sources("test")[1].long()[None]
    log_q = exactly.log_likelihood(model, Method.of(made["spec"]).objective, source, target, torch.tensor([0]))
    assert found["mass_allowed"]["by_sentence"][1] == pytest.approx(100 * log_q.exp().item())


def test_positions_are_measured_of_the_decodings_asked_for(arguments, tmp_path):
    longer = {"kind": "argmax", "length_candidates": 3, "length_factor": 2.0}
    three = {"argmax": DECODINGS["argmax"], "lpd": DECODINGS["lpd"], "longer": longer}
    translate.run(arguments(three, "out", "--positions", "lpd", "longer"))
    decoded = read_json(tmp_path / "out/decoded.json")
    assert decoded.keys() == {f"{name}.{split}" for name in ("lpd", "longer") for split in ("test", "valid")}
    assert "token_probability/short/0" in decoded["lpd.test"]
    # twice as many tokens are said, of a length of at least 1
    tokens = {
        name: sum(count for _, count in decoded[f"{name}.valid"]["token_probability/short/0"]["by_sentence"])
        for name in ("lpd", "longer")
    }
    assert tokens["longer"] == 2 * tokens["lpd"] > 0


def test_what_is_said_with_a_share_shown_is_measured_of_the_decodings_asked_for(arguments, tmp_path):
    both = {name: DECODINGS[name] for name in ("argmax", "lpd")}
    translate.run(arguments(both, "out", "--revealed", "lpd"))
    decoded = read_json(tmp_path / "out/decoded.json")
    assert decoded.keys() == {"lpd.test", "lpd.valid"} and decoded["lpd.test"].keys() == set(REVEALED)
    # half of three tokens are two, of one it is one
    of = {at: [n for _, n in decoded["lpd.test"][f"revealed/accuracy/{at}"]["by_sentence"]] for at in (0, 50)}
    assert of == {0: [3, 2, 1, 4], 50: [1, 1, 0, 2]}
    assert decoded["lpd.test"]["revealed/bleu/90"]["by_sentence"][3][-1] == 4


def test_the_proxy_targets_of_a_distilled_corpus_are_the_teachers(arguments, tmp_path):
    data, index = tmp_path / "bin", symbol_index(read_symbols(tmp_path / "bin/dict.tgt.txt"))
    distilled = tmp_path / "distilled"
    distilled.mkdir()
    for side in ("src", "tgt"):
        (distilled / f"dict.{side}.txt").write_bytes((data / f"dict.{side}.txt").read_bytes())
    for split in ("valid_kd", "test_kd"):
        write_mmap(SENTENCES, index, distilled / f"{split}.src-tgt.src")
        write_mmap(["c", "c c", "b a", "a"], index, distilled / f"{split}.src-tgt.tgt")
    translate.run(arguments({}, "out", "--proxy-data", str(distilled), "--proxy-targets", "test"))
    assert files(tmp_path / "out")["target.txt"].splitlines() == ["c", "c c", "b a", "a"]
    losses = read_json(tmp_path / "out/losses.json")
    assert (losses["loss"]["tokens"], losses["loss_raw"]["tokens"]) == (6, 10)


@pytest.mark.parametrize("given", ["vanilla", "=model.pt", "vanilla="])
def test_what_is_no_system_and_model_is_refused(arguments, given):
    with pytest.raises(UserError, match=f"--auxiliary: '{given}=?' is not SYSTEM=MODEL"):
        translate.run(arguments({}, "out", "--auxiliary", given))


def test_translations_losses_and_confidence_are_those_of_the_model_and_its_splits(arguments, tmp_path):
    args = arguments(DECODINGS, "out", "--auxiliary", f"vanilla={tmp_path / 'predictor.pt'}", "--predictor", "vanilla")
    translate.run(args)
    data, (model, made), (predictor, _) = Data(tmp_path / "bin"), load(args.model), load(tmp_path / "predictor.pt")
    valid = data.sources("valid"), data.targets("valid")
    for split in ("test", "valid"):
        for name, decoding in DECODINGS.items():
            targets = [
                decode(model, source[None], decoding, {"vanilla": predictor})[0] for source in data.sources(split)
            ]
            expected = "".join(data.text(target) + "\n" for target in targets)
            assert (tmp_path / f"out/{name}.{split}.txt").read_text() == expected
            if name != "lpd":
                sure = losses.confidence(model, data.sources(split), decoding, predictor)
                found = read_json(tmp_path / "out/decoded.json")[f"{name}.{split}"]["confidence"]
                assert found["value"] == pytest.approx(sure["value"]) and found["tokens"] == sure["tokens"]
    torch.manual_seed(made["spec"]["seed"])
    raw = losses.losses(model, *valid, Method.of({**made["spec"], "input": {"name": "vanilla"}}))
    own = losses.losses(model, *valid, Method.of(made["spec"]), predictor=predictor)
    found = read_json(tmp_path / "out/losses.json")
    expected = own | {f"{name}_raw": value for name, value in raw.items()} | losses.parameters(model)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name]["value"] == pytest.approx(value["value"]), name
    provenance = read_json(tmp_path / "out/provenance.json")
    assert provenance["fingerprint"] == "f" and "thread(s)" in provenance["device"]


def test_what_is_kept_of_a_translation_follows_what_it_is_made_of(arguments, tmp_path, monkeypatch):
    given = arguments({"a": {"kind": "argmax"}}, "out", "--auxiliary", f"p={tmp_path / 'predictor.pt'}")
    before = translate.fingerprint(given)
    assert translate.fingerprint(given) == before and len(before) == 16
    given.decodings = {"a": {"kind": "argmax", "length_candidates": 2}}
    seen = [before, translate.fingerprint(given)]
    for name in ("model.pt", "predictor.pt", "bin/dict.tgt.txt", "bin/test.src-tgt.src.bin"):
        with open(tmp_path / name, "ab") as file:
            file.write(b"more")
        seen.append(translate.fingerprint(given))
    (tmp_path / "bin/train.src-tgt.src.bin").write_bytes(b"is not translated")
    assert translate.fingerprint(given) == seen[-1]
    shutil.copytree(translate.ROOM, tmp_path / "code", ignore=shutil.ignore_patterns("csrc", "__pycache__"))
    monkeypatch.setattr(translate, "ROOM", tmp_path / "code")
    seen.append(translate.fingerprint(given))
    for other in ("decoding/kinds/beam.py", "measuring/losses.py"):
        with open(tmp_path / "code" / other, "a") as file:
            file.write("# edited\n")
    assert translate.fingerprint(given) == seen[-1]
    for own in ("decoding/kinds/argmax.py", "models/nat.py"):
        with open(tmp_path / "code" / own, "a") as file:
            file.write("# edited\n")
        seen.append(translate.fingerprint(given))
    assert len(set(seen)) == len(seen)


def test_the_targets_of_dynamic_kd_are_chosen_of_its_candidates(arguments, tmp_path):
    data, index = tmp_path / "bin", symbol_index(read_symbols(tmp_path / "bin/dict.tgt.txt"))
    folder = tmp_path / "candidates"
    folder.mkdir()
    for file in data.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    chosen = ["c", "c c", "b a", "a"]
    for split in ("valid", "test"):
        write_mmap(chosen, index, folder / f"{split}.src-tgt.cand0")
        np.save(folder / f"{split}.bleu.npy", np.array([[[100, 0], [0, 100]]] * 4, dtype=np.float16))
    write_json(folder / "gamma.json", {"candidates": ["teacher", "raw"], "gamma": [9.0, 0.0]})
    spec = plain.spec(target={"name": "dynamic", "beta": 1.0, "candidates": ["teacher", "raw"]}) | {"seed": 1}
    args = arguments({}, "out", "--proxy-data", str(folder), "--proxy-targets", "test")
    model, _ = load(args.model)
    publish(args.model, model, {"spec": spec, "fingerprint": "f"})
    translate.run(args)
    assert files(tmp_path / "out")["target.txt"].splitlines() == chosen
    assert read_json(tmp_path / "out/losses.json")["loss"]["tokens"] == 6
    (sources, targets), candidates = translate.proxy_data(args, spec, "valid")
    assert len(sources) == len(targets) == 4
    assert candidates([2])["candidates"].tolist() == [[[index["b"], index["a"]], [index["a"], 1]]]


def test_on_a_generated_corpus_the_ideal_losses_are_those_of_the_raw_targets(arguments, tmp_path, monkeypatch):
    from natlab.corpus import grammar
    from natlab.corpus.exact import Distribution
    from natlab.measuring import ideal

    asked = {}
    truth = [Distribution(([(tuple(sentence.split()), 0.5), (("other",), 0.5)],)) for sentence in SENTENCES]

    def distributions(source, split):
        asked.update(source=source, split=split)
        return truth

    def of_targets(given, targets, chosen):
        asked.update(distributions=given, targets=targets, input=type(chosen).__name__)
        return {"ideal_loss": {"value": 1.5}}

    monkeypatch.setattr(grammar, "distributions", distributions)
    monkeypatch.setattr(ideal, "losses", of_targets)
    translate.run(arguments({}, "out", "--grammar", "config/datasets/grammar_ende.yaml"))
    assert read_json(tmp_path / "out/losses.json")["ideal_loss"] == {"value": 1.5}
    assert asked["split"] == "valid" and asked["source"]["kind"] == "grammar"
    assert asked["targets"] == [tuple(sentence.split()) for sentence in SENTENCES] and asked["input"] == "Glat"
    assert asked["distributions"] is truth
    truth[2] = Distribution(([(("other",), 1.0)],))  # its target has a word that the dictionary lacks
    translate.run(arguments({}, "other", "--grammar", "config/datasets/grammar_ende.yaml"))
    assert "ideal_loss" not in read_json(tmp_path / "other/losses.json")


def test_the_arguments():
    parser = argparse.ArgumentParser()
    translate.add_arguments(parser)
    given = ["--model", "m", "--data", "d", "--decodings", '{"a": {"kind": "argmax"}}', "--splits", "test", "valid"]
    given += ["--out", "o"]
    fewest = {
        "model": "m", "data": "d", "decodings": {"a": {"kind": "argmax"}}, "splits": ["test", "valid"], "out": "o",
        "proxy_data": None, "auxiliary": [], "predictor": None, "grammar": None, "truth": None, "proxy_targets": None,
        "positions": [], "samples": [], "likelihood": [], "revealed": [], "engine": "natlab",
    }  # fmt: skip
    assert vars(parser.parse_args(given)) == fewest
    more = "--proxy-data p --auxiliary a=b c=d --predictor a --grammar g --proxy-targets test".split()
    assert vars(parser.parse_args(given + more)) == fewest | {
        "proxy_data": "p", "auxiliary": ["a=b", "c=d"], "predictor": "a", "grammar": "g", "proxy_targets": "test",
    }  # fmt: skip
    assert parser.parse_args([*given, "--engine", "ctranslate2"]).engine == "ctranslate2"
    for option in ("--model", "--data", "--decodings", "--splits", "--out"):
        at = given.index(option)
        with pytest.raises(SystemExit):
            parser.parse_args(given[:at] + given[at + (3 if option == "--splits" else 2) :])


def test_all_that_a_translation_imports_is_known_beforehand(arguments, imported, tmp_path):
    decodings = {"argmax": DECODINGS["argmax"], "sample": DECODINGS["sample"]}
    auxiliary = ["--auxiliary", f"vanilla={tmp_path / 'predictor.pt'}", "--predictor", "vanilla"]
    loaded, beyond = imported("natlab.measuring.translate", arguments(decodings, "out", *auxiliary))
    spec = torch.load(tmp_path / "model.pt", weights_only=True)["provenance"]["spec"]
    assert loaded - set(sources.files(sources.translation(spec, decodings.values()), translate.ROOM)) <= beyond


BEAMS = {"beam": {"kind": "beam", "beam": 3, "length_penalty": 0.5}, "greedy": {"kind": "beam", "beam": 1}}


@pytest.fixture
def autoregressive(arguments, tmp_path):
    """As ``arguments``, of a random Transformer."""
    like = torch.load(tmp_path / "model.pt", weights_only=True)["description"]
    model = build({**like, "architecture": {"name": "transformer"}})
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data += 0.7 * torch.randn_like(parameter)
    spec = {"architecture": {"name": "transformer"}, "target": {"name": "raw"}, "seed": 1}
    publish(tmp_path / "model.pt", model, {"spec": spec, "fingerprint": "f"})
    return arguments


def test_another_engine_says_which_translations_are_its_own(autoregressive, tmp_path, capsys):
    translate.run(autoregressive({"greedy": BEAMS["greedy"]}, "ours"))
    capsys.readouterr()
    translate.run(autoregressive({"greedy": BEAMS["greedy"]}, "theirs", "--engine", "ctranslate2"))
    assert files(tmp_path / "theirs") == files(tmp_path / "ours")
    by = {"name": "ctranslate2", "same": 4, "compared": 4}
    found = read_json(tmp_path / "theirs/provenance.json")
    assert found["engines"] == {"greedy.test": by, "greedy.valid": by} and found["fingerprint"] == "f"
    assert "engines" not in read_json(tmp_path / "ours/provenance.json")
    assert "greedy.test: by ctranslate2; of 4 sentences 4 are the same by natlab" in capsys.readouterr().out


def test_an_interrupted_translation_knows_what_another_engine_did_before(autoregressive, tmp_path, monkeypatch):
    made, original = [], checked.translated

    def cut_off(*of):
        made.append(of[2]["beam"])
        if len(made) == 3:
            raise KeyboardInterrupt
        return original(*of)

    monkeypatch.setattr(checked, "translated", cut_off)
    with pytest.raises(KeyboardInterrupt):
        translate.run(autoregressive(BEAMS, "out", "--engine", "ctranslate2"))
    translate.run(autoregressive(BEAMS, "out", "--engine", "ctranslate2"))
    assert made == [3, 1, 3, 3, 1]
    assert read_json(tmp_path / "out/provenance.json")["engines"].keys() == {
        f"{name}.{split}" for name in BEAMS for split in ("test", "valid")
    }


def test_another_engine_leaves_what_is_no_beam_to_natlab(arguments, tmp_path):
    for engine in ("natlab", "ctranslate2"):
        translate.run(arguments({"argmax": DECODINGS["argmax"]}, engine, "--engine", engine))
    assert files(tmp_path / "ctranslate2") == files(tmp_path / "natlab")
    assert "engines" not in read_json(tmp_path / "ctranslate2/provenance.json")


def test_what_another_engine_made_is_kept_for_it_alone(autoregressive):
    ours, theirs = (
        translate.fingerprint(autoregressive(BEAMS, "out", "--engine", engine)) for engine in ("natlab", "ctranslate2")
    )
    assert ours != theirs


def test_all_that_another_engine_imports_is_known_beforehand(autoregressive, imported, tmp_path):
    loaded, beyond = imported(
        "natlab.measuring.translate", autoregressive({"greedy": BEAMS["greedy"]}, "out", "--engine", "ctranslate2")
    )
    spec = torch.load(tmp_path / "model.pt", weights_only=True)["provenance"]["spec"]
    known = sources.files(sources.translation(spec, BEAMS.values(), "ctranslate2"), translate.ROOM)
    assert loaded - set(known) <= beyond


def test_a_tuned_option_is_the_one_that_translates_the_validation_set_best(arguments, tmp_path):
    """Every factor is tried on valid; with the best one both splits are translated, and no other file is left."""
    factors = [0.3, 1.0, 2.0]
    variants = {f"f{number}": {"kind": "argmax", "length_factor": factor} for number, factor in enumerate(factors)}
    translate.run(arguments(variants, "each"))
    references = [sentence.replace("@@ ", "") for sentence in SENTENCES]
    scores = []
    for name in variants:
        lines = (tmp_path / f"each/{name}.valid.txt").read_text().splitlines()
        scores.append(tokenised_bleu(lines, [references])["value"])
    best = scores.index(max(scores))
    translate.run(arguments({"tuned": {"kind": "argmax", "length_factor": {"tuned": factors}}}, "out"))
    tuned = read_json(tmp_path / "out/tuned.json")
    assert tuned == {
        "tuned": {
            "options": {"length_factor": factors[best]}, "by": "bleu_tok", "split": "valid",
            "scores": [
                {"length_factor": factor, "score": pytest.approx(score)}
                for factor, score in zip(factors, scores, strict=True)
            ],
        }
    }  # fmt: skip
    found = files(tmp_path / "out")
    assert {name for name in found if name.endswith(".txt")} == {"tuned.test.txt", "tuned.valid.txt"}
    for split in ("test", "valid"):
        assert found[f"tuned.{split}.txt"] == (tmp_path / f"each/f{best}.{split}.txt").read_text()


def test_an_interrupted_tuning_goes_on_with_what_it_lacks(arguments, decoded, tmp_path):
    tuned = {"t": {"kind": "argmax", "length_candidates": {"tuned": [2, 3, 4]}}}
    with pytest.raises(KeyboardInterrupt):
        translate.run(arguments(tuned, "out"))
    translate.run(arguments(tuned, "out"))
    chosen = read_json(tmp_path / "out/tuned.json")["t"]["options"]["length_candidates"]
    assert decoded == [2, 3, 4, 4, chosen, chosen]


@pytest.fixture
def several(monkeypatch):
    """Of each source: its likeliest translation, and then backwards and none at all."""

    def hypotheses(self, model, source_tokens):
        best = self(model, source_tokens)
        return [[(target, -1.0), (target.flip(0), -2.5), (target[:0], -torch.inf)] for target in best]

    monkeypatch.setattr(Argmax, "hypotheses", hypotheses, raising=False)


def test_all_hypotheses_of_a_sentence_are_kept_where_they_are_asked_for(arguments, several, tmp_path):
    both = {name: {"kind": "argmax"} for name in ("one", "all")}
    translate.run(arguments(both, "out", "--samples", "all"))
    found = files(tmp_path / "out")
    assert {name for name in found if "samples" in name} == {"all.test.samples.jsonl", "all.valid.samples.jsonl"}
    for split in ("test", "valid"):
        assert found[f"one.{split}.txt"] == found[f"all.{split}.txt"]
        lines = [json.loads(line) for line in found[f"all.{split}.samples.jsonl"].splitlines()]
        for best, line in zip(found[f"all.{split}.txt"].splitlines(), lines, strict=True):
            assert line["scores"] == [-1.0, -2.5, -float("inf")]
            assert line["hypotheses"] == [best, " ".join(reversed(best.split())), ""]


def test_how_likely_references_and_outputs_are_is_measured_where_it_is_asked_for(arguments, tmp_path):
    args = arguments(
        {"a": {"kind": "argmax"}, "b": {"kind": "argmax", "length_factor": 2.0}}, "out", "--likelihood", "b"
    )
    translate.run(args)
    decoded = read_json(tmp_path / "out/decoded.json")
    assert decoded.keys() == {"b.test", "b.valid"}
    data, (model, made) = Data(tmp_path / "bin"), load(args.model)
    plain_method = Method.of(validation.plain(made["spec"]))
    outputs = natlab.decoding.decode_corpus(model, data.sources("test"), args.decodings["b"])
    for name, targets in (("ncm", data.targets("test")), ("ncm_outputs", outputs)):
        expected = nats_per_token(model, data.sources("test"), targets, plain_method)
        assert decoded["b.test"][name]["value"] == pytest.approx(expected["value"])
