"""Scores by models: asked of those that a run names, each in measurements of its own."""

import json

import pytest
import yaml

RUN = """run: scored
scale: demo
seeds: [1]
corpora: {wmt14_ende: grammar_ende}
tables: [mple/scored]
systems: [vanilla_raw, vanilla_kd]
"""
CELL = {"corpus": "wmt14_ende", "decoding": "argmax", "split": "test"}
TABLE = {
    "table": "Table 5",
    "paper": "AEQA-NAT",
    "title": "Rules and models",
    "cell": CELL,
    "columns": [{"key": key, "label": key, "cell": {"metric": key}} for key in ("bleu", "comet", "bleurt")],
    "rows": [
        {"label": "Vanilla", "cell": {"system": "vanilla_raw"}},
        {"label": "KD", "cell": {"system": "vanilla_kd"}, "cells": {"comet": {"decoding": "lpd3"}}},
    ],
}


@pytest.fixture
def scored(fresh):
    """A project whose run has a table of BLEU, COMET and BLEURT, and names a folder for COMET."""
    table = fresh.root / "config/papers/mple/scored.yaml"
    table.write_text(yaml.safe_dump(TABLE), encoding="utf-8")
    (fresh.root / "config/config.yaml").write_text(RUN, encoding="utf-8")
    (fresh.root / "my models/wmt22").mkdir(parents=True)
    return fresh


def verbs(project, *arguments: str) -> list[list[str]]:
    result = project.snakemake(*arguments)
    assert result.returncode == 0, result.stdout
    return project.calls()


def test_a_model_that_is_named_scores_what_cells_ask_and_measures_nothing_else_anew(scored):
    calls = verbs(scored)
    assert not {"packages", "score"} & {call[0] for call in calls}
    weights = 'weights={comet: "my models/wmt22"}'
    calls = verbs(scored, "--config", weights)
    # the second system is translated under another decoding, for COMET only, and so measured again
    again = [call[0] for call in calls if call[0] in ("train", "decode", "measure", "packages", "score")]
    assert sorted(again) == ["decode", "measure", "packages", "score", "score"]
    (packages,) = [call for call in calls if call[0] == "packages"]
    assert scored.option(packages, "--requirements") == "requirements-metrics.lock"
    assert scored.option(packages, "--out") == "results/packages/metrics"
    models = "grammar_ende/demo"
    for call in (call for call in calls if call[0] == "score"):
        identity = json.loads(" ".join(call[call.index("--identity") + 1 : call.index("--out")]))
        system = identity["system"]
        assert identity == {"dataset": "grammar_ende", "scale": "demo", "system": system, "seed": 1}
        assert scored.option(call, "--metric") == "comet"
        assert " ".join(call[call.index("--weights") + 1 : call.index("--translations")]) == "my models/wmt22"
        assert scored.option(call, "--out") == f"results/measurements/{models}/{system}/seed1.comet"
        translated = call[call.index("--translated") + 1 : call.index("--corpus")]
        assert translated == [{"vanilla_raw": "argmax.test", "vanilla_kd": "lpd3.test"}[system]]
    # another model: only the scores are made again
    (scored.root / "other").mkdir()
    calls = verbs(scored, "--config", "weights={comet: other}")
    assert {call[0] for call in calls} <= {"score", "table", "provenance", "report"}
    assert [call[0] for call in calls].count("score") == 2


def test_packages_stand_before_natlabs_and_leave_the_path_that_there_was(scored):
    result = scored.snakemake("--dry-run", "--printshellcmds", "--config", "weights={bleurt: my models/wmt22}")
    assert "PYTHONPATH=results/packages/metrics${PYTHONPATH:+:$PYTHONPATH} " in result.stdout
