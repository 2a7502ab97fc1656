"""The verb `candidates` on a corpus of a few sentences, against sacreBLEU."""

import argparse
import json

import numpy as np
import pytest
from sacrebleu.metrics import BLEU

from natlab.corpus.binarise import binarise, write_mmap
from natlab.corpus.subwords import joined
from natlab.corpus.vocabulary import read_symbols, symbol_index
from natlab.errors import UserError
from natlab.kernels import use
from natlab.select import candidates, gamma
from natlab.select.words import Sentences, Words

CONFIG = "config/datasets/grammar_ende.yaml"
RAW = ["a@@ b c d e", "c b a d", "a", "b b a c a@@ b"]
TEACHERS = [["ab c d e", "c b d", "b", "b a c ab"], ["a@@ b c d", "c b a d", "a a", "b b a c c"]]
FURTHER = [["ab c d", "", "a", "b b"], ["ab d e", "", "", "b b a c ab"]]


def folder(root, name, **splits):
    (root / name).mkdir()
    for split in ("train", "valid", "test"):
        for side in ("src", "tgt"):
            lines = splits.get(split, RAW) if side == "tgt" else RAW
            (root / name / f"{split}.{side}").write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture(autouse=True)
def reference_kernels():
    with use("reference"):
        yield


@pytest.fixture
def args(tmp_path):
    folder(tmp_path, "bpe")
    # one dictionary for all: the teachers' splits are binarised beside the raw ones
    everything = {"train": RAW + [line for teacher in TEACHERS for line in teacher] + ["ab a@@ b@@"]}
    folder(tmp_path, "all", **everything)
    text = tmp_path / "all/train.src"
    text.write_text(text.read_text() + "".join("a\n" for _ in range(9)))
    binarise(True, tmp_path / "all", tmp_path / "bin_all")
    index = symbol_index(read_symbols(tmp_path / "bin_all/dict.tgt.txt"))
    names = ["bin", "teacher0", "teacher1"]
    for name, targets in zip(names, [RAW, *TEACHERS], strict=True):
        (tmp_path / name).mkdir()
        for side in ("src", "tgt"):
            (tmp_path / name / f"dict.{side}.txt").write_bytes((tmp_path / "bin_all/dict.tgt.txt").read_bytes())
        for split in ("train", "valid", "test"):
            of_teacher = split if split == "train" or name == "bin" else f"{split}_kd"
            write_mmap(RAW, index, tmp_path / name / f"{of_teacher}.src-tgt.src")
            write_mmap(targets, index, tmp_path / name / f"{of_teacher}.src-tgt.tgt")
    (tmp_path / "text").mkdir()
    return argparse.Namespace(
        data=str(tmp_path / "bin"),
        text=str(tmp_path / "text"),
        dataset_config=CONFIG,
        candidates=["small", "big"],
        distilled=[str(tmp_path / name) for name in names[1:]],
        out=str(tmp_path / "out"),
    )


def expected():
    """Pairwise BLEU by sacreBLEU, reference before hypothesis."""
    metric = BLEU(tokenize="none", smooth_method="exp", effective_order=True)
    sides = [[joined(line) for line in side] for side in (*TEACHERS, RAW)]
    return [[[metric.sentence_score(h[n], [r[n]]).score for h in sides] for r in sides] for n in range(len(RAW))]


def test_the_folder_holds_all_candidates_and_their_pairwise_bleu(args, tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "PART", 3)
    monkeypatch.setattr(candidates, "BATCH", 2)
    candidates.run(args)
    words = Words(tmp_path / "out/dict.tgt.txt")
    for split in ("train", "valid", "test"):
        bleu = np.load(tmp_path / f"out/{split}.bleu.npy")
        assert bleu.dtype == np.float16 and bleu.shape == (4, 3, 3)
        np.testing.assert_allclose(bleu, expected(), rtol=1e-3)
        for side, name in {"cand0": "teacher0", "cand1": "teacher1", "tgt": "bin"}.items():
            kept = name != "bin" and split != "train"
            origin = Sentences(tmp_path / name / f"{split}{'_kd' if kept else ''}.src-tgt.tgt")
            copy = Sentences(tmp_path / f"out/{split}.src-tgt.{side}")
            assert [a.tolist() for a in words.sentences(copy)] == [a.tolist() for a in words.sentences(origin)]
    assert not (tmp_path / "out.parts").exists()
    sides = [
        f"{split}.src-tgt.{side}" for split in ("train", "valid", "test") for side in ("cand0", "cand1", "tgt", "src")
    ]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "dict.src.txt",
        "dict.tgt.txt",
        "gamma.json",
        *(f"{split}.bleu.npy" for split in ("train", "valid", "test")),
        *(f"{side}.{ending}" for side in sides for ending in ("bin", "idx")),
    }
    for same in ("dict.src.txt", "dict.tgt.txt", "test.src-tgt.src.bin", "train.src-tgt.src.idx"):
        assert (tmp_path / "out" / same).read_bytes() == (tmp_path / "bin" / same).read_bytes()


def test_what_was_worked_out_of_other_targets_is_not_taken(args, tmp_path):
    data, distilled = tmp_path / "bin", [tmp_path / "teacher0", tmp_path / "teacher1"]
    before = candidates.fingerprint(data, distilled)
    assert candidates.fingerprint(data, distilled) == before and len(before) == 16
    (data / "train.src-tgt.src.bin").write_bytes(b"another source")
    assert candidates.fingerprint(data, distilled) == before
    for folder, split in ((data, "train"), (distilled[1], "valid_kd")):
        (folder / f"{split}.src-tgt.tgt.bin").write_bytes(b"another target")
        assert candidates.fingerprint(data, distilled) != before
        before = candidates.fingerprint(data, distilled)
    assert candidates.fingerprint(data, distilled[:1]) != before


def test_the_arguments():
    parser = argparse.ArgumentParser()
    candidates.add_arguments(parser)
    given = "--data d --text t --dataset-config c --candidates a b --distilled x y --out o".split()
    assert vars(parser.parse_args(given)) == {
        "data": "d", "text": "t", "dataset_config": "c", "candidates": ["a", "b"], "distilled": ["x", "y"], "out": "o",
    }  # fmt: skip
    for option in ("--data", "--text", "--dataset-config", "--candidates", "--distilled", "--out"):
        at = given.index(option)
        with pytest.raises(SystemExit):
            parser.parse_args(given[:at] + given[at + (3 if option in ("--candidates", "--distilled") else 2) :])


@pytest.mark.parametrize(
    ("teachers", "weights", "note"),
    [(2, [1, 1, 1], "all candidates weigh the same"), (4, [0.7, 0.6, 1.3, 1.5, 2.3], "MPLE's for WMT14 En-De")],
)
def test_without_further_references_gamma_is_the_papers_for_as_many_teachers(args, tmp_path, teachers, weights, note):
    args.candidates, args.distilled = list("abcd"[:teachers]), (args.distilled * 2)[:teachers]
    candidates.run(args)
    made = json.loads((tmp_path / "out/gamma.json").read_text())
    assert made["candidates"] == [*args.candidates, "raw"] and made["gamma"] == weights
    assert made["l_target"] is made["grid"] is None and made["note"] == f"no further references to search with: {note}"


@pytest.mark.parametrize("split", ["valid", "test"])
def test_gamma_is_searched_on_the_split_with_further_references(args, tmp_path, split):
    for number, lines in enumerate(FURTHER, 1):
        (tmp_path / f"text/{split}.ref{number}").write_text("".join(f"{line}\n" for line in lines))
    candidates.run(args)
    made = json.loads((tmp_path / "out/gamma.json").read_text())
    assert (made["split"], made["sentences"], made["references"]) == (split, 3, 5)
    metric = BLEU(tokenize="none", smooth_method="exp", effective_order=True)
    real = {}
    for name, side in zip(made["candidates"], (*TEACHERS, RAW), strict=True):
        of = [
            [metric.sentence_score(joined(side[n]), [column[n]]).score for column in FURTHER if column[n]]
            for n in (0, 2, 3)
        ]
        real[name] = [sum(scores) / len(scores) for scores in of]
        assert made["l_target_of_one"][name] == pytest.approx(-sum(real[name]) / 3)
    assert made["l_target_at_best"] == pytest.approx(-sum(map(max, zip(*real.values(), strict=True))) / 3)
    assert made["l_target_at_best"] <= made["l_target"] <= made["l_target_equal"]
    assert min(map(min, made["l_target_by_weight"].values())) == made["l_target"]
    between = np.array(expected())[[0, 2, 3]]
    columns = np.array([real[name] for name in made["candidates"]]).T
    assert made["l_target"] == pytest.approx(gamma.l_target(between, columns, np.array(made["gamma"])))
    assert made["l_target_equal"] == pytest.approx(gamma.l_target(between, columns, np.ones(3)))
    for k, (name, values) in enumerate(made["l_target_by_weight"].items()):
        assert name == made["candidates"][k] and len(values) == 31
        for value, l_target in zip(np.arange(31) / 10, values, strict=True):
            weights = np.array(made["gamma"])
            weights[k] = value
            assert l_target == pytest.approx(gamma.l_target(between, columns, weights))
    assert made["candidates"] == ["small", "big", "raw"] and made["unit"] == "BLEU (β = 1)"
    assert made["grid"] == {
        "values": [round(0.1 * step, 1) for step in range(31)],
        "search": "one weight at a time, from all 1 and from each alone",
    }


def test_started_again_only_parts_that_lack_are_made(args, monkeypatch, tmp_path):
    monkeypatch.setattr(candidates, "PART", 3)
    made, original = [], candidates.pairwise

    def pairwise(dictionary, sides, first, end):
        made.append((first, end))
        if len(made) == 2:
            raise KeyboardInterrupt
        return original(dictionary, sides, first, end)

    monkeypatch.setattr(candidates, "pairwise", pairwise)
    with pytest.raises(KeyboardInterrupt):
        candidates.run(args)
    assert not (tmp_path / "out").exists()
    candidates.run(args)
    assert made == [(0, 3), (3, 4), (3, 4), (0, 3), (3, 4), (0, 3), (3, 4)]
    np.testing.assert_allclose(np.load(tmp_path / "out/train.bleu.npy"), expected(), rtol=1e-3)


def test_a_teacher_of_another_corpus_is_refused(args, tmp_path):
    from natlab.corpus.binarise import write_mmap

    write_mmap(["a"], {"a": 4}, tmp_path / "teacher1/test_kd.src-tgt.tgt")
    with pytest.raises(UserError) as refused:
        candidates.run(args)
    assert str(refused.value) == (f"{tmp_path}/teacher1: 1 targets of test for 4 pairs of {tmp_path}/bin; distil again")
    with pytest.raises(UserError) as refused:
        candidates.run(argparse.Namespace(**{**vars(args), "candidates": ["small"]}))
    assert str(refused.value) == "--distilled: 2 folders for 1 candidates; name one of each"
