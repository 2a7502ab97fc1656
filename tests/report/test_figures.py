"""Figures: what is drawn is what was measured; every shipped figure can be drawn with and without measurements."""

import argparse
from pathlib import Path

import pytest
import yaml
from matplotlib import pyplot

from natlab.errors import UserError
from natlab.files import write_json
from natlab.report import cells, figures, spec, tables

PAPERS = Path(__file__).resolve().parents[2] / "config" / "papers"
SHIPPED = [path for path in sorted(PAPERS.glob("*/*.yaml")) if spec.kind(yaml.safe_load(path.read_text())) == "figures"]
RUN = {"run": "r", "scale": "demo", "seeds": [1, 2], "corpora": {"wmt14_ende": "ds"}, "tables": ["mple/table2"]}


@pytest.fixture(autouse=True)
def _closed():
    yield
    pyplot.close("all")


def measured(folder, table):
    """Measurements for all that a figure asks: the n-th reading is n, and n + 1 with the second seed."""
    values = {}
    for n, cell in enumerate(cells.cells(table, RUN)):
        for reading in cell.readings:
            for seed in RUN["seeds"]:
                values.setdefault(reading.source("ds", "demo", seed), {})[reading.key] = {"value": n + seed, "unit": ""}
    for source, held in values.items():
        write_json(folder / source, {"values": held, "sentences": 5})
    return tables.build(table, RUN, folder, folder)


def grid(rows=4):
    models = [{"x": 0, "y": 0}, {"x": 2, "y": 0}, {"x": 1, "y": 3}]
    return [
        {"models": models, "points": [{"x": x, "y": y, "log_likelihood": -x - y, "bleu": x * y} for x in range(5)]}
        for y in range(rows)
    ]


def texts(axes):
    return {text.get_text() for text in axes.texts}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_figure_is_drawn_whatever_was_measured(path, tmp_path):
    table = spec.load(path)
    empty = tables.build(table, RUN, tmp_path, tmp_path)
    assert figures.draw(empty).axes
    surface = grid() if table["draw"]["kind"] == "surface" else ()
    assert figures.draw(measured(tmp_path, table), surface).axes


def test_bars_are_the_measured_values_and_diamonds_the_published(tmp_path):
    table = measured(tmp_path, spec.load(PAPERS / "mple/figure5.yaml"))
    (axes,) = figures.draw(table).axes
    entries = [table.entries[n, "l_nat"] for n in range(len(table.spec["rows"]))]
    assert [bar.get_width() for bar in axes.patches] == [entry.measured for entry in entries]
    diamonds = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"]
    assert diamonds == [entry.published for entry in entries]
    crossing = {line.get_xdata()[0] for line in axes.lines if list(line.get_ydata()) == [0, 1]}
    assert 2.5 in crossing and len(crossing) == 2


def test_published_values_are_never_drawn_as_bars(tmp_path):
    table = tables.build(spec.load(PAPERS / "mple/figure8.yaml"), RUN, tmp_path, tmp_path)
    (axes,) = figures.draw(table).axes
    assert not axes.patches and not texts(axes)
    assert sorted(line.get_ydata()[0] for line in axes.lines) == [11.79, 20.98, 22.82, 25.12, 25.88]


def test_groups_leave_out_rows_of_which_nothing_is_known(tmp_path):
    table = spec.load(PAPERS / "mple/figure6.yaml")
    values = {f"reference_bleu/{k}": {"value": 20.0 + k, "unit": "BLEU"} for k in (1, 2)}
    for seed in RUN["seeds"]:
        write_json(tmp_path / f"ds/demo/vanilla_raw/seed{seed}/target.json", {"values": values})
    (axes,) = figures.draw(tables.build(table, RUN, tmp_path, tmp_path)).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["ref. 1", "ref. 2"]
    assert [bar.get_height() for bar in axes.patches] == [21, 22] and texts(axes) == {"21.0", "22.0"}


def test_points_of_a_method_are_joined(tmp_path):
    table = measured(tmp_path, spec.load(PAPERS / "mple/figure7.yaml"))
    (axes,) = figures.draw(table).axes
    assert texts(axes) == {"CMLM, Default", "CMLM, Sample", "GLAT, Default", "GLAT, Sample"}
    joined = [line for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata()) == 2]
    at = [(table.entries[n, "confidence"].measured, table.entries[n, "bleu"].measured) for n in range(4)]
    found = [list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in joined]
    assert at[:2] in found and at[2:] in found


def test_the_surfaces_mark_the_three_models(tmp_path):
    table = measured(tmp_path, spec.load(PAPERS / "mple/figure1.yaml"))
    drawn = figures.draw(table, grid()[::-1])
    panels = [axes for axes in drawn.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["log-likelihood (bits/token)", "BLEU"]
    for axes in panels:
        assert texts(axes) == {"initial", "MLE", "GLAT + KD"}
        marked = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines]
        assert marked == [(0, 0), (2, 0), (1, 3)]


def test_a_point_without_a_likelihood_does_not_stop_the_map(tmp_path):
    surface = grid()
    surface[0]["points"][0]["log_likelihood"] = None
    table = tables.build(spec.load(PAPERS / "mple/figure1.yaml"), RUN, tmp_path, tmp_path)
    assert [len(axes.child_axes) for axes in figures.draw(table, surface).axes] == [1, 1]  # each map its colour bar


def run_verb(folder, name):
    (folder / "run.yaml").write_text(yaml.safe_dump(RUN))
    parser = argparse.ArgumentParser()
    figures.add_arguments(parser)
    given = f"--table {PAPERS}/mple/{name}.yaml --run {folder}/run.yaml --measurements {folder} --corpora {folder}"
    figures.run(parser.parse_args([*given.split(), "--out", f"{folder}/out/mple.{name}"]))


def test_the_verb_writes_picture_and_values_and_the_same_again(tmp_path):
    measured(tmp_path, spec.load(PAPERS / "mple/figure8.yaml"))
    run_verb(tmp_path, "figure8")
    first = {path.suffix: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert set(first) == {".csv", ".md", ".png", ".pdf"}
    assert first[".png"][:4] == b"\x89PNG" and first[".pdf"][:4] == b"%PDF"
    assert b"](mple.figure8.png)" in first[".md"] and b"| Dynamic |" in first[".md"].replace(b"  ", b"")
    run_verb(tmp_path, "figure8")
    assert first == {path.suffix: path.read_bytes() for path in (tmp_path / "out").iterdir()}


def test_a_table_is_not_drawn(tmp_path):
    with pytest.raises(UserError, match="table2.yaml: key draw is missing"):
        run_verb(tmp_path, "table2")
