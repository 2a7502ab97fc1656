"""Every shipped run is valid; what is given to Snakemake is read as the files are; the verb `check`."""

import argparse
import re

import pytest
import yaml
from tests.config.project import REPOSITORY, edit, load

from natlab import config
from natlab.config import loading
from natlab.errors import UserError

RUNS = ["config/config.yaml", *sorted(str(p.relative_to(REPOSITORY)) for p in REPOSITORY.glob("config/runs/*.yaml"))]


@pytest.mark.parametrize("run", RUNS)
def test_every_shipped_run_is_valid_and_measures_something(run):
    loaded = load(REPOSITORY, run)
    assert loaded.models
    assert set(loaded.datasets) == set(loaded.settings["corpora"].values())


@pytest.mark.parametrize("name", ["run", "scale", "sizes", "systems", "table", "claims"])
def test_schemas_describe_every_key(name):
    schema = yaml.safe_load((REPOSITORY / f"workflow/schemas/{name}.schema.yaml").read_text(encoding="utf-8"))
    assert list(keys(schema))
    for key, value in keys(schema):
        assert "description" in value or "const" in value, key


def keys(schema):
    """(key, its schema) of all properties within a schema."""
    if isinstance(schema, list):
        schema = dict(enumerate(schema))
    if isinstance(schema, dict):
        for part, value in schema.items():
            if part == "properties":
                yield from value.items()
            yield from keys(value)


@pytest.mark.parametrize("path", sorted((REPOSITORY / "workflow/schemas").glob("*.yaml")), ids=lambda path: path.stem)
def test_patterns_end_where_the_text_does(path):
    """$ is also before a line break at the end, which then reaches a path or a command."""
    assert not re.search(r'pattern: [^\n]*\$[)"\']', path.read_text(encoding="utf-8"))


def test_a_run_is_tracked_offline_unless_it_says_otherwise(project):
    assert load(project).tracking == {"backend": "comet", "online": False}
    overrides = {"tracking": {"online": True}}
    assert config.from_snakemake(overrides, [], root=project).tracking == {"backend": "comet", "online": True}


def test_overrides_replace_and_a_config_file_stands_alone(project):
    overridden = config.from_snakemake({"scale": "small_gpu", "seeds": ["1", "2"]}, [], project)
    assert overridden.settings["scale"] == "small_gpu" and overridden.settings["seeds"] == [1, 2]
    assert overridden.name == "demo"
    file = "config/runs/multi30k_tiny.yaml"
    alone = config.from_snakemake({}, [project / file], project)
    assert set(alone.datasets) == {"multi30k_ende"} and alone.settings == load(project, file).settings
    other = {"corpora": {"wmt14_ende": "grammar_ende"}, "tracking": {"online": "true"}}
    overridden = config.from_snakemake(other, [project / file], project)
    assert set(overridden.datasets) == {"grammar_ende"} and overridden.tracking["online"] is True


def test_yaml_that_is_none_is_refused(project):
    (project / "config/systems.yaml").write_text("systems: [", encoding="utf-8")
    with pytest.raises(UserError, match="config/systems.yaml: not YAML"):
        load(project)


def test_check_says_once_which_scores_stay_empty_for_want_of_weights(project, capsys, monkeypatch):
    columns = [{"key": key, "label": key, "cell": {"metric": key}} for key in ("bleu", "comet", "bleurt")]
    edit(project, "config/papers/mple/table2.yaml", lambda table: table["columns"].extend(columns[1:]))
    edit(project, "config/config.yaml", lambda run: run.update(weights={"bleurt": "here"}))
    (project / "here").mkdir()
    monkeypatch.chdir(project)
    loading.run(argparse.Namespace(run="config/config.yaml"))
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "weights" in line]
    assert line == "not measured: comet; the run names no weights for it"


def test_check_says_what_a_run_builds(capsys, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    loading.run(argparse.Namespace(run="config/config.yaml"))
    said = capsys.readouterr().out
    assert "mple/table1" in said and "transformer (grammar_ende)" in said
