"""Every rule for real, once: a tiny generated corpus, from nothing to the report."""

import csv
import shutil

import pytest
import yaml

from natlab import cli
from natlab.files import lines, read_json

TRAINING = {
    "size": "table6_1", "updates": 30, "batch_tokens": 1000, "update_freq": 1, "lr": 0.005, "warmup": 10,
    "schedule": "inverse_sqrt", "label_smoothing": 0.0, "weight_decay": 0.0, "clip_norm": 0, "dropout": None,
    "precision": "fp32", "validate_every": 15, "average_best": 2,
}  # fmt: skip
RESTS_ON = "test sentences; one seed, no deviation known of other runs' seeds"


@pytest.fixture(scope="module")
def street(tmp_path_factory, copy_of_workflow):
    """A project in which the real `natlab` has run a whole small run."""
    project = copy_of_workflow(tmp_path_factory.mktemp("street"))
    del project.environment["STAND_IN"]
    config = project.root / "config"

    def write(file, value):
        (config / file).write_text(yaml.safe_dump(value), encoding="utf-8")

    dataset = yaml.safe_load((config / "datasets/grammar_ende.yaml").read_text(encoding="utf-8"))
    dataset["source"].update(pairs=300, valid=20, test=20, references=1)
    write("datasets/small.yaml", dataset)
    noise = yaml.safe_load((config / "datasets/grammar_ende_noise_b.yaml").read_text(encoding="utf-8"))
    noise["source"]["base"] = "small"
    write("datasets/small_noise.yaml", noise)
    write(
        "scales/test.yaml",
        {
            "teacher": TRAINING, "student": TRAINING, "finetune": {"updates": 5, "warmup": 1},
            "stages": {"aeqa": {}, "prealign": {}, "aeqa_graph": {}},
            "distil": {"beam": 2, "batch_tokens": 1000, "shards": 2},
            "latency": {"sentences": 3, "warmup": 1}, "threads": 1, "gpus": 0,
        },
    )  # fmt: skip
    write(
        "config.yaml",
        {
            "run": "street", "scale": "test", "seeds": [1],
            "corpora": {"wmt14_ende": "small", "synthetic_b": "small_noise"},
            "tables": ["mple/table1", "mple/table2", "mple/table4", "natlab/codes"],
            "claims": ["mple/claims"],
            "systems": [
                "transformer", "vanilla_raw", "vanilla_kd", "glat_kd", "aeqa_prealigned_raw", "aeqa_dat3_raw"
            ],
        },
    )  # fmt: skip
    result = project.snakemake()
    assert result.returncode == 0, result.stdout
    return project


def test_codes_are_measured_from_their_alignment_to_how_far_they_are_from_the_truth(street):
    """A pre-aligned codebook, on a canvas and on a graph: the systems that these start from are trained, too. Of a
    corpus so small, whose dictionaries lack words, KL is infinite."""
    with open(street.root / "reports/street/tables/natlab.codes.csv", encoding="utf-8", newline="") as file:
        measured = {(row["row"], row["column"]) for row in csv.DictReader(file) if row["measured"]}
    columns = {"mass_allowed", "allowed", "e", "bleu", "valid", "unseen", "all_shown", "tuned"}
    for label in ("pre-aligned", "AEQA-DAT, factor 3"):
        assert {column for row, column in measured if row == label} == columns
    for system in ("multilingual", "prealigned"):
        assert (street.root / f"results/models/small/test/{system}/seed1/model.pt").exists()


def test_the_report_has_its_tables_and_every_measurement(street):
    reports = street.root / "reports/street"
    for table in ("mple.table1", "mple.table2", "mple.table4"):
        for ending in ("csv", "md", "tex"):
            assert (reports / "tables" / f"{table}.{ending}").stat().st_size > 200
    assert "Table 1" in (reports / "index.html").read_text(encoding="utf-8")
    with open(reports / "tables/mple.table1.csv", encoding="utf-8", newline="") as file:
        cells = {(row["row"], row["column"]): row for row in csv.DictReader(file)}
    measured = {key: float(row["measured"]) for key, row in cells.items() if row["measured"]}
    at, nat = measured["WMT14 En-De", "bleu_at"], measured["WMT14 En-De", "bleu_nat"]
    assert measured["WMT14 En-De", "gap"] == pytest.approx(at - nat)
    assert ("WMT16 En-Ro", "bleu_at") not in measured  # nothing stands there in this run
    assert ("Synthetic B", "c") in measured and ("Synthetic B", "c_exact") not in measured


def test_a_clone_makes_the_report_again_of_its_record(street, tmp_path, monkeypatch):
    """Without results: of the report itself and the configuration, byte for byte."""
    for folder in ("config", "reports", "workflow"):
        shutil.copytree(street.root / folder, tmp_path / folder)
    report = tmp_path / "reports/street"
    before = {path: path.read_bytes() for path in report.rglob("*") if path.is_file()}
    assert {path.parent.name for path in before} == {"street", "tables", "claims", "curves", "sentences"}
    for path in before:
        if path.name not in ("run.json", "provenance.json", "record.tar.xz"):
            path.unlink()
    monkeypatch.chdir(tmp_path)
    assert cli.main(["rebuild", "reports/street"]) == 0
    assert {path: path.read_bytes() for path in report.rglob("*") if path.is_file()} == before


def test_claims_are_tested_on_sentences_of_translations_losses_and_proxy_targets(street):
    with open(street.root / "reports/street/claims/mple.claims.csv", encoding="utf-8", newline="") as file:
        found = {(row["claim"], row["part"]): row for row in csv.DictReader(file)}
    measured = {key: row for key, row in found.items() if row["verdict"] != "not measured"}
    # the gap and C; KD's target BLEU; Input Sampling's BLEU and confidence; L_NAT and C
    assert set(measured) == {("a", "1"), ("c", "1"), ("e", "3"), ("g", "3"), ("i", "2")}
    for row in measured.values():
        assert row["verdict"] == "undecided" and row["rests_on"] == RESTS_ON
        assert 0 <= float(row["confidence"]) <= 1 and float(row["low"]) <= float(row["high"])
        assert row["tests"] == "5"
    assert float(found["g", "3"]["low"]) < float(found["g", "3"]["high"])


def test_c_is_the_difference_of_the_losses(street):
    def loss(system):
        return read_json(street.root / f"results/measurements/small/test/{system}/seed1/loss.json")["values"]

    at, nat = loss("transformer"), loss("vanilla_raw")
    with open(street.root / "reports/street/tables/mple.table1.csv", encoding="utf-8", newline="") as file:
        c = next(
            float(row["measured"])
            for row in csv.DictReader(file)
            if (row["row"], row["column"]) == ("WMT14 En-De", "c")
        )
    expected = nat["loss_raw"]["value"] + nat["length_raw"]["value"] - at["loss_raw"]["value"]
    assert c == pytest.approx(expected)
    assert at["loss"]["value"] == at["loss_raw"]["value"]  # the teacher's own target is the raw one


def test_distilled_shards_are_merged_in_order(street):
    folder = street.root / "results/distilled/small/test/transformer/seed1"
    shards = [line for i in (1, 2) for line in lines(folder / f"shards/train.{i}of2.txt")]
    assert len(shards) == 300
    from natlab.measuring.data import Data

    data, raw = Data(folder / "bin"), Data(street.root / "results/corpora/small/bin")
    assert [data.target.string(target) for target in data.targets("train")] == shards
    for split, other in (("train", "train"), ("valid", "valid"), ("valid_kd", "valid"), ("test_kd", "test")):
        pairs = zip(data.sources(split), raw.sources(other), strict=True)
        assert all(a.tolist() == b.tolist() for a, b in pairs)
    pairs = zip(data.targets("valid"), raw.targets("valid"), strict=True)
    assert all(a.tolist() == b.tolist() for a, b in pairs)  # validation BLEU is against the references


def test_measurements_say_what_produced_them(street):
    folder = street.root / "results/measurements/small/test"
    argmax = read_json(folder / "glat_kd/seed1/argmax.test.json")
    assert (argmax["dataset"], argmax["system"], argmax["seed"], argmax["sentences"]) == ("small", "glat_kd", 1, 20)
    assert {"bleu", "bleu_tok", "bleu_multi", "chrf", "repetition"} <= set(argmax["values"])
    assert "version" in argmax["values"]["bleu"]["signature"]
    provenance = argmax["provenance"]
    assert provenance["fingerprint"] and provenance["device"] and provenance["packages"]["torch"]
    latency = read_json(folder / "glat_kd/seed1.latency.json")["values"]
    for key in ("mean", "median", "p95"):
        assert latency["latency/argmax"][key] > 0
    ratio = latency["latency/reference beam5"]["mean"] / latency["latency/argmax"]["mean"]
    assert latency["speedup/argmax"]["value"] == pytest.approx(ratio)


def test_proxy_targets_are_measured_against_further_references(street):
    folder = street.root / "results/measurements/small/test"
    raw, kd = (read_json(folder / f"{system}/seed1/target.json")["values"] for system in ("vanilla_raw", "vanilla_kd"))
    assert raw.keys() == kd.keys() == {"target_bleu", "target_bleu_exact", "reference_bleu/1"}
    # drawn alike: one reference of each of 20 sentences against all that there could be
    assert raw["target_bleu"]["value"] == pytest.approx(raw["target_bleu_exact"]["value"], abs=15)
    assert not (folder / "transformer/seed1/target.json").exists()
    glat = read_json(folder / "glat_kd/seed1/argmax.test.json")
    assert len(glat["sentence_statistics"]["bleu_tok"]) == 20 and glat["values"]["confidence"]["value"] < 0
    assert read_json(folder / "glat_kd/seed1/loss.json")["values"]["l_input"]["value"] > 0


def test_a_second_start_does_nothing(street):
    result = street.snakemake()
    assert result.returncode == 0 and "Nothing to be done" in result.stdout, result.stdout


def test_a_shard_of_another_corpus_is_refused_and_nothing_is_lost(street):
    folder = "results/distilled/small/test/transformer/seed1"
    shard = street.root / folder / "shards/train.2of2.txt"
    whole = shard.read_text(encoding="utf-8")
    shard.write_text("one line too many\n" + whole, encoding="utf-8")
    result = street.snakemake(f"{folder}/bin", "--force", "--retries", "0")
    assert result.returncode != 0
    assert "301 distilled lines for 300 sources" in result.stdout
    shard.write_text(whole, encoding="utf-8")
