"""Partial reruns: an edit reruns what rests on it and nothing else."""

import re
import shutil
from pathlib import Path

import pytest

RUNNING = Path(__file__).resolve().parents[2] / "docs/running.md"


def reran(project) -> dict[str, set[str]]:
    """{verb: what it made} of a run after an edit; tables and reports by their file's name, the rest by system."""
    result = project.snakemake()
    assert result.returncode == 0, result.stdout
    made = {}
    for call in project.calls():
        parts = project.option(call, "--out").split("/")
        made.setdefault(call[0], set()).add(parts[-1] if parts[0] == "reports" else parts[4])
    return made


def test_editing_a_systems_row_reruns_that_system_its_measurements_and_tables(project):
    project.edit(
        "config/systems.yaml", "target: raw, input: vanilla}", "target: raw, input: vanilla, training: {lr: 0.1}}"
    )
    made = reran(project)
    for verb in ("train", "decode", "measure", "latency"):
        assert made.pop(verb) == {"vanilla_raw"}
    assert made.pop("provenance") == {"provenance.json"}
    assert made == {
        "table": {"mple.table2", "mple.table4"},
        "figure": {"mple.figure8"},
        "claims": {"mple.claims"},
        "report": {"small"},
    }


def test_tracking_trains_and_measures_nothing_anew(project):
    project.edit("config/config.yaml", "seeds: [1]", "seeds: [1]\ntracking: {backend: comet, online: true}")
    assert set(reran(project)) == {"provenance", "table", "figure", "claims", "report"}


def test_editing_a_row_of_no_table_reruns_nothing(project):
    project.edit("config/systems.yaml", "target: raw, size: big", "target: raw, size: small")
    assert reran(project) == {}


def test_editing_a_decoding_retrains_nothing(project):
    project.edit("config/systems.yaml", "argmax: {kind: argmax}", "argmax: {kind: argmax, deduplicate: true}")
    made = reran(project)
    assert "train" not in made and "distil" not in made
    assert made["decode"] == made["measure"] == {"vanilla_raw", "vanilla_kd"}


def test_touching_a_tables_spec_reruns_the_table_and_the_claims_about_it_only(project):
    project.edit("config/papers/mple/table2.yaml", "\ncolumns:", "\n# edited\ncolumns:")
    assert reran(project) == {"table": {"mple.table2"}, "claims": {"mple.claims"}, "report": {"small"}}


def test_unrelated_edits_rerun_nothing(project):
    project.edit("README.md", "natlab", "natlab!")
    project.edit("config/systems.yaml", "# autoregressive", "# Autoregressive")
    # modules that nothing of this run rests on, and a proxy that none of its systems has
    for module in ("cli", "config/run", "tracking", "corpus/unpack", "proxy/inputs/glat"):
        project.edit(f"src/natlab/{module}.py", '"""', '"""Edited. ')
    assert reran(project) == {}


def test_editing_the_code_of_a_proxy_retrains_its_systems(project):
    project.edit("src/natlab/proxy/targets/kd.py", '"""', '"""Edited. ')
    assert reran(project)["train"] == {"vanilla_kd"}


@pytest.mark.parametrize("member", ["losses/objectives/xe", "losses/terms/length", "models/lengths/difference"])
def test_editing_a_part_of_all_parallel_systems_retrains_these_and_no_other(project, member):
    project.edit(f"src/natlab/{member}.py", '"""', '"""Edited. ')
    assert reran(project)["train"] == {"vanilla_raw", "vanilla_kd"}


def test_editing_an_architecture_retrains_its_systems(project):
    project.edit("src/natlab/models/nat.py", '"""', '"""Edited. ')
    made = reran(project)
    assert made["train"] == {"vanilla_raw", "vanilla_kd"} and "distil" not in made


def test_editing_what_every_training_imports_retrains_every_system(project):
    project.edit("src/natlab/losses/batch.py", '"""', '"""Edited. ')
    assert reran(project)["train"] == {"transformer", "vanilla_raw", "vanilla_kd"}


def test_results_that_were_copied(built, fresh):
    """docs/running.md: with their times and Snakemake's memory they are up to date in another checkout; without their
    times once what it names has set them again."""
    [touch] = re.findall(r"^## Moving results$.*?`snakemake (--touch [^`]*)`", RUNNING.read_text("utf-8"), re.M | re.S)
    for folder in ("results", "reports", ".snakemake"):
        shutil.copytree(built.root / folder, fresh.root / folder)
    shutil.copy(built.root / "config/config.yaml", fresh.root / "config/config.yaml")
    assert "Nothing to be done" in fresh.snakemake("-n").stdout
    for file in (fresh.root / "results/distilled/grammar_ende/demo/transformer/seed1/bin").iterdir():
        file.touch()
    assert "rule train:" in fresh.snakemake("-n").stdout
    assert fresh.snakemake(*touch.split()).returncode == 0
    assert "Nothing to be done" in fresh.snakemake("-n").stdout
    assert fresh.calls() == []
