"""`natlab export`: which model of a run becomes a bundle, and what is refused."""

import json

import pytest
from tests.bundles import made
from tests.config.project import load

from natlab import cli
from natlab.bundles import manifest
from natlab.errors import UserError
from natlab.export import verb
from natlab.files import write_json


@pytest.fixture
def run(project):
    return load(project)


def test_the_only_dataset_and_the_first_seed_are_taken_unless_said(run):
    with pytest.raises(UserError, match="on grammar_ende, grammar_ende_mild.*name one with --dataset"):
        verb.chosen(run, "vanilla_raw", None, None)
    assert verb.chosen(run, "glat_kd", None, None) == ("grammar_ende", "demo", "glat_kd", 1)
    assert verb.chosen(run, "vanilla_raw", "grammar_ende_mild", 1).dataset == "grammar_ende_mild"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing", None, None), "trains no system nothing; it trains: .*vanilla_kd"),
        (("glat_kd", "multi30k_ende", None), "--dataset multi30k_ende: .* on grammar_ende only"),
        (("glat_kd", None, 7), "--seed 7: .* has the seeds 1"),
    ],
)
def test_what_the_run_does_not_train_is_refused(run, arguments, message):
    with pytest.raises(UserError, match=message):
        verb.chosen(run, *arguments)


def place(system):
    return verb.Place("grammar_ende", "demo", system, 1)


@pytest.mark.parametrize(
    ("system", "name"),
    [("transformer", "beam5"), ("vanilla_kd", "argmax"), ("dat_raw", "dag_lookahead"), ("ctc_raw", "collapse")],
)
def test_a_system_is_exported_as_its_training_is_validated_unless_said(run, tmp_path, system, name):
    found, decoding = verb.decoded(run, place(system), None, tmp_path)
    assert found == name and decoding == run.decoding("grammar_ende", name, system)


@pytest.mark.parametrize(
    ("system", "decoding"),
    [
        ("vanilla_kd", "sideways"),
        ("vanilla_kd", "beam5"),  # it does not read what it has written
        ("vanilla_kd", "collapse"),
        ("transformer", "argmax"),
        ("dat_raw", "argmax"),
        ("vanilla_kd", "aeqa_shown_00"),  # without codes nothing of them is shown
        ("dat_raw", "dag_shown_00"),
        ("vanilla_kd", "npd7"),  # which takes another model
        ("aeqa_raw", "argmax_reordered"),  # or another pass
        ("vanilla_kd", "argmax_reference_length"),
        ("dat_raw", "dag_samples_stepwise"),
        ("vanilla_kd", "npd_noise7"),
    ],
)
def test_decodings_that_do_not_suit_a_system_or_a_bundle_are_refused(run, tmp_path, system, decoding):
    with pytest.raises(UserError, match=f"--decoding of {system}: .*'{decoding}'; allowed: ") as caught:
        verb.decoded(run, place(system), decoding, tmp_path)
    assert "\n" not in str(caught.value)


def test_what_a_tuned_decoding_chose_must_be_there(run, tmp_path):
    with pytest.raises(UserError, match="says no choice for dag_samples"):
        verb.decoded(run, place("dat_raw"), "dag_samples", tmp_path)


def test_tuned_options_are_those_that_were_chosen(run, tmp_path):
    write_json(
        place("dat_raw").under(tmp_path / "translations") / "tuned.json", {"dag_samples": {"options": {"beta": 0.7}}}
    )
    _, decoding = verb.decoded(run, place("dat_raw"), "dag_samples", tmp_path)
    assert decoding["beta"] == 0.7 and decoding["samples"] == 128


def test_a_system_that_translates_nothing_is_refused(run, tmp_path):
    encoder = next(name for name, row in run.systems.items() if "multilingual" in str(row["architecture"]))
    with pytest.raises(UserError, match="translates nothing"):
        verb.decoded(run, place(encoder), None, tmp_path)


def test_a_model_that_is_not_trained_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such model; train it: snakemake"):
        verb.export(made.DATASET, made.PLACE, "argmax", made.ARGMAX, "float32", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_fill_without_an_onnx_form_is_refused_and_nothing_written(tmp_path, monkeypatch):
    from natlab.export.onnx import canvas

    monkeypatch.delitem(canvas.FILLS, "copy")
    with pytest.raises(UserError, match=r"natlab.models.fills.copy: has no ONNX form"):
        made.bundle(tmp_path)
    assert not (tmp_path / "bundle").exists()


def test_what_a_bundle_says_of_itself(tmp_path):
    results = tmp_path / "results"
    values = {"bleu": {"value": 12.345}, "chrf": {"value": 40}, "repetition": {"value": 1}}
    write_json(
        made.PLACE.under(results / "measurements") / "name.test.json",
        {"sentences": 7, "values": values, "provenance": {"fingerprint": "f00d"}},
    )
    folder, _ = made.bundle(tmp_path, precision="int8")
    said = manifest.read(folder)
    assert (said.engine, said.precision, said.system, said.dataset) == ("onnx", "int8", "random", "tiny")
    assert said.decoding == made.ARGMAX and said.origin["model"]["fingerprint"] == "f00d"
    assert set(said.files) == {"README.md", "codes.src", "model.onnx", "vocabulary.src", "vocabulary.tgt"}
    card = (folder / "README.md").read_text()
    assert card.startswith("# random, en to de\n")
    assert "7 sentences of test, by its float32 weights: bleu 12.35, chrf 40.00" in card
    assert "Licence of the data**: free" in card and "weights in int8" in card


@pytest.mark.parametrize("fingerprint", [None, "of an earlier model"])
def test_scores_that_nobody_measured_of_this_model_are_not_there(tmp_path, fingerprint):
    if fingerprint is not None:
        earlier = {"sentences": 7, "values": {"bleu": {"value": 1.0}}, "provenance": {"fingerprint": fingerprint}}
        write_json(made.PLACE.under(tmp_path / "results/measurements") / "name.test.json", earlier)
    folder, _ = made.bundle(tmp_path)
    assert "**Scores**: not measured" in (folder / "README.md").read_text()


def test_a_folder_that_is_no_bundle_is_not_written_over(tmp_path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "thesis.tex").write_text("years")
    with pytest.raises(UserError, match="is there, and is no bundle"):
        made.bundle(tmp_path)
    assert (tmp_path / "bundle" / "thesis.tex").read_text() == "years"


def test_a_bundle_is_written_anew(tmp_path):
    folder, _ = made.bundle(tmp_path)
    (folder / "more").write_text("")
    verb.export(made.DATASET, made.PLACE, "name", made.ARGMAX, "float32", tmp_path / "results", folder)
    assert not (folder / "more").exists() and manifest.read(folder)


def test_another_corpus_than_the_models_is_refused(tmp_path):
    folder, _ = made.bundle(tmp_path)
    dictionary = tmp_path / "results/corpora/tiny/bin/dict.tgt.txt"
    dictionary.write_text(dictionary.read_text() + "more 1\n")
    with pytest.raises(UserError, match=r"dict.tgt.txt: \d+ symbols, and .* not its corpus"):
        verb.export(made.DATASET, made.PLACE, "name", made.ARGMAX, "float32", tmp_path / "results", folder)


def test_a_word_that_is_spelled_as_the_unknown_one_is_told_from_it(tmp_path):
    folder, _ = made.bundle(tmp_path)
    assert (folder / "vocabulary.tgt").read_text().split("\n")[3] == "<unk>"
    dictionary = tmp_path / "results/corpora/tiny/bin/dict.tgt.txt"
    *others, _ = dictionary.read_text().splitlines()
    dictionary.write_text("".join(f"{line}\n" for line in [*others, "<unk> 1 #fairseq:overwrite"]))
    verb.export(made.DATASET, made.PLACE, "name", made.ARGMAX, "float32", tmp_path / "results", folder)
    symbols = (folder / "vocabulary.tgt").read_text().split("\n")
    assert (symbols[3], symbols[-2]) == ("<<unk>>", "<unk>")


def test_a_run_that_is_not_there_is_refused(capsys):
    assert cli.main(["export", "nowhere.json", "vanilla_kd"]) == 2
    assert "nowhere.json: no such file" in capsys.readouterr().err


@pytest.mark.parametrize("resolved", [False, True])
def test_the_command(project, monkeypatch, capsys, resolved):
    monkeypatch.chdir(project)
    written = []
    monkeypatch.setattr(verb, "export", lambda *arguments: written.append(arguments))
    file = "config/config.yaml"
    if resolved:
        file = "run.json"
        (project / file).write_text(json.dumps(load(project).settings))
    assert cli.main(["export", file, "glat_kd", "--precision", "int8"]) == 0
    [(dataset, place, name, _, precision, _, out)] = written
    assert dataset["lowercase"] and place.system == "glat_kd" and (name, precision) == ("argmax", "int8")
    assert str(out) == "results/bundles/grammar_ende/demo/glat_kd/seed1/argmax.int8"
    assert f"natlab translate {out}" in capsys.readouterr().out
