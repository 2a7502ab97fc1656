"""What a report asks for: specs, and the values that are read of each file."""

import pytest
import yaml
from tests.report import whole as runs

from natlab.errors import UserError
from natlab.report import asked


def test_a_run_asks_for_the_specs_that_it_names_and_for_tables_that_only_claims_are_about(whole):
    settings = runs.RUN | {"tables": ["natlab/table2"]}
    of = asked.read(settings, whole.papers)
    assert (list(of.tables), list(of.figures), list(of.claims)) == (
        ["natlab/table2"],
        runs.RUN["figures"],
        ["mple/claims"],
    )
    assert of.settings == settings and of.behind.keys() == {"mple/table1"}
    assert of.about(of.claims["mple/claims"]) == of.behind and of.behind["mple/table1"]["title"] == runs.TABLE1["title"]


def test_the_values_of_each_file_that_tables_figures_and_claims_read(whole):
    """Whether they are there or not; of a cell of speed the decoding is part of the value's name."""
    keys = whole.asked().keys()
    model = "ds/demo/kd/seed2"
    assert keys[f"{model}/argmax.test.json"] == keys[f"{model}/lpd3.test.json"] == {"bleu_tok"}
    assert keys[f"{model}.latency.json"] == {"speedup/argmax", "speedup/lpd3"}
    assert keys["own/demo/kd/seed1/argmax.test.samples.json"] == {"sample/1/1"}
    assert keys["ds/demo/glat/seed1/argmax.test.json"] == {"bleu_tok"}
    assert not any("of_another_run" in source for source in keys)


def test_without_their_table_claims_still_ask_for_what_they_compare(whole):
    """And for what the table they are about shows."""
    of = asked.read({**runs.RUN, "tables": ["natlab/table2"], "figures": []}, whole.papers)
    assert of.keys()["ds/demo/glat/seed1/argmax.test.json"] == {"bleu_tok"}
    assert of.keys()["ds/demo/axe/seed1.latency.json"] == {"speedup/argmax"}
    none = asked.read({**runs.RUN, "tables": ["natlab/table2"], "figures": [], "claims": []}, whole.papers)
    assert set(none.keys()) == {f"own/demo/kd/seed{seed}/argmax.test.samples.json" for seed in (1, 2)}


def test_a_corpus_for_which_no_dataset_stands_asks_for_nothing(whole):
    of = asked.read({**runs.RUN, "corpora": {"own": "own"}}, whole.papers)
    assert {dataset for dataset, _ in of.readings()} == {"own"}
    assert any(cell.corpus == "wmt14_ende" for cell in of.cells())


def test_claims_are_made_for_what_they_put_first(whole):
    """Most of them first: two parts of three say that AXE is better."""
    assert whole.asked().subjects() == ["axe", "kd", "glat"]
    assert asked.read({**runs.RUN, "claims": []}, whole.papers).subjects() == []


def test_figures_and_claims_need_not_be_named(whole):
    settings = {key: of for key, of in runs.RUN.items() if key not in ("figures", "claims")}
    of = asked.read(settings, whole.papers)
    assert of.figures == of.claims == of.behind == {}


def test_a_spec_that_is_not_valid_is_named(changed):
    path = changed.papers / "natlab/table2.yaml"
    path.write_text(yaml.safe_dump(runs.TABLE2 | {"rows": []}), encoding="utf-8")
    with pytest.raises(UserError, match=f"^{path}: .*rows"):
        changed.asked()


def test_the_surface_of_a_figure_is_its_grids_rows_of_the_first_seed(whole):
    found = asked.surface(runs.FIGURE1, runs.RUN, whole.results)
    assert [path.name for path in found] == ["0.json", "1.json", "2.json"]
    assert found[0].parent == whole.results / "surfaces/ds/demo/kd+axe+oaxe/seed1"
    assert asked.surface(runs.FIGURE5, runs.RUN, whole.results) == []
    assert asked.surface(runs.FIGURE1, runs.RUN | {"corpora": {"own": "own"}}, whole.results) == []
    assert asked.surface(runs.FIGURE1, runs.RUN | {"seeds": [2, 1]}, whole.results) == []
