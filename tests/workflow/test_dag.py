"""The real rules with a stand-in for `natlab`: the order of the street, and what each verb is told."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUNS = sorted((Path(__file__).resolve().parents[2] / "config/runs").glob("*.yaml"))


def test_the_street_is_walked_in_order(built):
    verbs = [call[0] for call in built.first_calls]
    trained = {
        built.option(call, "--out").split("/")[4]: number
        for number, call in enumerate(built.first_calls)
        if call[0] == "train"
    }
    assert set(trained) == {"transformer", "vanilla_raw", "vanilla_kd"}
    distilled = [number for number, verb in enumerate(verbs) if verb == "distil"]
    merged = verbs.index("merge-distilled")
    assert verbs.index("binarise") < min(trained.values())
    assert trained["transformer"] < min(distilled) and max(distilled) < merged < trained["vanilla_kd"]
    for call in built.first_calls:
        if call[0] == "measure":
            assert verbs.index("decode") < built.first_calls.index(call) < verbs.index("table")
    assert verbs[-1] == "report"
    assert verbs.count("table") == 2 and verbs.count("figure") == verbs.count("claims") == 1
    assert verbs.count("decode") == verbs.count("measure") == 3
    # only the students' speed is measured, against the reference
    timed = [call for call in built.first_calls if call[0] == "latency"]
    assert {built.option(call, "--model").split("/")[4] for call in timed} == {"vanilla_raw", "vanilla_kd"}
    assert {built.option(call, "--reference").split("/")[4] for call in timed} == {"transformer"}


def test_each_verb_is_told_its_slice(built):
    by_system = {built.spec(call)["system"]: call for call in built.first_calls if call[0] == "train"}
    kd = built.spec(by_system["vanilla_kd"])
    assert kd["target"] == {"name": "kd", "teacher": "transformer"} and kd["input"] == {"name": "vanilla"}
    assert kd["seed"] == 1 and kd["scale"] == "demo"
    distilled = "results/distilled/grammar_ende/demo/transformer/seed1/bin"
    assert built.option(by_system["vanilla_kd"], "--data") == distilled
    assert built.option(by_system["vanilla_raw"], "--data") == "results/corpora/grammar_ende/bin"
    translated = {
        built.option(call, "--model").split("/")[4]: call for call in built.first_calls if call[0] == "decode"
    }
    assert built.option(translated["vanilla_kd"], "--proxy-data") == distilled
    assert "--proxy-data" not in translated["vanilla_raw"]
    decodings = json.loads(" ".join(translated["transformer"]).split("--decodings ")[1].split(" --splits")[0])
    assert set(decodings) == {"beam5", "greedy"}
    merge = next(call for call in built.first_calls if call[0] == "merge-distilled")
    shards = merge[merge.index("--shards-train") + 1 : merge.index("--shards-valid")]
    assert [Path(shard).name for shard in shards] == ["train.1of2.txt", "train.2of2.txt"]
    assert [Path(built.option(merge, f"--shards-{split}")).name for split in ("valid", "test")] == [
        "valid.1of1.txt",
        "test.1of1.txt",
    ]


def test_a_tuned_decoding_is_timed_with_what_its_translations_chose(project):
    project.edit(
        "config/systems.yaml", "argmax: {kind: argmax}", "argmax: {kind: argmax, length_factor: {tuned: [1, 2]}}"
    )
    result = project.snakemake()
    assert result.returncode == 0, result.stdout
    calls = project.calls()
    timed = [call for call in calls if call[0] == "latency"]
    assert {project.option(call, "--tuned") for call in timed} == {
        f"results/translations/grammar_ende/demo/{system}/seed1/tuned.json" for system in ("vanilla_raw", "vanilla_kd")
    }
    assert {call[0] for call in calls} >= {"decode", "measure"} and not any(call[0] == "train" for call in calls)
    for call in timed:
        made = project.option(call, "--tuned").removesuffix("/tuned.json")
        assert calls.index(next(c for c in calls if c[0] == "decode" and made in c)) < calls.index(call)


def test_another_engine_translates_autoregressive_systems_again_and_no_others(project):
    project.edit("config/scales/demo.yaml", "distil:", "translate: {engine: ctranslate2}\ndistil:")
    result = project.snakemake("measured")
    assert result.returncode == 0, result.stdout
    decoded = [call for call in project.calls() if call[0] == "decode"]
    assert [project.option(call, "--model").split("/")[4] for call in decoded] == ["transformer"]
    assert project.option(decoded[0], "--engine") == "ctranslate2"


def test_all_ways_to_translate_are_timed_in_one_job(project):
    chosen = ["transformer", "vanilla_kd"]
    project.edit(
        "config/papers/natlab/speed.yaml", "decoding: argmax, engine: onnx_int8", "decoding: lpd3, engine: onnx"
    )
    project.edit(
        "config/systems.yaml", "length_candidates: 3, deduplicate: true}", "length_candidates: {tuned: [1, 3]}}"
    )
    place = "results/measurements/grammar_ende/demo/seed1.speed.json"
    result = project.snakemake(place, "--config", f"systems=[{', '.join(chosen)}]", "tables=[natlab/speed]")
    assert result.returncode == 0, result.stdout
    [call] = [call for call in project.calls() if call[0] == "speed"]
    models = [f"{system}=results/models/grammar_ende/demo/{system}/seed1/model.pt" for system in chosen]
    assert call[call.index("--models") + 1 : call.index("--reference")] == models
    assert project.option(call, "--reference") == "transformer"
    assert project.option(call, "--tuned") == (
        "vanilla_kd=results/translations/grammar_ende/demo/vanilla_kd/seed1/tuned.json"
    )
    ways = json.loads(" ".join(call).split("--ways ")[1].split(" --sentences")[0])
    assert {(way["system"], way["decoding"]) for way in ways} == {
        ("transformer", "beam5"), ("transformer", "greedy"), ("vanilla_kd", "argmax"), ("vanilla_kd", "lpd3")
    }  # fmt: skip
    assert {way["engine"] for way in ways} == {"natlab", "ctranslate2", "ctranslate2_int8", "onnx"}


def test_measuring_is_told_where_the_trainings_curve_is(built):
    measured = [call for call in built.first_calls if call[0] == "measure"]
    assert {built.option(call, "--curve") for call in measured} == {
        f"results/models/grammar_ende/demo/{system}/seed1/curve.jsonl"
        for system in ("transformer", "vanilla_raw", "vanilla_kd")
    }


def test_the_settings_in_a_reports_folder_are_not_taken_for_the_runs(fresh):
    """A clone has the reports of the reference runs, and no note of Snakemake's on how they were made."""
    stale = fresh.root / "reports/demo/run.json"
    stale.parent.mkdir(parents=True)
    stale.write_text("{}")
    result = fresh.snakemake("--dry-run", "reports/demo/tables/mple.table1.csv")
    assert result.returncode == 0, result.stdout
    assert "rule run_settings" in result.stdout and "reports/demo/run.json" not in result.stdout


def test_the_report_holds_the_runs_settings(built):
    made = json.loads((built.root / "reports/small/run.json").read_text())
    assert made["run"] == "small" and made["systems"] == ["transformer", "vanilla_raw", "vanilla_kd"]


def test_dynamic_kd_rests_on_candidates_and_is_measured_with_its_predictor(project):
    row = "glat_dynamic: {architecture: nat, target: dynamic, input: glat"
    project.edit("config/systems.yaml", row, row + ", predictor: vanilla_dynamic")
    place = "grammar_ende/demo/glat_dynamic/seed1"
    result = project.snakemake(
        f"results/translations/{place}", "--config", "systems=[glat_dynamic]", "tables=[mple/table4]"
    )
    assert result.returncode == 0, result.stdout
    calls = {call[0]: call for call in project.calls()}
    select, translated = calls["candidates"], calls["decode"]
    teachers = ["transformer_tiny", "transformer_small", "transformer", "transformer_big"]
    at = select.index("--candidates")
    assert select[at + 1 : at + 5] == teachers
    distilled = [f"results/distilled/grammar_ende/demo/{teacher}/seed1/bin" for teacher in teachers]
    assert select[at + 5 : at + 10] == ["--distilled", *distilled]
    assert project.option(translated, "--proxy-data") == "results/candidates/grammar_ende/demo/seed1"
    vanilla = "results/models/grammar_ende/demo/vanilla_dynamic/seed1/model.pt"
    assert project.option(translated, "--auxiliary") == f"vanilla_dynamic={vanilla}"
    assert project.option(translated, "--predictor") == "vanilla_dynamic"
    assert project.option(translated, "--proxy-targets") == "test"


def test_a_figure_of_surfaces_is_evaluated_row_by_row(fresh):
    fresh.edit("config/config.yaml", "seeds: [1]", "seeds: [1, 2]\nfigures: [mple/figure1]")
    fresh.edit("config/config.yaml", "systems: [", "systems: [vanilla_raw_mle, vanilla_raw_glat_kd, ")
    result = fresh.snakemake("--dry-run", "--", "reports/demo/figures/mple.figure1.png")
    assert result.returncode == 0, result.stdout
    grid = "results/surfaces/grammar_ende/demo/vanilla_raw+vanilla_raw_mle+vanilla_raw_glat_kd/seed1"
    outputs = {
        line.split()[-1] for line in result.stdout.splitlines() if line.strip().startswith("output: results/surf")
    }
    assert outputs == {f"{grid}/{row}of11.json" for row in range(1, 12)}
    for system in ("vanilla_raw", "vanilla_raw_mle", "vanilla_raw_glat_kd"):
        assert f"output: results/models/grammar_ende/demo/{system}/seed1/model.pt" in result.stdout


def test_finished_work_is_not_done_again(project):
    result = project.snakemake()
    assert result.returncode == 0 and "Nothing to be done" in result.stdout, result.stdout
    assert project.calls() == []


def test_jobs_run_the_natlab_of_the_snakemake_that_starts_them(fresh):
    """No environment is active, or another one's natlab, here the stand-in, is first on PATH."""
    fresh.edit("config/datasets/grammar_ende.yaml", "pairs: ", "pairs: 20 #")
    made = fresh.root / "results/corpora/grammar_ende/text/train.src"
    for first in ("", f"{fresh.root / 'bin'}:"):
        fresh.environment |= {"PATH": f"{first}/usr/local/bin:/usr/bin:/bin"}
        fresh.environment.pop("STAND_IN", None)
        result = fresh.snakemake("--forcerun", "grammar", "--", str(made.parent.relative_to(fresh.root)))
        assert result.returncode == 0, result.stdout
        assert len(made.read_text().splitlines()) == 20 and fresh.calls() == []


def test_names_and_addresses_of_any_allowed_form_go_through(fresh):
    config = fresh.root / "config"
    row = "vanilla_kd: {architecture: nat, target: kd, teacher: transformer, input: vanilla}"
    for file, old, new in (
        ("systems.yaml", f"  {row}\n", f"  {row}\n  Vanilla.kd-2: {row.partition(': ')[2]}\n"),
        ("systems.yaml", "\n  argmax:", "\n  arg-max.1: {kind: argmax}\n  argmax:"),
        ("papers/mple/table2.yaml", "system: vanilla_kd", "system: Vanilla.kd-2"),
        ("papers/mple/table2.yaml", "decoding: argmax", "decoding: arg-max.1"),
        ("datasets/multi30k_ende.yaml", "//raw.githubusercontent.com/", "//münchen.example/a&b(c)/'$;echo/ü/"),
    ):
        fresh.edit(f"config/{file}", old, new)
    for old, new in (
        ("datasets/multi30k_ende.yaml", "datasets/Corpus-v1.0.yaml"),
        ("scales/demo.yaml", "scales/Demo-2.0.yaml"),
        ("papers/mple/table2.yaml", "papers/MPLE-2022/Table.2.yaml"),
    ):
        (config / new).parent.mkdir(exist_ok=True)
        (config / old).rename(config / new)
    (config / "run.yaml").write_text(
        "run: Run-1.b\nscale: Demo-2.0\nseeds: [1]\ncorpora: {wmt14_ende: Corpus-v1.0}\ntables: [MPLE-2022/Table.2]\n"
        "systems: [transformer, vanilla_raw, Vanilla.kd-2]\n",
        encoding="utf-8",
    )
    check = subprocess.run(
        [sys.executable, "-m", "natlab.cli", "check", "config/run.yaml"], cwd=fresh.root, text=True, capture_output=True
    )
    assert check.returncode == 0, check.stderr
    result = fresh.snakemake("--configfile", "config/run.yaml")
    assert result.returncode == 0, result.stdout
    fetched = [call for call in fresh.calls() if call[0] == "fetch"]
    address = "https://xn--mnchen-3ya.example/a&b(c)/'$;echo/%C3%BC/multi30k/"
    assert len(fetched) == 6 and any(call[1].startswith(address) for call in fetched)
    for call in fetched:
        assert fresh.option(call, "--out") == f"results/downloads/{call[1].removeprefix('https://')}"
        assert (fresh.root / fresh.option(call, "--out")).exists()
    assert (fresh.root / "results/models/Corpus-v1.0/Demo-2.0/Vanilla.kd-2/seed1/model.pt").exists()
    assert (fresh.root / "reports/Run-1.b/tables/MPLE-2022.Table.2.csv").exists()


@pytest.mark.parametrize("run", RUNS, ids=lambda path: path.stem)
def test_every_shipped_run_is_planned_without_data(fresh, run):
    result = fresh.snakemake("--dry-run", "--quiet", "rules", "--configfile", f"config/runs/{run.name}")
    assert result.returncode == 0, result.stdout
    assert "train" in result.stdout
    assert fresh.calls() == [] and not (fresh.root / "results").exists()


def test_the_default_run_is_the_demo_and_can_be_overridden(fresh):
    result = fresh.snakemake("--dry-run", "--config", "seeds=[7]", "corpora={wmt14_ende: grammar_ende_plain}")
    assert result.returncode == 0, result.stdout
    assert "reports/demo/index.html" in result.stdout
    assert "results/models/grammar_ende_plain/demo/glat_kd/seed7/model.pt" in result.stdout
    assert "grammar_ende_mild" not in result.stdout and "/seed1/" not in result.stdout


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("config/config.yaml", "scale: demo", "scale: demi", "config/config.yaml: scale: unknown name 'demi'"),
        ("config/systems.yaml", "teacher: transformer, ", "", "systems.vanilla_kd: key teacher is missing"),
    ],
)
def test_a_bad_configuration_is_one_line_and_starts_nothing(fresh, file, old, new, complaint):
    fresh.edit(file, old, new)
    result = fresh.snakemake()
    assert result.returncode != 0
    said = [line for line in result.stdout.splitlines() if not line.startswith("Using")]
    assert len(said) == 1 and complaint in said[0] and "allowed: " in said[0], result.stdout
    assert fresh.calls() == [] and not (fresh.root / "results").exists()
