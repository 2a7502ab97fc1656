"""The verb `train` on a corpus that can be learned in seconds."""

import copy
import ctypes
import json
import math
import shutil
import subprocess
import sys

import pytest
import torch
from tests import plain

from natlab import families, sources
from natlab.corpus.binarise import write_mmap
from natlab.corpus.vocabulary import SPECIALS
from natlab.decoding import decode, pad_right
from natlab.errors import UserError
from natlab.losses.batch import Method, batch_loss
from natlab.measuring.data import Data
from natlab.measuring.losses import losses
from natlab.metrics.interface import Translations
from natlab.models.load import load
from natlab.training import train

AT = {"name": "transformer"}
ROUGE = {"name": "rouge", "options": {}, "value": "rouge_1", "language": "en"}


@pytest.fixture(scope="module")
def trained(arguments):
    """A function: parameters, provenance and training curve of a model trained in a folder."""

    def run(spec, folder, *options, **given):
        train.run(arguments(spec, folder, *options, **given))
        model, provenance = load(folder / "model.pt")
        curve = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
        return model.state_dict(), provenance, curve

    return run


@pytest.fixture(scope="module")
def first(trained, spec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    return folder, *trained(spec(), folder)


def test_a_nat_learns_to_copy_and_its_best_checkpoints_are_averaged(first):
    folder, parameters, provenance, curve = first
    valid = [point for point in curve if point["subset"] == "valid"]
    assert [point["num_updates"] for point in valid] == [20, 40, 60]
    assert valid[-1]["nll_loss"] < 0.5 * valid[0]["nll_loss"]
    assert max(point["bleu"] for point in valid) > 20
    checkpoints = folder / "checkpoints" / provenance["fingerprint"]
    ranked = sorted(valid, key=lambda point: point["bleu"])[-2:]
    assert set(provenance["averaged"]) == {f"checkpoint_{point['num_updates']}.pt" for point in ranked}
    best = [
        torch.load(checkpoints / name, weights_only=True)["model"]["net.lengths.linear.weight"]
        for name in provenance["averaged"]
    ]
    torch.testing.assert_close(parameters["lengths.linear.weight"], (best[0] + best[1]) / 2)


def test_the_same_seed_gives_the_same_model_and_another_seed_another(first, trained, spec, tmp_path):
    _, parameters, provenance, _ = first
    again, its_provenance, _ = trained(spec(), tmp_path / "again")
    assert its_provenance["fingerprint"] == provenance["fingerprint"]
    assert all(torch.equal(parameters[name], again[name]) for name in parameters)
    other, its_provenance, _ = trained({**spec(), "seed": 2}, tmp_path / "other")
    assert its_provenance["fingerprint"] != provenance["fingerprint"]
    assert not torch.equal(parameters["lengths.linear.weight"], other["lengths.linear.weight"])


def test_a_finished_training_started_again_gives_the_same_model(first, trained, spec):
    folder, parameters, _, curve = first
    again, _, its_curve = trained(spec(), folder)
    assert all(torch.equal(parameters[name], again[name]) for name in parameters)
    assert its_curve == curve


@pytest.mark.parametrize("architecture, precision", [(AT, "fp32"), (AT, "bf16"), (plain.architecture(), "bf16")])
def test_both_architectures_train_in_both_precisions(architecture, precision, trained, spec, tmp_path, monkeypatch):
    monkeypatch.setattr("natlab.models.precision.arithmetic", lambda precision, gpu: precision)  # whatever this CPU is
    parameters, _, curve = trained({**spec(updates=20, precision=precision), "architecture": architecture}, tmp_path)
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in parameters.values())
    training = [point["loss"] for point in curve if point["subset"] == "train"]
    assert training[-1] < training[0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, and this is about training on a CPU")
def test_a_cpu_without_bfloat16_trains_in_float32_and_the_model_says_so(trained, spec, tmp_path, monkeypatch):
    monkeypatch.setattr("natlab.models.precision.CPU", tmp_path / "no cpuinfo")
    trained(spec(updates=2, validate_every=2, precision="bf16"), tmp_path)
    assert torch.load(tmp_path / "model.pt", weights_only=True)["description"]["precision"] == "fp32"


def test_a_model_starts_from_another_and_learns_at_a_fixed_rate(first, trained, spec, tmp_path):
    start, parameters, provenance, _ = first
    tuned = spec(updates=1, schedule="fixed", warmup=0, lr=1e-6)
    tuned["architecture"] = plain.architecture(masking=True)
    tuned["terms"] = [{"name": "length"}, {"name": "masking"}]
    found, its_provenance, curve = trained(tuned, tmp_path / "near", "--start", str(start / "model.pt"))
    assert set(found) - set(parameters) == {"masking.weight", "masking.bias"}
    for name, value in parameters.items():
        torch.testing.assert_close(found[name], value, atol=2e-6, rtol=0)
    assert its_provenance["fingerprint"] != provenance["fingerprint"]
    before, after = (point for point in curve if point["subset"] == "valid")  # what it starts from comes first
    assert (before["num_updates"], after["num_updates"]) == (0, 1) and curve[0] == before
    assert before["nll_loss"] == pytest.approx(after["nll_loss"], rel=1e-3)
    *_, curve = trained(
        spec(updates=30, schedule="fixed", warmup=0), tmp_path / "on", "--start", str(start / "model.pt")
    )
    assert {point["lr"] for point in curve if point["subset"] == "train"} == {0.01}
    assert curve[0]["nll_loss"] < 1.0  # it goes on from where the other ended


def test_a_term_learns_what_the_model_it_starts_from_costs(first, trained, spec, copy_corpus, tmp_path, caplog):
    """Terms of CoDAT leave out sentences that cost more than it does on the validation set, nothing being revealed."""
    start = str(first[0] / "model.pt")
    made = spec(updates=2, validate_every=2)
    made["terms"] = [{"name": "length"}, {"name": "contrastive", "samples": 3, "keep": 1.0, "sigma": 1.0}]
    with caplog.at_level("INFO", logger="natlab.training.loop"):
        *_, curve = trained(made, tmp_path / "one", "--start", start)
    (said,) = (record.args[0] for record in caplog.records if "to start from costs" in record.msg)
    data, plainly = Data(copy_corpus), Method.of({**made, "input": {"name": "vanilla"}, "terms": []})
    expected = losses(load(start)[0], data.sources("valid"), data.targets("valid"), plainly)["loss"]["value"]
    assert said == pytest.approx(expected, rel=1e-4)
    valid = [point for point in curve if point["subset"] == "valid"]
    assert all(0 < point["left_out_share"] < 1 and point["contrastive_loss"] >= 0 for point in valid)
    made["terms"][1]["alpha"] = 0.0  # bits, all cost more
    *_, curve = trained(made, tmp_path / "two", "--start", start)
    assert all(point["left_out_share"] == 1 and point["contrastive_loss"] == 0 for point in curve)


def test_a_dataset_chooses_checkpoints_by_a_mean_over_sentences(trained, spec, copy_corpus, tmp_path):
    """Validated in several batches; the checkpoint chosen is published as it is."""
    made = {**spec(updates=20, validate_every=10, average_best=1, batch_tokens=60), "select_by": ROUGE}
    _, provenance, curve = trained(made, tmp_path)
    valid = {point["num_updates"]: point["score"] for point in curve if point["subset"] == "valid"}
    [chosen] = (int(name.removeprefix("checkpoint_").removesuffix(".pt")) for name in provenance["averaged"])
    assert valid[chosen] == max(valid.values()) > 0
    assert not any("score" in point for point in curve if point["subset"] == "train")
    model, _ = load(tmp_path / "model.pt")
    data = Data(copy_corpus)
    targets = list(map(data.text, data.targets("valid")))
    tokens = [data.text(decode(model, source[None], {"kind": "argmax"})[0]) for source in data.sources("valid")]
    found = families.load("score", "rouge")(Translations(tokens, targets, tokens, targets, "en"))
    assert valid[chosen] == pytest.approx(found["rouge_1"]["value"], abs=1e-4)


@pytest.mark.parametrize("teacher", [True, False])
def test_a_distilled_systems_validation_loss_is_that_of_its_teachers_targets(
    teacher, trained, spec, copy_corpus, tmp_path
):
    """Here they are the sources backwards; BLEU is against the references all the same."""
    data = tmp_path / "data"
    shutil.copytree(copy_corpus, data)
    index = {word: i for i, word in enumerate((*SPECIALS, *(line.split()[0] for line in open(data / "dict.tgt.txt"))))}
    for file in data.glob("valid.src-tgt.src.*"):
        shutil.copy(file, data / file.name.replace("valid", "valid_kd"))
    folder = Data(data)
    backwards = (" ".join(reversed(folder.text(target).split())) for target in folder.targets("valid"))
    write_mmap(backwards, index, data / "valid_kd.src-tgt.tgt")
    made = spec(updates=20, validate_every=10, average_best=1, select="loss")
    made |= plain.spec(input="vanilla", target={"name": "kd", "teacher": "t"} if teacher else "raw")
    _, provenance, curve = trained(made, tmp_path, data=data)
    key = "kd_loss" if teacher else "loss"
    found = {point["num_updates"]: point[key] for point in curve if point["subset"] == "valid"}
    [chosen] = (int(name.removeprefix("checkpoint_").removesuffix(".pt")) for name in provenance["averaged"])
    model, _ = load(tmp_path / "model.pt")
    split = "valid_kd" if teacher else "valid"
    sides = (pad_right([side.long() for side in of(split)], 1) for of in (folder.sources, folder.targets))
    with torch.no_grad():
        expected = batch_loss(model, *sides, Method.of(made), progress=chosen / 20)
    assert found[chosen] == min(found.values())
    assert found[chosen] == pytest.approx(float(expected.loss / expected.predicted.sum()) / math.log(2), rel=1e-4)
    assert all("bleu" in point and ("kd_loss" in point) == teacher for point in curve if point["subset"] == "valid")


def test_a_training_says_how_its_parameters_are_drawn(first, trained, spec, tmp_path):
    """After an update at a learning rate of almost 0."""
    found = {}
    for init in ("glorot", "normal", None):
        made = spec(updates=1, validate_every=1, lr=1e-12, warmup=0, **({"init": init} if init else {}))
        found[init] = trained(made, tmp_path / str(init))[0]
    assert all(torch.equal(value, found["glorot"][name]) for name, value in found[None].items())
    deviations = {init: found[init]["layers.0.feed_forward.inner.weight"].std().item() for init in ("glorot", "normal")}
    assert deviations["normal"] == pytest.approx(0.02, rel=0.1)
    assert deviations["glorot"] == pytest.approx((2 / (32 + 64)) ** 0.5, rel=0.1)


def test_a_model_of_another_size_is_not_started_from(first, arguments, spec, tmp_path):
    smaller = spec()
    smaller["size"] = {**smaller["size"], "d_model": 16}
    with pytest.raises(UserError, match="model.pt: another kind of model"):
        train.run(arguments(smaller, tmp_path, "--start", str(first[0] / "model.pt")))


def test_dynamic_kd_trains_and_says_where_its_targets_came_from(trained, spec, candidates, tmp_path):
    chosen = spec(updates=20, validate_every=10)
    chosen["target"] = {"name": "dynamic", "regulariser": False, "candidates": ["one", "two", "raw"]}
    *_, curve = trained(chosen, tmp_path, data=candidates)
    lineage = json.loads((tmp_path / "lineage.json").read_text())
    assert lineage["candidates"] == ["one", "two", "raw"] and lineage["lengths"][0] == "1-10"
    stretches = [point for point in curve if point["subset"] == "train"]
    assert [stretch["num_updates"] for stretch in lineage["training"]] == [point["num_updates"] for point in stretches]
    one, two, raw = (sum(counts) for counts in lineage["total"])
    assert one == raw > 0 and two > 0  # the first candidate is the raw target, so they share what they supply
    assert one + two + raw > 20 * 50
    assert sum(map(sum, lineage["training"][0]["sentences"])) == pytest.approx(sum(map(sum, stretches[0]["lineage"])))


def test_candidates_of_other_teachers_are_one_clear_line(arguments, spec, candidates, tmp_path):
    chosen = spec()
    chosen["target"] = {"name": "dynamic", "candidates": ["one", "three", "raw"]}
    with pytest.raises(UserError, match="holds the candidates one, two, raw, not one, three, raw"):
        train.run(arguments(chosen, tmp_path, data=candidates))


def test_the_fingerprint_follows_the_weights_and_the_model_it_starts_from(first, spec, candidates, tmp_path):
    for file in candidates.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    before = train.fingerprint(spec(), tmp_path)
    assert train.fingerprint(spec(), tmp_path, str(first[0] / "model.pt")) != before
    (tmp_path / "gamma.json").write_text("{}")
    assert train.fingerprint(spec(), tmp_path) != before


def test_the_fingerprint_follows_the_spec_and_the_data(spec, copy_corpus, tmp_path):
    same = train.fingerprint(spec(), copy_corpus)
    assert same == train.fingerprint(copy.deepcopy(spec()), copy_corpus)
    assert same != train.fingerprint(spec(lr=0.02), copy_corpus)
    for file in copy_corpus.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert same == train.fingerprint(spec(), tmp_path)
    (tmp_path / "dict.src.txt").write_text((tmp_path / "dict.src.txt").read_text() + "new 1\n")
    assert same != train.fingerprint(spec(), tmp_path)


def test_the_fingerprint_follows_the_code_of_the_systems_own_members_only(spec, copy_corpus, tmp_path, monkeypatch):
    for file in (file for pattern in ("**/*.py",) for file in train.ROOM.glob(pattern)):
        copied = tmp_path / file.relative_to(train.ROOM)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(file.read_bytes())
    monkeypatch.setattr(train, "ROOM", tmp_path)
    before = train.fingerprint(spec(), copy_corpus)
    members = ("proxy/inputs/vanilla.py", "proxy/targets/kd.py", "losses/objectives/axe.py", "losses/terms/masking.py")
    members += ("models/fills/mask.py", "models/lengths/absolute.py", "decoding/kinds/sample.py")
    for other in (*members, "training/lock.py"):
        with open(tmp_path / other, "a") as file:
            file.write("# edited\n")
    assert train.fingerprint(spec(), copy_corpus) == before
    for own in (
        "proxy/inputs/glat.py",
        "proxy/targets/raw.py",
        "models/nat.py",
        "training/loop.py",
        "decoding/kinds/argmax.py",
        "losses/objectives/xe.py",
        "losses/terms/length.py",
        "models/fills/copy.py",
        "models/lengths/difference.py",
    ):
        with open(tmp_path / own, "a") as file:
            file.write("# edited\n")
        assert train.fingerprint(spec(), copy_corpus) != before
        before = train.fingerprint(spec(), copy_corpus)


@pytest.mark.parametrize("architecture", [plain.architecture(), AT])
def test_all_that_a_training_imports_is_in_its_fingerprint(architecture, arguments, imported, spec, tmp_path):
    short = {**spec(updates=2, validate_every=2), "architecture": architecture}
    loaded, beyond = imported("natlab.training.train", arguments(short, tmp_path))
    assert (tmp_path / "model.pt").exists()
    known = set(sources.files(sources.training(short), train.ROOM))
    assert loaded - known <= beyond
    # nor is anything in it that is not imported; fairseq imports the plugin under its bare name
    assert known - loaded == {train.ROOM / "training/plugin/__init__.py"}


def test_a_missing_corpus_is_one_clear_line(arguments, spec, tmp_path):
    with pytest.raises(UserError, match="no fairseq data folder here; make it with the rule `binarise`"):
        train.run(arguments(spec(), tmp_path, data=tmp_path))


def test_a_corpus_without_a_pair_short_enough_is_one_clear_line(arguments, spec, tmp_path):
    with pytest.raises(UserError, match="each pair of train is longer than 2 tokens, .* or raise batch_tokens$"):
        train.run(arguments(spec(batch_tokens=2), tmp_path))


KEEPING = """
import resource, torch
from natlab.training.train import start
start()
def faults():
    for _ in range(20):
        [torch.zeros(5_000_000) for _ in range(4)]  # of 20 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(-faults() + faults())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="no glibc")
def test_a_training_keeps_the_memory_that_it_has_freed():
    """Else each of 80 tensors would have 5,000 pages of its own made again."""
    ran = subprocess.run([sys.executable, "-c", KEEPING], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 5000, "pages"
