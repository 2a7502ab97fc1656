"""`natlab preflight`: what it says of a plan; for the planning itself see tests/workflow/test_preflight.py."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from natlab import cli, config, devices, preflight
from natlab.costs import Cost, Costs
from natlab.jobs import Job

REPOSITORY = Path(__file__).resolve().parents[1]
GB = 1e9


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A machine with the configuration, and with nothing made."""
    for name in ("config", "workflow"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NATLAB_MIRROR", raising=False)
    monkeypatch.setattr(devices, "visible", lambda: [])


@pytest.fixture(scope="module")
def wmt14():
    return config.load_file(REPOSITORY / "config/runs/wmt14_ende.yaml", REPOSITORY)


def job(number=1, rule="train", output=(), threads=1, gpus=0, reason="", **wildcards) -> Job:
    return Job(number, rule, wildcards, list(output), [], [], threads, gpus, reason=reason)


def needs(run, planned, cost=None, memory=1.0) -> dict[str, str]:
    """{what is needed: the line about it and those below it}."""
    priced = {each.number: cost or Cost(1.0) for each in planned}
    found: dict[str, str] = {}
    for line in list(preflight.needs(planned, priced, Costs(run), memory))[1:]:
        if not line.startswith("    "):
            what = line.split()[0]
        found[what] = found.get(what, "") + line + "\n"
    return found


# ---- arguments


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["config/runs/nowhere.yaml"], "config/runs/nowhere.yaml: no such file"),
        (["config/sizes.yaml"], "config/sizes.yaml: unknown key tiny"),
        (["--config", "scale=huge"], "scale: unknown name 'huge'; allowed: "),
        (["--config", "scale"], "--config scale: not KEY=VALUE"),
        (["--cores", "0"], "--cores, --gpus: at least one"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(capsys, arguments, complaint):
    assert cli.main(["preflight", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and complaint in said


def test_overrides_are_as_snakemakes():
    run = preflight.load("config/runs/multi30k_tiny.yaml", ["scale=demo", "seeds=[3,4]"])
    assert (run.name, run.settings["scale"], run.settings["seeds"]) == ("multi30k_tiny", "demo", [3, 4])
    assert preflight.load(None, ["run=other"]).name == "other"


# ---- costs


def test_rows_add_up_and_a_job_takes_no_more_than_the_cores_there_are():
    planned = [job(1, "train", threads=8, gpus=2), job(2, "train", threads=1), job(3, "table")]
    priced = {1: Cost(3600.0, 2 * GB), 2: Cost(1800.0, 1 * GB), 3: Cost(0.0)}
    rows = {row[0]: row[1:] for line in preflight.price_list(planned, priced, cores=4) if (row := line.split())}
    assert rows["train"] == ["2", "4.50", "2.00", "3.000"]
    assert rows["table"] == ["1", "0.00", "0.00", "0.000"]
    assert rows["total"] == ["3", "4.50", "2.00", "3.000"]


def test_figures_that_nobody_measured_are_named_as_such(wmt14):
    costs = Costs(wmt14)
    of = {"dataset": "wmt14_ende", "system": "vanilla_raw", "seed": "1"}
    on_gpu = "\n".join(preflight.basis(wmt14, [job(gpus=1, **of)], costs))
    assert "V100" in on_gpu and "GPU figures are NOT measured" in on_gpu and "CPU" not in on_gpu
    assert "wmt14_ende: 4,500,000 pairs of 30 tokens" in on_gpu
    on_cpu = "\n".join(preflight.basis(wmt14, [job(**of)], costs))
    assert "EPYC" in on_cpu and "NOT measured" not in on_cpu
    costs.cost(job(rule="divination"))
    assert "divination: no figures" in "\n".join(preflight.basis(wmt14, [job(rule="divination")], costs))


def test_what_is_unknown_is_said_and_no_total_given(wmt14, monkeypatch):
    costs = Costs(wmt14)
    monkeypatch.setattr(costs, "corpus", lambda dataset: None)
    costs.unknown_corpora["wmt14_ende"] = "its files are not here"
    planned = [job(1, dataset="wmt14_ende", system="vanilla_raw", seed="1"), job(2, "table")]
    priced = {each.number: costs.cost(each) for each in planned}
    rows = {row[0]: row[1:] for line in preflight.price_list(planned, priced, cores=4) if (row := line.split())}
    assert rows["train"][1:] == rows["total"][1:] == ["?", "?", "?"]
    assert rows["table"][1:] == ["0.00", "0.00", "0.000"]
    said = "\n".join(preflight.basis(wmt14, planned, costs))
    assert "wmt14_ende: its size is UNKNOWN" in said and "results/corpora/wmt14_ende/text" in said
    assert (
        "memory" in (found := list(preflight.needs(planned, priced, costs, GB)))[-2] and "at least 1.0 GB" in found[-2]
    )


# ---- needs


def test_data_come_from_the_mirror_or_the_network_and_unverified_files_are_said(wmt14, tmp_path, monkeypatch):
    files = {"www.statmt.org/wmt14/dev.tgz": False, "www.statmt.org/wmt14/test-full.tgz": False}
    planned = [job(number, "fetch", address=address) for number, address in enumerate(files)]
    found = needs(wmt14, planned)
    assert "MISSING  2 files, about 533.3 MB, from the network" in found["data"]
    assert "    https://www.statmt.org/wmt14/dev.tgz\n" in found["data"]
    assert "MISSING  2 files unverified" in found["checksums"]

    mirrored = tmp_path / "mirror/www.statmt.org/wmt14/dev.tgz"
    mirrored.parent.mkdir(parents=True)
    mirrored.touch()
    monkeypatch.setenv("NATLAB_MIRROR", str(tmp_path / "mirror"))
    found = needs(wmt14, planned)
    assert "ok       1 file from the mirror" in found["data"] and "MISSING  1 file, about 266.7 MB" in found["data"]

    record = tmp_path / "results/downloads/www.statmt.org/wmt14/dev.tgz.sha256"
    record.parent.mkdir(parents=True)
    record.touch()
    assert "MISSING  1 file unverified" in needs(wmt14, planned)["checksums"]
    done = needs(wmt14, [job()])
    assert "ok       nothing to fetch" in done["data"] and " ok " in done["checksums"]


@pytest.mark.parametrize(("seen", "verdict"), [([], "MISSING"), (["0"], "MISSING"), (["0", "1"], "ok")])
def test_gpus_are_counted(wmt14, monkeypatch, seen, verdict):
    monkeypatch.setattr(devices, "visible", lambda: seen)
    line = needs(wmt14, [job(1, gpus=1), job(2, gpus=2), job(3)], Cost(1.0, gpu_memory=7 * GB))["GPU"]
    assert verdict in line and "2 jobs of up to 2 GPUs with about 7.0 GB" in line
    assert f"shows {len(seen) or 'none'}" in line
    assert " ok " in needs(wmt14, [job()])["GPU"]


def test_files_of_an_encoder_that_others_have_trained_are_looked_for(wmt14, monkeypatch, tmp_path):
    planned = [job(system="prealigned_mbart", dataset="wmt14_ende", seed="1"), job(2, system="vanilla_raw")]
    monkeypatch.delenv("NATLAB_MBART", raising=False)
    assert "MISSING  set NATLAB_MBART to a folder with model.pt, dict.txt, sente" in needs(wmt14, planned)["mbart"]
    monkeypatch.setenv("NATLAB_MBART", str(tmp_path))
    for name in ("model.pt", "dict.txt"):
        (tmp_path / name).touch()
    assert f"MISSING  {tmp_path} lacks sentence.bpe.model" in needs(wmt14, planned)["mbart"]
    (tmp_path / "sentence.bpe.model").touch()
    assert f"ok       {tmp_path}" in needs(wmt14, planned)["mbart"]
    assert "mbart" not in needs(wmt14, planned[1:])


def test_memory_disk_and_compiler_are_held_against_what_is_there(wmt14, monkeypatch):
    monkeypatch.setattr(preflight, "available_memory", lambda: 4 * GB)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10 * GB}))
    monkeypatch.setattr(preflight.shutil, "which", lambda name: None)
    found = needs(wmt14, [job()], Cost(1.0, disk=11 * GB), memory=3 * GB)
    assert found["memory"].split() == "memory ok about 3.0 GB of 4.0 GB free".split()
    assert "MISSING  about 11.0 GB of 10.0 GB free; free some" in found["disk"]
    assert "MISSING  no C++ compiler; install" in found["compiler"]
    assert "MISSING" in needs(wmt14, [job()], memory=5 * GB)["memory"]
    monkeypatch.setattr(preflight, "available_memory", lambda: None)
    assert "cannot be seen here" in needs(wmt14, [job()], memory=5 * GB)["memory"]


# ---- reasons


@pytest.mark.parametrize(
    ("snakemakes", "ours"),
    [
        ("Input files updated by another job: a, b", []),
        ("Missing output files: m.pt; Input files updated by another job: a", ["not made yet m.pt"]),
        ("Updated input files: src/natlab/x.py", ["newer src/natlab/x.py"]),
        ("Forced execution", ["forced"]),
        ("Code has changed since last execution", ["its rule's command has changed"]),
        ("Set of input files has changed since last execution; Updated input files: a", 2),
        ("Something Snakemake may say one day", ["Something Snakemake may say one day"]),
    ],
)
def test_reasons_in_words(snakemakes, ours):
    found = preflight.reason(snakemakes)
    assert len(found) == ours if isinstance(ours, int) else found == ours


def test_of_a_changed_specification_only_what_differs_is_said():
    before = {"size": {"d": 8, "f": 9}, "training": {"lr": 0.1, "clip": 0}, "note": "one; two: three"}
    now = {"size": {"d": 8, "f": 9}, "training": {"lr": 0.2}, "input": {"name": "glat"}, "note": "one; two: three"}
    union = "Union of exclusive params before and now across all output:"
    said = f"Params have changed since last execution: {union} before: {json.dumps(before)!r} now: {json.dumps(now)!r} "
    assert preflight.reason(f"{said}; Updated input files: a.py") == [
        "configuration changed (training.lr: 0.1 -> 0.2, training.clip: 0 -> none, input.name: none -> glat)",
        "newer a.py",
    ]
    several = f"Params have changed since last execution: {union} before: 50,'x' now: <nothing exclusive> "
    assert preflight.reason(several) == ["configuration changed (50,'x' -> <nothing exclusive>)"]


def test_only_what_is_there_is_made_again(tmp_path):
    (tmp_path / "there").touch()
    new = job(1, "train", output=["not/there"], reason="Missing output files: not/there", dataset="d")
    again = job(2, "table", output=["there"], reason="Updated input files: src/x.py", paper="mple", table="table1")
    follows = job(3, "report", output=["there", "other"], reason="Input files updated by another job: there")
    assert list(preflight.made_again([new])) == ["Made again: nothing."]
    assert list(preflight.made_again([new, again, follows])) == [
        "Made again, though there: 2 jobs.",
        "  table: 1: newer src/x.py",
        "    mple/table1",
        "  because those before them are: 1 report",
    ]


def test_a_plan_is_in_the_streets_order_whatever_snakemakes():
    def named(number, after, rule):
        return Job(number, rule, {"dataset": f"d{number}"}, [], [], after)

    planned = [named(7, [3, 5], "table"), named(5, [3], "train"), named(3, [], "bpe"), named(4, [], "bpe")]
    for given in (planned, planned[::-1]):
        assert [job.number for job in preflight.along_the_street(given)] == [3, 4, 5, 7]


def test_a_long_list_is_cut():
    assert list(preflight._listed([str(number) for number in range(12)]))[-2:] == ["    9", "    and 2 more"]


def test_scores_whose_models_the_run_does_not_name_are_said_to_stay_empty():
    (line,) = preflight.unweighed(SimpleNamespace(weightless=["comet", "bleurt"]))
    assert line.split()[:2] == ["weights", "MISSING"] and "comet, bleurt stay empty: the run names no weights" in line
    assert list(preflight.unweighed(SimpleNamespace(weightless=[]))) == []
