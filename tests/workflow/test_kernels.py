"""Building the kernels: once, again when their sources change, and never so that a model is trained again."""

SNAKEFILE = """
include: "workflow/rules/common.smk"
include: "workflow/rules/kernels.smk"

rule trained:
    input:
        KERNELS,
    output:
        "model.pt",
    shell:
        "natlab train --out {output}"
"""
STAND_IN = """#!/bin/sh
echo "$1" >> calls.txt
case $1 in
    kernels) mkdir -p results/kernels && echo "$*" > results/kernels/built.json ;;
    train) touch model.pt ;;
esac
"""


def verbs(project, *targets: str) -> list[str]:
    """The verbs that a run of the targets calls."""
    result = project.snakemake(*targets)
    assert result.returncode == 0, result.stdout
    return [call[0] for call in project.calls()]


def test_a_rebuild_trains_nothing_again(fresh):
    (fresh.root / "Snakefile").write_text(SNAKEFILE, encoding="utf-8")
    (fresh.root / "bin/natlab").write_text(STAND_IN, encoding="utf-8")
    assert verbs(fresh, "model.pt") == ["kernels", "train"]
    fresh.edit("src/natlab/kernels/csrc/natlab.h", "#pragma once", "#pragma once\n// edited")
    assert verbs(fresh, "build_kernels", "model.pt") == ["kernels"]
    (fresh.root / "results/kernels/built.json").unlink()
    assert "train" not in verbs(fresh, "model.pt")


def test_the_workflow_has_the_rule(fresh):
    result = fresh.snakemake("--dry-run", "build_kernels")
    assert "natlab kernels build --out results/kernels" in result.stdout
