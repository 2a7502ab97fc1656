"""The browser's data: which sentences and outputs they hold, and that any text comes through whole."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU
from tests.report.page.example import NASTY, RUN, corpus, read_script, translated, write_lines

from natlab.corpus.binarise import binarise, write_mmap
from natlab.corpus.vocabulary import read_symbols, symbol_index
from natlab.errors import UserError
from natlab.files import write_json
from natlab.metrics import bleu
from natlab.papers.cells import Reading
from natlab.papers.labels import Labels
from natlab.report.page import sentences

SOURCES = ["one two", "three", NASTY]
TARGETS = ["eins zwei drei vier", "drei vier fünf sechs", "das & das"]
CONFIG = Path("config/datasets")
WORDS = st.lists(st.sampled_from("abc"), max_size=7).map(" ".join)


@pytest.fixture
def results(tmp_path):
    corpus(tmp_path / "results", SOURCES, TARGETS)
    return tmp_path / "results"


def written(results, readings, run=RUN, datasets=Path("nowhere"), **more):
    folder = results.parent / "page"
    assert sentences.write(run, readings, results, folder, datasets, **more) == ["ds"]
    return read_script(folder / "sentences/ds.js")


def test_outputs_are_those_of_readings_of_test_each_once_by_dataset():
    readings = [
        ("b", Reading("bleu", "s", "beam5", "test")),
        ("a", Reading("bleu", "s", "beam5", "test")),
        ("b", Reading("loss", "s", None, "valid")),
        ("b", Reading("bleu", "s", "beam5", "valid")),
        ("b", Reading("parameters", "t", None, "test")),
        ("b", Reading("bleu", "t", "argmax", "test")),
        ("b", Reading("chrf", "s", "beam5", "test")),
        ("b", Reading("bleu", "s", "greedy", "test")),
    ]
    assert sentences.outputs_of(iter(readings)) == {
        "b": [("s", "beam5"), ("t", "argmax"), ("s", "greedy")],
        "a": [("s", "beam5")],
    }


def test_a_sentence_has_its_texts_once_each_with_scores_and_who_says_them(results):
    readings = [
        translated(results, "one", "argmax", ["eins zwei zwei vier", "drei", NASTY], TARGETS, [0, 100, 0]),
        translated(results, "two", "argmax", ["eins zwei drei vier", "drei", ""], TARGETS),
        translated(results, "three", "beam5", ["eins zwei zwei vier", "x", NASTY], TARGETS, [0, 0, 0]),
    ]
    head, found = written(results, readings)
    assert [output["system"] for output in head["outputs"]] == ["one", "two", "three"]
    assert [output["decoding"] for output in head["outputs"]] == ["argmax", "argmax", "beam5"]
    assert (head["seed"], head["sentences"], head["score"], head["candidates"]) == (7, 3, "BLEU", None)
    assert [output["allowed"] for output in head["outputs"]] == [pytest.approx(100 / 3), None, 0]
    first, second, third = found
    scored = BLEU(tokenize="none", effective_order=True).sentence_score("eins zwei zwei vier", [TARGETS[0]]).score
    assert first == {
        "source": "one two",
        "references": [TARGETS[0]],
        "said": [0, 1, 0],
        "texts": ["eins zwei zwei vier", "eins zwei drei vier"],
        "scores": [round(scored, 1), 100.0],
        "allowed": [False, None],
    }
    assert second["texts"] == ["drei", "x"] and second["said"] == [0, 0, 1] and second["allowed"] == [True, False]
    assert third["source"] == NASTY and third["texts"] == [NASTY, ""] and third["scores"][1] == 0


@given(WORDS, WORDS)
def test_sentences_are_scored_as_sacrebleu_scores_them(hypothesis, reference):
    (statistics,) = bleu.tokenised_bleu([hypothesis], [[reference]])["by_sentence"]
    expected = BLEU(tokenize="none", effective_order=True).sentence_score(hypothesis, [reference]).score
    assert sentences.sentence_bleu(statistics) == pytest.approx(expected)


def test_text_is_neither_script_nor_markup(results):
    reading = translated(results, "one", "argmax", [NASTY] * 3, TARGETS)
    written(results, [reading])
    text = (results.parent / "page/sentences/ds.js").read_text("utf-8")
    assert "<" not in text and "\u2028" not in text and "漢字" in text


def test_only_the_first_seed_counts_and_what_is_not_there_is_left_out(results):
    reading = translated(results, "one", "argmax", ["a"] * 3, TARGETS)
    translated(results, "one", "argmax", ["b"] * 3, TARGETS, seed=8)
    absent = ("ds", Reading("bleu", "absent", "argmax", "test"))
    head, found = written(results, [reading, absent])
    assert len(head["outputs"]) == 1 and found[0]["texts"] == ["a"]
    _, found = written(results, [reading, absent], RUN | {"seeds": [8]})
    assert found[0]["texts"] == ["b"]


def test_datasets_without_sources_or_translations_have_no_script(results, tmp_path):
    readings = [
        ("ds", Reading("bleu", "absent", "argmax", "test")),
        translated(results, "one", "argmax", ["a"], ["a"], dataset="other"),
    ]
    assert sentences.write(RUN, readings, results, tmp_path / "page", CONFIG) == []
    assert not (tmp_path / "page").exists()


def test_what_was_not_measured_has_no_scores(results):
    write_lines(results / "translations/ds/demo/one/seed7/argmax.test.txt", ["a", "b", "c"])
    head, found = written(results, [("ds", Reading("bleu", "one", "argmax", "test"))])
    assert head["score"] is None and head["outputs"][0]["score"] is None
    assert "scores" not in found[0] and "allowed" not in found[0]


def test_what_is_scored_by_rouge_is_so_here(results):
    dataset, reading = translated(results, "one", "argmax", ["a", "b", "c"], TARGETS)
    file = {"values": {"rouge_l": {"value": 20.0}}, "sentence_statistics": {"rouge_l": [10.0, 20.04, 30.0]}}
    write_json(results / "measurements/ds/demo/one/seed7/argmax.test.json", file)
    head, found = written(results, [(dataset, reading)])
    assert head["score"] == "ROUGE-L" and head["outputs"][0]["score"] == 20.0
    assert [sentence["scores"] for sentence in found] == [[10.0], [20.0], [30.0]]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("translations/ds/demo/one/seed7/argmax.test.txt", "2 lines for 3 sources of test; make it again"),
        ("translations/ds/demo/one/seed7/argmax.test.samples.jsonl", "2 lines for 3 sources of test; make it again"),
        ("corpora/ds/tok/test.tgt", "2 lines for 3 sources of test; make it again"),
    ],
)
def test_files_of_another_test_set_are_refused(results, name, problem):
    reading = translated(results, "one", "argmax", ["a"] * 3, TARGETS)
    write_lines(results / name, ["{}", "{}"])
    with pytest.raises(UserError) as refused:
        sentences.write(RUN, [reading], results, results.parent / "page")
    assert str(refused.value) == f"{results / name}: {problem}"
    assert not (results.parent / "page").exists()


def test_measurements_of_another_test_set_are_refused(results):
    reading = translated(results, "one", "argmax", ["a"] * 3, TARGETS, allowed=[0, 100])
    with pytest.raises(UserError, match=r"argmax.test.json: 2 sentences for 3 sources of test; measure again"):
        sentences.write(RUN, [reading], results, results.parent / "page")


def test_a_file_holds_as_many_sentences_as_it_has_room_for(results, monkeypatch):
    reading = translated(results, "one", "argmax", ["a"] * 3, TARGETS)
    written(results, [reading])
    path = results.parent / "page/sentences/ds.js"
    whole = path.stat().st_size
    for room, count in ((whole, 3), (whole - 1, 2), (whole - 50, 2)):
        monkeypatch.setattr(sentences, "LARGEST", room)
        head, found = written(results, [reading])
        assert len(found) == count and head["sentences"] == 3 and path.stat().st_size <= room


def test_first_come_the_teacher_the_baseline_and_the_best_each_once(results):
    good = {3: TARGETS, 2: [*TARGETS[:2], "nichts"], 1: [TARGETS[0], "nichts", "nichts"], 0: ["nichts"] * 3}
    systems = [
        ("vanilla_raw", "argmax", 1), ("transformer_big", "beam5", 3), ("a", "argmax", 1), ("a", "lpd5", 2),
        ("vanilla_kd", "argmax", 0), ("vanilla_kd", "lpd5", 1), ("b", "argmax", 3), ("c", "argmax", 0),
        ("transformer", "greedy", 0), ("transformer", "beam5", 2),
    ]  # fmt: skip
    readings = [translated(results, name, decoding, good[rank], TARGETS) for name, decoding, rank in systems]
    head, _ = written(results, readings)
    first = [(head["outputs"][number]["system"], head["outputs"][number]["decoding"]) for number in head["first"]]
    assert first == [("transformer", "beam5"), ("vanilla_kd", "lpd5"), ("b", "argmax"), ("a", "lpd5"),
                     ("vanilla_raw", "argmax")]  # fmt: skip
    readings = [reading for reading in readings if reading[1].system in ("transformer_big", "c", "vanilla_raw")]
    head, _ = written(results, readings)
    assert [head["outputs"][number]["system"] for number in head["first"]] == ["vanilla_raw", "c", "transformer_big"]


def test_beside_the_teacher_stand_the_systems_that_claims_are_made_for(results):
    """Also where others are better, and each under its best decoding; claims of what is not there change nothing."""
    good = {3: TARGETS, 2: [*TARGETS[:2], "nichts"], 0: ["nichts"] * 3}
    systems = [
        ("vanilla_raw", "argmax", 3), ("a", "argmax", 0), ("a", "lpd5", 2), ("b", "argmax", 2), ("c", "argmax", 0),
        ("transformer", "beam5", 2),
    ]  # fmt: skip
    readings = [translated(results, name, decoding, good[rank], TARGETS) for name, decoding, rank in systems]

    def first(*claimed):
        head, _ = written(results, readings, claimed=claimed)
        return [(head["outputs"][number]["system"], head["outputs"][number]["decoding"]) for number in head["first"]]

    assert first("c", "a")[:4] == [
        ("transformer", "beam5"), ("c", "argmax"), ("a", "lpd5"), ("vanilla_raw", "argmax"),
    ]  # fmt: skip
    assert first("absent") == first() and first()[:2] == [("transformer", "beam5"), ("vanilla_raw", "argmax")]


def test_systems_and_decodings_stand_by_their_labels(results):
    labels = Labels({"a": "A-NAT, raw data"}, {"argmax": "likeliest tokens"})
    readings = [translated(results, name, "argmax", TARGETS, TARGETS) for name in ("a", "b")]
    write_json(results / "graphs/ds/demo/a/seed7.json", {"sentences": [{"vertices": {}, "paths": {}}]})
    head, found = written(results, readings, labels=labels)
    assert [(of["system"], of["decoding"]) for of in head["outputs"]] == [
        ("A-NAT, raw data", "likeliest tokens"), ("b", "likeliest tokens"),
    ]  # fmt: skip
    assert found[0]["graphs"].keys() == {"A-NAT, raw data"}


def test_of_several_hypotheses_the_best_are_kept(results):
    several = [([f"h{n}" for n in range(9)], [-n / 3 for n in range(9)]), (["h0"], [-1.0]), (["b", "h0"], [0.0, -2.0])]
    reading = translated(results, "one", "argmax", ["h0", "h0", "b"], TARGETS, hypotheses=several)
    plain = translated(results, "two", "argmax", ["h1", "h0", "b"], TARGETS)
    _, found = written(results, [plain, reading])
    shown = [[(sentence["texts"][place], score) for place, score in sentence["hypotheses"]["1"]] for sentence in found]
    assert shown[0] == [("h0", 0.0), ("h1", -0.333), ("h2", -0.667), ("h3", -1.0), ("h4", -1.333)]
    assert shown[1:] == [[("h0", -1.0)], [("b", 0.0), ("h0", -2.0)]]
    assert "0" not in found[0]["hypotheses"] and found[0]["texts"].count("h1") == 1


def test_graphs_of_the_first_sentences_stand_with_them(results):
    reading = translated(results, "dat", "argmax", ["a"] * 3, TARGETS)
    translated(results, "dat", "argmax", ["a"] * 3, TARGETS, seed=8)
    plain = translated(results, "plain", "argmax", ["a"] * 3, TARGETS)
    graphs = [{"vertices": {"0": {}}, "paths": {}}, {"vertices": {"0": {}, "7": {}}, "paths": {}}]
    write_json(results / "graphs/ds/demo/dat/seed7.json", {"sentences": graphs})
    _, found = written(results, [reading, plain])
    assert [sentence.get("graphs") for sentence in found] == [{"dat": graphs[0]}, {"dat": graphs[1]}, None]
    _, found = written(results, [reading], RUN | {"seeds": [8]})
    assert "graphs" not in found[0]


def test_further_references_are_tokenised_as_the_corpus_is(tmp_path):
    corpus(tmp_path / "results", ["a", "b"], ["das haus .", "ja"], ["Das Haus.", ""], ["Ein Haus, bitte!", "Ja."])
    shutil.copy(CONFIG / "grammar_ende.yaml", tmp_path / "ds.yaml")
    reading = translated(tmp_path / "results", "one", "argmax", ["a", "b"], ["das haus .", "ja"])
    head, found = written(tmp_path / "results", [reading], datasets=tmp_path)
    assert head["languages"] == {"src": "en", "tgt": "de"}
    assert [sentence["references"] for sentence in found] == [
        ["das haus .", "das haus .", "ein haus , bitte !"],
        ["ja", "", "ja ."],
    ]
    head, found = written(tmp_path / "results", [reading])
    assert head["languages"] is None and found[0]["references"] == ["das haus ."]


def test_text_given_in_subwords_is_shown_in_words(tmp_path):
    corpus(tmp_path / "results", ["ha@@ us a"], ["klei@@ nes ha@@"])
    described = yaml.safe_load((CONFIG / "multi30k_ende.yaml").read_text("utf-8"))
    described |= {"tokenise": "none", "bpe": {"joint": True, "merges": "given"}}
    (tmp_path / "ds.yaml").write_text(yaml.safe_dump(described))
    reading = translated(tmp_path / "results", "one", "argmax", ["kleines"], ["kleines ha"])
    _, (found,) = written(tmp_path / "results", [reading], datasets=tmp_path)
    assert (found["source"], found["references"]) == ("haus a", ["kleines ha"])


CANDIDATES = [["a@@ b c", "c d"], ["a b", "c d"], ["b a c", "d d"]]  # of two teachers, and raw


@pytest.fixture
def dynamic(tmp_path):
    """Results with candidates of two sentences of test: S is 100 of a candidate against itself, and 50 that raw is
    against the first teacher's."""
    results = tmp_path / "results"
    corpus(results, ["s", "t"], ["b a c", "d d"])
    for side in ("src", "tgt"):
        for split in ("train", "valid", "test"):
            write_lines(tmp_path / f"bpe/{split}.{side}", [line for lines in CANDIDATES for line in lines])
    binarise(True, tmp_path / "bpe", tmp_path / "bin")
    folder = results / "candidates/ds/demo/seed7"
    folder.mkdir(parents=True)
    shutil.copy(tmp_path / "bin/dict.tgt.txt", folder)
    index = symbol_index(read_symbols(folder / "dict.tgt.txt"))
    for side, texts in zip(("cand0", "cand1", "tgt"), CANDIDATES, strict=True):
        write_mmap(texts, index, folder / f"test.src-tgt.{side}")
    scores = np.array([np.eye(3), np.eye(3)], dtype=np.float16) * 100
    scores[0, 0, 2] = 50  # against the first as reference
    scores[1, 0, 1] = scores[1, 1, 0] = 100
    np.save(folder / "test.bleu.npy", scores)
    write_json(folder / "gamma.json", {"candidates": ["tiny", "big", "raw"], "gamma": [1.0, 0.5, 0.8]})
    return results


def test_what_dynamic_kd_chose_from_has_its_sums_and_what_each_model_took(dynamic):
    taken = {
        "dynamic": ["a b", "d d"],
        "other": ["ab c", "c d"],  # all are the first teacher's: plain KD
        "raw": ["b a c", "d d"],
        "axe": ["a b", "d e"],  # no candidate
        "mixed": ["b a c", "c d"],
    }
    readings = []
    for system, targets in taken.items():
        readings.append(translated(dynamic, system, "argmax", ["x", "y"], ["b a c", "d d"]))
        write_lines(dynamic / f"translations/ds/demo/{system}/seed7/target.txt", targets)
    head, (first, second) = written(dynamic, readings)
    assert head["candidates"] == {
        "names": ["tiny", "big", "raw"], "gamma": [1.0, 0.5, 0.8], "systems": ["dynamic", "mixed"],
    }  # fmt: skip
    assert [(first["texts"][place], total) for place, total in first["candidates"]] == [
        ("ab c", 100.0), ("a b", 50.0), ("b a c", 130.0),
    ]  # fmt: skip
    assert (first["favoured"], first["taken"]) == (2, [1, 2])
    # equal sums of equal texts: the first
    assert [total for _, total in second["candidates"]] == [150.0, 150.0, 80.0]
    assert second["candidates"][0][0] == second["candidates"][1][0]
    assert (second["favoured"], second["taken"]) == (0, [2, 0])


def test_without_a_system_of_dynamic_kd_there_are_no_candidates(dynamic):
    reading = translated(dynamic, "plain", "argmax", ["x", "y"], ["b a c", "d d"])
    for targets in (["ab c", "c d"], ["a b", "c d"], ["a b"]):
        write_lines(dynamic / "translations/ds/demo/plain/seed7/target.txt", targets)
        head, (first, _) = written(dynamic, [reading])
        assert head["candidates"] is None and "candidates" not in first


def test_where_no_proxy_targets_are_kept_candidates_are_shown_all_the_same(dynamic):
    reading = translated(dynamic, "unknown", "argmax", ["x", "y"], ["b a c", "d d"])
    head, (first, _) = written(dynamic, [reading])
    assert head["candidates"]["systems"] == [] and (first["favoured"], first["taken"]) == (2, [])
    shutil.rmtree(dynamic / "candidates")
    head, (first, _) = written(dynamic, [reading])
    assert head["candidates"] is None and "candidates" not in first


def test_the_section_offers_the_datasets_as_text():
    found = sentences.section(["a", "b&<c"])
    assert found.startswith('<section id="sentences">') and found.endswith("</section>\n")
    assert "<option>a</option><option>b&amp;&lt;c</option>" in found and found.count("<h2>") == 1
    assert "s-controls" not in sentences.section([]) and "No translations" in sentences.section([])
