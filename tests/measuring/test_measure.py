"""The verb `measure` on a small folder of translations."""

import argparse
import json

import pytest
import yaml
from sacrebleu.metrics import BLEU

from natlab import tracking
from natlab.corpus import grammar
from natlab.errors import UserError
from natlab.files import read_json, write_json
from natlab.measuring import measure
from natlab.metrics import target_bleu

DATASET = {
    "source": {"kind": "parallel", "files": {"all": {"url": "https://example.org/all.txt", "sha256": "unverified"}}},
    "languages": {"src": "en", "tgt": "de"},
    "clean": {"max_length": 250, "max_ratio": None, "deduplicate": False},
    "tokenise": "moses",
    "lowercase": True,
    "bpe": {"joint": True, "merges": 10},
    "licence": "none",
}
DATASET["source"]["splits"] = {split: [{"src": "all", "tgt": "all"}] for split in ("train", "valid", "test")}
LOSSES = {
    name: {"value": 2.5, "unit": "bits/token", "tokens": 12, "sentences": 3}
    for name in ("loss_raw", "length_raw", "loss", "length")
}
LOSSES["loss"]["by_sentence"] = [[20.1, 6], [30.2, 7], [0.5, 1]]
MODES = {"synonyms": 1, "fronting": 1, "separable": 0.5, "pairs": 0}
NGRAMS = [f"ngram_repetition/{n}" for n in (1, 2, 3, 4)]
IDENTITY = {"dataset": "small", "scale": "demo", "system": "vanilla_raw", "seed": 2}


def write(path, *sentences):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{sentence}\n" for sentence in sentences), encoding="utf-8")


@pytest.fixture
def args(tmp_path):
    translations, corpus = tmp_path / "translations", tmp_path / "corpus"
    write(translations / "argmax.test.txt", "der mann kauft kauft ein auto .", "er geht heute nach hause .")
    write(corpus / "text/test.tgt", "Der Mann kauft ein Auto.", "Er geht heute nach Hause.")
    write(corpus / "tok/test.tgt", "der mann kauft ein auto .", "er geht heute nach hause .")
    write_json(translations / "losses.json", LOSSES)
    write_json(translations / "decoded.json", {})
    write_json(translations / "provenance.json", {"fingerprint": "abc", "device": "cpu", "commit": "old"})
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(DATASET))
    return argparse.Namespace(
        translations=str(translations),
        corpus=str(corpus),
        dataset_config=str(tmp_path / "small.yaml"),
        identity=IDENTITY,
        curve=None,
        out=str(tmp_path / "measurements"),
        tracking={"backend": "comet"},
        checkpoints=str(tmp_path / "checkpoints"),
    )


@pytest.fixture
def folders(tmp_path, args):
    return tmp_path / "translations", tmp_path / "corpus", tmp_path / "measurements"


def test_one_file_a_translation_and_one_of_losses(args, folders):
    measure.run(args)
    out = folders[2]
    assert sorted(path.name for path in out.iterdir()) == ["argmax.test.json", "loss.json"]
    found = read_json(out / "argmax.test.json")
    assert {key: found[key] for key in IDENTITY} == IDENTITY
    assert (found["decoding"], found["split"], found["sentences"]) == ("argmax", "test", 2)
    assert set(found["values"]) == {"bleu", "bleu_tok", "chrf", "repetition", *NGRAMS}
    assert found["values"]["repetition"]["value"] == pytest.approx(100 / 13)
    # "kauft" of "kauft kauft", of 13 words; none of 11 pairs
    assert [found["values"][name]["value"] for name in NGRAMS[:2]] == pytest.approx([100 / 13, 0])
    assert found["sentence_statistics"][NGRAMS[0]] == [[100, 7], [0, 6]]
    assert "case:lc" in found["values"]["bleu"]["signature"]
    # n-grams in the hypotheses 13, 11, 9, 7; in the reference too 12, 10, 7, 4; the longer side is the hypothesis.
    expected = 100 * (12 / 13 * 10 / 11 * 7 / 9 * 4 / 7) ** 0.25
    assert found["values"]["bleu_tok"]["value"] == pytest.approx(expected)
    assert found["values"]["bleu"]["value"] == pytest.approx(expected)
    statistics = found["sentence_statistics"]["bleu_tok"]
    assert statistics == [[6, 5, 3, 1, 7, 6, 5, 4, 7, 6], [6, 5, 4, 3, 6, 5, 4, 3, 6, 6]]
    assert found["sentence_statistics"]["repetition"] == [[100, 7], [0, 6]]
    losses = read_json(out / "loss.json")
    assert losses["decoding"] is None and losses["split"] == "valid" and losses["sentences"] == 3
    assert losses["sentence_statistics"] == {"loss": LOSSES["loss"]["by_sentence"]}
    assert losses["values"] == LOSSES | {"loss": LOSSES["loss_raw"]}


def test_a_dataset_says_by_what_it_is_scored(args, folders, tmp_path):
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(DATASET | {"scores": ["chrf", {"name": "rouge"}]}))
    measure.run(args)
    found = read_json(folders[2] / "argmax.test.json")
    assert set(found["values"]) == {"chrf", "rouge_1", "rouge_2", "rouge_l", "repetition", *NGRAMS}
    # the first sentence has "kauft" once too often: 5 of 6 and 5 of 5 words are right
    assert found["sentence_statistics"]["rouge_1"] == pytest.approx([100 * 10 / 11, 100])
    assert found["values"]["rouge_1"]["value"] == pytest.approx(50 * (10 / 11 + 1))


def test_bleu_by_length_is_that_of_the_sentences_whose_reference_is_so_long(args, folders):
    """Counted in words of the reference, whatever the translation's length."""
    write(folders[0] / "argmax.test.txt", *[*["a b c d e f g h i"] * 2, "x " * 12] * 10)
    for name in ("text/test.tgt", "tok/test.tgt"):
        write(folders[1] / name, *["a b c d e f g h i j", "a b c d e f g h i", "a b c d e f g h i x"] * 10)
    measure.run(args)
    found = read_json(folders[2] / "argmax.test.json")
    of = {name: value for name, value in found["values"].items() if name.startswith("bleu_tok/")}
    assert set(of) == {f"bleu_tok/{bucket}" for bucket in ("1-9", "10-19", "9-10")}
    assert of["bleu_tok/1-9"]["value"] == pytest.approx(100) and of["bleu_tok/1-9"]["unit"] == "BLEU"
    # the first sentence has 9, 8, 7, 6 n-grams, all right, the third 12, 11, 10, 9, one of them right; 21 words for 20
    assert of["bleu_tok/10-19"]["value"] == pytest.approx(100 * (10 / 21 * 8 / 19 * 7 / 17 * 6 / 15) ** 0.25)
    assert [of[name]["sentences"] for name in of] == [10, 20, 30]
    all_of_them = found["sentence_statistics"]["bleu_tok"]
    assert found["sentence_statistics"]["bleu_tok/1-9"] == [all_of_them[1]] * 10
    assert found["sentence_statistics"]["bleu_tok/10-19"] == [all_of_them[0], all_of_them[2]] * 10


def test_provenance_has_the_models_fingerprint_and_todays_code(args, folders):
    measure.run(args)
    found = read_json(folders[2] / "argmax.test.json")["provenance"]
    assert found["fingerprint"] == "abc" and found["device"] == "cpu" and found["commit"] != "old"
    assert {"python", "sacrebleu", "natlab"} <= set(found["packages"])


def test_provenance_says_which_other_engine_translated(args, folders):
    write(folders[0] / "beam5.test.txt", "der mann kauft ein auto .", "er geht nach hause .")
    by = {"name": "ctranslate2", "same": 2, "compared": 2}
    origin = read_json(folders[0] / "provenance.json")
    write_json(folders[0] / "provenance.json", origin | {"engines": {"beam5.test": by}})
    measure.run(args)
    assert read_json(folders[2] / "beam5.test.json")["provenance"]["engine"] == by
    for other in ("argmax.test.json", "loss.json"):
        assert not {"engine", "engines"} & set(read_json(folders[2] / other)["provenance"])


def test_measurements_join_the_experiment_of_the_model_that_has_one(args, folders, tmp_path):
    checkpoints = tmp_path / "checkpoints" / "abc"
    checkpoints.mkdir(parents=True)
    measure.run(args)
    assert not list(checkpoints.iterdir())
    tracking.start(args.tracking, checkpoints, "small", {}, "abc").end()
    measure.run(args)
    logged = {name: value for name, value, step, _ in tracking.points(checkpoints / "comet/metrics.jsonl")}
    assert logged["valid/loss_raw"] == 2.5
    assert logged["argmax/test/repetition"] == pytest.approx(100 / 13)


def test_further_references_are_used_in_bleu_multi(args, folders):
    write(folders[1] / "text/test.ref1", "Der Mann kauft kauft ein Auto.", "")
    measure.run(args)
    values = read_json(folders[2] / "argmax.test.json")["values"]
    assert values["bleu_multi"]["value"] == pytest.approx(100)
    assert values["bleu"]["value"] < 90


def test_sentences_with_further_references_are_compared_with_all_and_with_the_target_alone(args, folders):
    """Ott et al. (2018) have further references of some sentences of a test set."""
    write(folders[1] / "text/test.ref1", "Der Mann kauft kauft ein Auto.", "")
    measure.run(args)
    found = read_json(folders[2] / "argmax.test.json")
    single, multi = (found["values"][f"bleu_tok_{which}"] for which in ("single", "multi"))
    # of the first sentence alone: 6 of 7, 5 of 6, 3 of 5 and 1 of 4 n-grams are the target's
    assert single["value"] == pytest.approx(100 * (6 / 7 * 5 / 6 * 3 / 5 * 1 / 4) ** 0.25)
    assert multi["value"] == pytest.approx(100) and single["sentences"] == multi["sentences"] == 1
    assert found["sentence_statistics"]["bleu_tok_single"] == [[6, 5, 3, 1, 7, 6, 5, 4, 7, 6]]
    assert found["sentence_statistics"]["bleu_tok_multi"] == [[7, 6, 5, 4, 7, 6, 5, 4, 7, 7]]


def test_where_no_sentence_has_a_further_reference_there_is_nothing_to_compare(args, folders):
    write(folders[1] / "text/test.ref1", "", "")
    measure.run(args)
    assert "bleu_tok_multi" not in read_json(folders[2] / "argmax.test.json")["values"]


def test_untokenised_corpora_are_not_detokenised(args, tmp_path):
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(DATASET | {"tokenise": "none"}))
    write(tmp_path / "corpus/text/test.tgt", "der mann kauft kauft ein auto .", "er geht heute nach hause .")
    measure.run(args)
    assert read_json(tmp_path / "measurements/argmax.test.json")["values"]["chrf"]["value"] == pytest.approx(100)


def test_references_in_bpe_are_compared_as_words(args, folders, tmp_path):
    given = {"tokenise": "none", "bpe": {"joint": True, "merges": "given"}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(DATASET | given))
    sentences = ["der man@@ n kauft ka@@ u@@ ft ein auto .", "er ge@@ ht heute nach hause ."]
    for name in ("text/test.tgt", "tok/test.tgt", "text/test.ref1"):
        write(folders[1] / name, *sentences)
    write(folders[0] / "target.txt", "der mann kauft kauft ein auto .", "er geht heute nach hause .")
    measure.run(args)
    values = read_json(folders[2] / "argmax.test.json")["values"]
    for metric in ("bleu", "bleu_tok", "bleu_multi", "chrf"):
        assert values[metric]["value"] == pytest.approx(100), metric
    assert read_json(folders[2] / "target.json")["values"]["target_bleu"]["value"] == pytest.approx(100)


@pytest.mark.parametrize("reference", ["text/test.tgt", "tok/test.tgt", "text/test.ref1"])
def test_line_counts_must_agree(args, folders, reference):
    write(folders[1] / reference, "nur ein Satz")
    with pytest.raises(UserError, match=r"argmax.test.txt: 2 lines, but .* has 1"):
        measure.run(args)
    assert not folders[2].exists()


@pytest.mark.parametrize(
    "missing", [f"translations/{name}.json" for name in ("losses", "decoded", "provenance")] + ["corpus/tok/test.tgt"]
)
def test_missing_files_are_named(args, tmp_path, missing):
    (tmp_path / missing).unlink()
    with pytest.raises(UserError, match=missing.rpartition("/")[2]):
        measure.run(args)
    assert not (tmp_path / "measurements").exists()


def test_a_failure_keeps_the_measurements_there_were(args, folders):
    measure.run(args)
    before = read_json(folders[2] / "argmax.test.json")
    write(folders[0] / "argmax.test.txt", "nur ein satz")
    with pytest.raises(UserError):
        measure.run(args)
    assert read_json(folders[2] / "argmax.test.json") == before


def test_the_identity_is_json_on_the_command_line():
    parser = argparse.ArgumentParser()
    measure.add_arguments(parser)
    given = ["--translations", "t", "--corpus", "c", "--dataset-config", "d", "--out", "o"]
    assert parser.parse_args([*given, "--identity", json.dumps(IDENTITY)]).identity == IDENTITY


REFERENCES = {"ref1": ["Der Mann kauft einen Wagen.", "Er geht nach Hause."], "ref2": ["", "Heute geht er heim."]}
TARGETS = ["der mann kauft ein auto .", "er geht heute heim ."]


@pytest.fixture
def distorted(folders):
    """The folder with proxy targets, and a corpus with further references of test."""
    write(folders[0] / "target.txt", *TARGETS)
    for name, sentences in REFERENCES.items():
        write(folders[1] / f"text/test.{name}", *sentences)


def test_proxy_targets_are_compared_with_each_further_reference(args, folders, distorted):
    measure.run(args)
    found = read_json(folders[2] / "target.json")
    assert (found["decoding"], found["split"], found["sentences"]) == (None, "test", 2)
    metric = BLEU(tokenize="none", smooth_method="exp", effective_order=True)
    first, second = (
        metric.sentence_score(TARGETS[n], [reference]).score
        for n, reference in ((0, "der mann kauft einen wagen ."), (1, "er geht nach hause ."))
    )
    third = metric.sentence_score(TARGETS[1], ["heute geht er heim ."]).score
    values = found["values"]
    assert values["target_bleu"]["value"] == pytest.approx((first + (second + third) / 2) / 2)
    assert values["target_bleu"]["sentences"] == 2
    assert found["sentence_statistics"]["target_bleu"] == pytest.approx([first, (second + third) / 2])
    assert {name: value["sentences"] for name, value in values.items() if "/" in name} == {
        "reference_bleu/1": 2,
        "reference_bleu/2": 1,
    }
    # n-grams of the target 11, 9, 7, 5; in the first references 7, 4, 1, 0
    assert values["reference_bleu/1"]["value"] == 0
    assert "target_bleu_exact" not in values


def test_generated_corpora_have_the_exact_distortion_besides(args, folders, distorted, tmp_path):
    source = {"kind": "grammar", "pairs": 4, "valid": 1, "test": 2, "seed": 1, "references": 2, "modes": MODES}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(DATASET | {"source": source}))
    distributions = [distribution.factors[0] for distribution in grammar.distributions(source, "test")]
    write(folders[0] / "target.txt", *(" ".join(distribution[0][0]) for distribution in distributions))
    measure.run(args)
    metric = BLEU(tokenize="none", smooth_method="exp", effective_order=True)
    expected = [
        sum(
            p * metric.sentence_score(" ".join(distribution[0][0]), [" ".join(words)]).score
            for words, p in distribution
        )
        for distribution in distributions
    ]
    exactly = read_json(folders[2] / "target.json")["values"]["target_bleu_exact"]
    assert exactly["value"] == pytest.approx(sum(expected) / 2) and min(map(len, distributions)) > 1


def test_what_a_generated_corpus_allows_is_counted(args, folders, tmp_path):
    source = {"kind": "grammar", "pairs": 4, "valid": 2, "test": 2, "seed": 1, "references": 0, "modes": MODES}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(DATASET | {"source": source}))
    for split in ("valid", "test"):
        first, second = (of.most_probable() for of in grammar.distributions(source, split))
        for name in ("text", "tok"):
            write(folders[1] / name / f"{split}.tgt", " ".join(first), " ".join(second))
        write(folders[0] / f"argmax.{split}.txt", " ".join(first), " ".join(first))
    measure.run(args)
    for split in ("valid", "test"):
        found = read_json(folders[2] / f"argmax.{split}.json")
        assert found["values"]["allowed"] == {"value": 50, "unit": "%"}
        assert found["sentence_statistics"]["allowed"] == [100, 0]
        # the first is expected as much BLEU as can be, what is said of the second less
        best, other = found["sentence_statistics"]["expected_bleu"]
        expected = target_bleu.Expected(grammar.distributions(source, split))
        assert found["values"]["expected_bleu"]["value"] == (best + other) / 2
        assert found["values"]["expected_ceiling"]["value"] == expected.ceiling > (best + other) / 2 and best > other


def test_how_far_a_model_is_from_the_truth_is_one_more_measurement(args, folders):
    each = {"unit": "bits/sentence", "sentences": 2, "signature": "exact"}
    write_json(folders[0] / "truth.json", {"kl": {"value": 3.0, **each, "by_sentence": [2.0, 4.0]}})
    measure.run(args)
    found = read_json(folders[2] / "truth.json")
    assert (found["decoding"], found["split"], found["sentences"]) == (None, "test", 2)
    assert found["values"] == {"kl": {"value": 3.0, **each}}
    assert found["sentence_statistics"] == {"kl": [2.0, 4.0]}


def test_proxy_targets_of_another_split_are_refused(args, folders, distorted):
    write(folders[0] / "target.txt", TARGETS[0])
    with pytest.raises(UserError, match="target.txt: 1 lines, but .*test.ref1 has 2"):
        measure.run(args)


def test_what_is_measured_of_a_decoding_stands_with_its_translation(args, folders):
    sure = {"value": -1.5, "unit": "bits/token", "tokens": 13, "by_sentence": [[-9.5, 7], [-10.0, 6]]}
    write_json(folders[0] / "decoded.json", {"argmax.test": {"confidence": sure}})
    measure.run(args)
    found = read_json(folders[2] / "argmax.test.json")
    assert found["values"]["confidence"]["value"] == -1.5
    assert found["sentence_statistics"]["confidence"] == sure["by_sentence"]
    assert len(found["sentence_statistics"]["bleu_tok"]) == 2


def test_the_arguments():
    parser = argparse.ArgumentParser()
    measure.add_arguments(parser)
    given = ["--translations", "t", "--corpus", "c", "--dataset-config", "d", "--identity", "{}", "--out", "o"]
    assert vars(parser.parse_args(given)) == {
        "translations": "t", "corpus": "c", "dataset_config": "d", "identity": {}, "out": "o",
        "curve": None, "tracking": {"backend": "none"}, "checkpoints": "",
    }  # fmt: skip
    for at in range(0, len(given), 2):
        with pytest.raises(SystemExit):
            parser.parse_args(given[:at] + given[at + 2 :])


def test_what_is_wrong_is_said_with_what_to_do(args, folders):
    translations, corpus, _ = folders
    another = "translate the same split of the same corpus"
    incomplete = "the folder is not one of translations, or is incomplete: translate again"
    for file, lines, problem in (
        (corpus / "tok/test.tgt", None, "{file}: no such file, but {of} needs it as reference; make the corpus first"),
        (corpus / "text/test.tgt", ["eine"], "{of}: 2 lines, but {file} has 1; " + another),
        (translations / "losses.json", None, "{file}: no such file; " + incomplete),
    ):
        before = file.read_text()
        file.unlink() if lines is None else write(file, *lines)
        with pytest.raises(UserError) as refused:
            measure.run(args)
        assert str(refused.value) == problem.format(file=file, of=translations / "argmax.test.txt")
        file.write_text(before)
    measure.run(args)


def test_further_references_are_read_in_the_order_of_their_numbers(args, folders):
    """Ten of them: only the last has the second sentence's hypothesis, and all are of equal use to BLEU."""
    write(folders[0] / "target.txt", *TARGETS)
    for number in range(1, 11):
        second = "er geht heute heim ." if number == 10 else ""
        write(folders[1] / f"text/test.ref{number}", f"Satz {number}", second)
    write(folders[0] / "argmax.test.txt", "satz 10", "er geht heute heim .")
    measure.run(args)
    assert read_json(folders[2] / "argmax.test.json")["values"]["bleu_multi"]["value"] == pytest.approx(100)
    values = read_json(folders[2] / "target.json")["values"]
    assert values["reference_bleu/10"]["sentences"] == 2 and values["reference_bleu/2"]["sentences"] == 1


def test_a_sentence_without_further_references_has_no_distortion(args, folders):
    write(folders[0] / "target.txt", *TARGETS)
    write(folders[1] / "text/test.ref1", "", "er geht heute heim .")
    measure.run(args)
    found = read_json(folders[2] / "target.json")
    assert found["values"]["target_bleu"] == {
        "value": pytest.approx(100), "unit": "BLEU", "sentences": 1,
        "signature": "sentence|eff:yes|tok:none|smooth:exp",
    }  # fmt: skip
    assert found["sentence_statistics"]["target_bleu"] == pytest.approx([100])
    assert found["values"]["reference_bleu/1"]["value"] == pytest.approx(100)


@pytest.mark.parametrize("tokenise", ["moses", "none"])
def test_text_is_put_together_as_its_language_does_unless_it_was_never_taken_apart(args, folders, tmp_path, tokenise):
    """English joins 's to its noun, and BLEU's own tokens do not take it off again."""
    languages = {"src": "de", "tgt": "en"}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(DATASET | {"tokenise": tokenise, "languages": languages}))
    write(folders[0] / "argmax.test.txt", "the man 's car is old .", "he goes home .")
    write(folders[1] / "tok/test.tgt", "the man 's car is old .", "he goes home .")
    first = "The man's car is old." if tokenise == "moses" else "The man 's car is old ."
    write(folders[1] / "text/test.tgt", first, "He goes home.")
    measure.run(args)
    assert read_json(folders[2] / "argmax.test.json")["values"]["bleu"]["value"] == pytest.approx(100)


def test_chinese_is_scored_as_chinese(args, folders, tmp_path):
    splits = {split: [{"src": "all", "tgt": "all"}] for split in ("train", "valid", "test")}
    source = DATASET["source"] | {"splits": splits}
    chinese = DATASET | {"source": source, "languages": {"src": "en", "tgt": "zh"}, "tokenise": "moses"}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(chinese))
    write(folders[1] / "text/test.ref1", "他今天买车。", "")
    measure.run(args)
    values = read_json(folders[2] / "argmax.test.json")["values"]
    assert all("tok:zh" in values[name]["signature"] for name in ("bleu", "bleu_multi"))


def samples(args, *of_sentences):
    """Several hypotheses of each sentence beside the translations, the better the shorter."""
    text = "".join(
        json.dumps({"hypotheses": each, "scores": [-len(one) for one in each]}) + "\n" for each in of_sentences
    )
    with open(f"{args.translations}/argmax.test.samples.jsonl", "w", encoding="utf-8") as file:
        file.write(text)


def test_several_hypotheses_of_a_sentence_have_values_and_the_first_ones_are_shown(args, folders):
    write(folders[1] / "text/test.src", "The man buys a car.", "He goes home today.")
    samples(args, ["der mann kauft", "der mann kauft ein auto ."], ["er geht heute nach hause .", "er", "sie", "es"])
    measure.run(args)
    found = read_json(folders[2] / "argmax.test.json")
    assert found["values"]["oracle_bleu"]["value"] == pytest.approx(100)
    assert found["sentence_statistics"]["oracle_bleu"] == [[6, 5, 4, 3, 6, 5, 4, 3, 6, 6]] * 2
    assert found["values"]["distinct"]["value"] == 3 and "allowed_best3" not in found["values"]
    shown = read_json(folders[2] / "argmax.test.samples.json")
    assert {key: shown[key] for key in IDENTITY} == IDENTITY and shown["split"] == "test"
    assert {name: value["value"] for name, value in shown["values"].items()} == {
        "source/1": "The man buys a car.", "source/2": "He goes home today.",
        "reference/1": "Der Mann kauft ein Auto.", "reference/2": "Er geht heute nach Hause.",
        "sample/1/1": "der mann kauft", "sample_score/1/1": -14,
        "sample/1/2": "der mann kauft ein auto .", "sample_score/1/2": -25,
        "sample/2/1": "er geht heute nach hause .", "sample_score/2/1": -26,
        "sample/2/2": "er", "sample_score/2/2": -2, "sample/2/3": "sie", "sample_score/2/3": -3,
    }  # fmt: skip


def test_of_a_generated_corpus_the_best_hypotheses_that_it_allows_are_counted(args, folders, tmp_path):
    source = {"kind": "grammar", "pairs": 50, "valid": 4, "test": 2, "seed": 1, "references": 1, "modes": MODES}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(DATASET | {"source": source}))
    possible = [max(of.factors[0], key=lambda pair: pair[1])[0] for of in grammar.distributions(source, "test")]
    first, second = (" ".join(words) for words in possible)
    write(folders[0] / "argmax.test.txt", first, "x")
    write(folders[1] / "text/test.src", "one", "two")
    samples(args, [first, "no"], ["x", "y", "z", second])
    measure.run(args)
    found = read_json(folders[2] / "argmax.test.json")
    assert found["values"]["allowed_best3"]["value"] == pytest.approx(100 / 5)
    assert found["sentence_statistics"]["allowed_best3"] == [[100, 2], [0, 3]]
    assert found["values"]["modes"]["value"] == 1 and found["sentence_statistics"]["modes"] == [1, 1]
    of_first = max(p for _, p in grammar.distributions(source, "test")[0].factors[0])
    assert found["sentence_statistics"]["modes_mass"][0] == pytest.approx(100 * of_first)
    shown = read_json(folders[2] / "argmax.test.samples.json")["values"]
    allowed = [shown[f"sample_allowed/{place}"]["value"] for place in ("1/1", "1/2", "2/1", "2/3")]
    assert allowed == ["yes", "no", "no", "no"] and "sample_allowed/2/4" not in shown


def test_samples_of_another_number_of_sentences_are_refused(args, folders):
    write(folders[1] / "text/test.src", "one", "two")
    samples(args, ["a"])
    with pytest.raises(UserError, match=r"argmax.test.samples.jsonl: 1 lines, but .*tok/test.tgt has 2"):
        measure.run(args)


def test_what_was_chosen_of_a_decodings_options_stands_in_its_measurements(args, folders):
    choice = {"options": {"beta": 0.3}, "by": "bleu_tok", "split": "valid", "scores": [{"beta": 0.3, "score": 5.0}]}
    write_json(folders[0] / "tuned.json", {"argmax": choice})
    write(folders[0] / "other.test.txt", "a", "b")
    measure.run(args)
    assert read_json(folders[2] / "argmax.test.json")["tuned"] == choice
    assert "tuned" not in read_json(folders[2] / "other.test.json")


def test_a_trainings_curve_is_measured_at_shares_of_it(args, folders, tmp_path):
    lines = [{"subset": "valid", "num_updates": n, "nll_loss": 3 - n / 20, "wall": 1.0} for n in (0, 10, 20)]
    write(tmp_path / "curve.jsonl", *map(json.dumps, lines))
    args.curve = str(tmp_path / "curve.jsonl")
    measure.run(args)
    found = read_json(folders[2] / "curve.json")
    assert found["values"]["curve/nll_loss/50"] == {"value": 2.5, "unit": "bits/token", "update": 10}
    assert not any("wall" in name for name in found["values"])
