"""Figures: what is drawn is what was measured; every shipped figure can be drawn with and without measurements."""

import argparse
import itertools
import re
import warnings
from pathlib import Path

import pytest
import yaml
from matplotlib import font_manager, pyplot
from matplotlib.colors import to_hex
from matplotlib.text import Text

from natlab.errors import UserError
from natlab.files import write_json
from natlab.papers import cells, spec
from natlab.report import figures, tables
from natlab.report.filled import Entry, Table, build

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
    return build(table, RUN, folder, folder)


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
    empty = build(table, RUN, tmp_path, tmp_path)
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
    table = build(spec.load(PAPERS / "mple/figure8.yaml"), RUN, tmp_path, tmp_path)
    (axes,) = figures.draw(table).axes
    assert not axes.patches and not texts(axes)
    assert sorted(line.get_ydata()[0] for line in axes.lines) == [11.79, 20.98, 22.82, 25.12, 25.88]


def test_groups_leave_out_rows_of_which_nothing_is_known(tmp_path):
    table = spec.load(PAPERS / "mple/figure6.yaml")
    values = {f"reference_bleu/{k}": {"value": 20.0 + k, "unit": "BLEU"} for k in (1, 2)}
    for seed in RUN["seeds"]:
        write_json(tmp_path / f"ds/demo/vanilla_raw/seed{seed}/target.json", {"values": values})
    (axes,) = figures.draw(build(table, RUN, tmp_path, tmp_path)).axes
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


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(1, 5), (2, 4), (3, 7), (4, 7), (0.5, 1)], [(0.5, 1), (1, 5), (3, 7)]),
        ([(1, 5), (1, 6)], [(1, 6)]),
        ([(2, 2)], [(2, 2)]),
    ],
)
def test_a_front_is_of_the_points_that_no_other_beats(points, front):
    assert figures._front(points) == front


def test_a_margin_for_names_makes_no_value_negative(tmp_path):
    (axes,) = figures.draw(measured(tmp_path, spec.load(PAPERS / "aeqa/figure7.yaml"))).axes
    assert axes.get_xlim()[0] >= 0


def test_speed_against_quality_is_on_a_scale_of_logarithms_with_its_front(tmp_path):
    table = measured(tmp_path, spec.load(PAPERS / "natlab/speed_quality.yaml"))
    (axes,) = figures.draw(table).axes
    assert axes.get_xscale() == "log" and axes.get_yscale() == "linear"
    (front,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    points = [
        (table.entries[n, "ms"].measured, table.entries[n, "bleu"].measured) for n in range(len(table.spec["rows"]))
    ]
    assert list(zip(*front.get_data(orig=True), strict=True)) == figures._front(points)
    # too many for a name each: of groups each has its number, of labels its colour and mark
    rows = table.spec["rows"]
    groups, labels = (list(dict.fromkeys(row[key] for row in rows)) for key in ("group", "label"))
    assert legend(axes.figure) == labels + [f"{n}  {group}" for n, group in enumerate(groups, 1)]
    looks = {(line.get_marker(), line.get_color()) for line in axes.lines if line.get_marker() in set("os^v<>")}
    assert len(looks) == len(labels) and {colour for _, colour in looks} <= set(figures.COLOURS)
    numbers = {point: str(groups.index(row["group"]) + 1) for point, row in zip(points, rows, strict=True)}
    assert {text.get_text() for text in axes.texts} == set(numbers.values())
    assert all(numbers[text.xy] == text.get_text() for text in axes.texts)


def test_lines_may_be_on_scales_of_logarithms(tmp_path):
    (axes,) = figures.draw(measured(tmp_path, spec.load(PAPERS / "natlab/speed_lengths.yaml"))).axes
    assert axes.get_xscale() == axes.get_yscale() == "log"
    axes.figure.canvas.draw()
    shown = {text.get_text() for axis in (axes.xaxis, axes.yaxis) for text in axis.get_ticklabels(which="both")}
    assert {"10", "20", "50"} <= shown and not any("$" in text for text in shown)


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
    table = build(spec.load(PAPERS / "mple/figure1.yaml"), RUN, tmp_path, tmp_path)
    assert [len(axes.child_axes) for axes in figures.draw(table, surface).axes] == [1, 1]  # each map its colour bar


def run_verb(folder, name, *options):
    (folder / "run.yaml").write_text(yaml.safe_dump(RUN))
    parser = argparse.ArgumentParser()
    figures.add_arguments(parser)
    given = f"--table {PAPERS}/mple/{name}.yaml --run {folder}/run.yaml --measurements {folder} --corpora {folder}"
    figures.run(parser.parse_args([*given.split(), "--out", f"{folder}/out/mple.{name}", *options]))


def test_the_verb_writes_picture_and_values_and_the_same_again(tmp_path):
    measured(tmp_path, spec.load(PAPERS / "mple/figure8.yaml"))
    run_verb(tmp_path, "figure8")
    first = {path.suffix: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert set(first) == {".csv", ".md", ".png", ".pdf", ".svg"}
    assert first[".png"][:4] == b"\x89PNG" and first[".pdf"][:4] == b"%PDF"
    assert b"<svg " in first[".svg"] and b"Dynamic</text>" in first[".svg"] and b"<dc:date>" not in first[".svg"]
    assert b"](mple.figure8.png)" in first[".md"] and b"| Dynamic |" in first[".md"].replace(b"  ", b"")
    run_verb(tmp_path, "figure8")
    assert first == {path.suffix: path.read_bytes() for path in (tmp_path / "out").iterdir()}


def test_a_table_is_not_drawn(tmp_path):
    with pytest.raises(UserError) as refused:
        run_verb(tmp_path, "table2")
    assert str(refused.value) == f"{PAPERS}/mple/table2.yaml: key draw is missing; it is a table: natlab table"


def made(spec_of, values, std=None, published=None):
    """A table whose entries are given: {(row, column): measured}, and likewise deviations and published values."""
    keys = [(n, column["key"]) for n in range(len(spec_of["rows"])) for column in spec_of["columns"]]
    entries = {key: Entry((published or {}).get(key), values.get(key), (std or {}).get(key)) for key in keys}
    return Table(spec_of, RUN, entries)


def legend(figure):
    (found,) = figure.legends
    return [text.get_text() for text in found.get_texts()]


def whiskers(axes):
    """Where the axes' error bars begin and end, [(x, y), (x, y)] each."""
    return [
        [tuple(map(float, end)) for end in path.vertices] for lines in axes.collections for path in lines.get_paths()
    ]


BARS = {
    "table": "Figure 9",
    "title": "bars",
    "draw": {"kind": "bars", "value": "l", "line": "c"},
    "columns": [{"key": "l", "label": "L", "unit": "bits/token"}, {"key": "c", "label": "C"}],
    "rows": [
        {"label": "a", "group": "one"}, {"label": "b", "group": "two"}, {"label": "$c", "group": "one"}, {"label": "d"},
    ],
}  # fmt: skip


def test_a_bar_chart_has_a_bar_a_row_from_the_top_and_a_colour_a_group():
    values = {(0, "l"): 3.0, (1, "l"): 2.0, (2, "l"): 1.0, (0, "c"): 2.0, (2, "c"): 3.0}
    published = {(0, "l"): 3.5, (1, "l"): "n/a", (3, "l"): 4, (1, "c"): 1.5}
    figure = figures.draw(made(BARS, values, {(0, "l"): 0.25}, published))
    (axes,) = figure.axes
    assert [(bar.get_y() + bar.get_height() / 2, bar.get_x(), bar.get_width()) for bar in axes.patches] == [
        (pytest.approx(n), 0, width) for n, width in ((0, 3.0), (1, 2.0), (2, 1.0))
    ]
    colours = [to_hex(bar.get_facecolor()) for bar in axes.patches]
    assert colours[0] == colours[2] != colours[1] and set(colours) <= set(figures.COLOURS)
    assert whiskers(axes) == [[(2.75, 0), (3.25, 0)]]
    diamonds = [line for line in axes.lines if line.get_marker() == "D"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in diamonds] == [(3.5, 0), (4, 3)]
    assert all(line.get_markerfacecolor() == "white" and line.get_zorder() > 3 for line in diamonds)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "$c", "d"]
    assert list(axes.get_yticks()) == [0, 1, 2, 3] and axes.yaxis_inverted()
    assert axes.get_xlim()[0] == 0 and axes.get_xlabel() == "L (bits/token)"
    across = {line.get_linestyle(): line.get_xdata()[0] for line in axes.lines if list(line.get_ydata()) == [0, 1]}
    assert across == {"-": 2.5, ":": 1.5}  # the mean of those measured; of those published
    assert legend(figure) == ["measured", "published", "C, measured: 2.50", "C, published: 1.50", "one", "two"]
    handles = figure.legends[0].legend_handles
    assert [to_hex(handle.get_facecolor()) for handle in handles[-2:]] == colours[:2]
    assert [handle.get_linestyle() for handle in handles[2:4]] == ["-", ":"]
    assert handles[1].get_marker() == "D" and handles[1].get_linestyle() == "None"
    assert handles[1].get_markeredgecolor() == diamonds[0].get_markeredgecolor() == figures.INK
    assert handles[1].get_markerfacecolor() == "white" and handles[1].get_markersize() == diamonds[0].get_markersize()
    assert axes.xaxis.get_gridlines()[0].get_visible() and not axes.yaxis.get_gridlines()[0].get_visible()


def test_without_a_line_or_groups_the_legend_says_what_marks_mean_and_higher_charts_have_more_rows():
    one = BARS | {"draw": {"kind": "bars", "value": "l"}, "rows": [{"label": "a"}]}
    figure = figures.draw(made(one, {(0, "l"): 3.0}))
    assert legend(figure) == ["measured"] and not figure.axes[0].lines
    many = figures.draw(made(one | {"rows": [{"label": f"{n}"} for n in range(20)]}, {}))
    assert many.get_figheight() - figure.get_figheight() == pytest.approx(19 * 0.27)
    assert many.get_figwidth() == figure.get_figwidth() > figure.get_figheight() > 1


GROUPS = {
    "table": "Figure 9",
    "title": "groups",
    "draw": {"kind": "groups", "series": ["p", "q"]},
    "columns": [{"key": "p", "label": "first", "unit": "BLEU"}, {"key": "q", "label": "second", "unit": "BLEU"}],
    "rows": [{"label": "x"}, {"label": "nothing"}, {"label": "y"}],
}


def test_grouped_bars_stand_side_by_side_around_their_rows_place():
    values = {(0, "p"): 20.0, (0, "q"): 25.25, (2, "q"): 5.0}
    figure = figures.draw(made(GROUPS, values, {(0, "q"): 0.5}, {(2, "p"): 7.0}))
    (axes,) = figure.axes
    bars = [(bar.get_x() + bar.get_width() / 2, bar.get_y(), bar.get_height()) for bar in axes.patches]
    assert bars == [(pytest.approx(x), 0, height) for x, height in ((-0.2, 20.0), (0.2, 25.25), (1.2, 5.0))]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.92 * 0.4] * 3)  # they do not touch
    first, second, third = (to_hex(bar.get_facecolor()) for bar in axes.patches)
    assert first != second == third
    assert whiskers(axes) == [[(pytest.approx(0.2), 24.75), (pytest.approx(0.2), 25.75)]]
    labels = [(text.get_text(), text.xy) for text in axes.texts]
    assert labels == [
        ("20.0", (pytest.approx(-0.2), 0)),
        ("25.2", (pytest.approx(0.2), 0)),
        ("5.0", (pytest.approx(1.2), 0)),
    ]
    assert all(text.get_ha() == "center" and text.xyann[1] > 0 == text.xyann[0] for text in axes.texts)
    (diamond,) = [line for line in axes.lines if line.get_marker() == "D"]
    assert (diamond.get_xdata()[0], diamond.get_ydata()[0]) == (pytest.approx(0.8), 7.0)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["x", "y"] and axes.get_ylabel() == "BLEU"
    assert legend(figure) == ["first", "second", "published"]
    assert [to_hex(handle.get_facecolor()) for handle in figure.legends[0].legend_handles[:2]] == [first, second]
    assert axes.yaxis.get_gridlines()[0].get_visible() and not axes.xaxis.get_gridlines()[0].get_visible()


def test_grouped_bars_of_measured_values_only_have_no_legend_of_published_ones():
    figure = figures.draw(made(GROUPS, {(0, "p"): 20.0, (0, "q"): 1.0}, published={(0, "q"): "n/a"}))
    assert legend(figure) == ["first", "second"]
    many = [{"key": f"{n}", "label": f"{n}"} for n in range(8)]
    many = GROUPS | {"columns": many, "draw": {"kind": "groups", "series": [column["key"] for column in many]}}
    (rows,) = figures.draw(made(many, {(0, f"{n}"): 1.0 for n in range(8)})).legends
    assert rows._ncols == 6 and figure.legends[0]._ncols == 2
    wide = GROUPS | {"rows": [{"label": f"{n}"} for n in range(10)]}
    wide = figures.draw(made(wide, {(n, "p"): 1.0 for n in range(10)}))
    widest = GROUPS | {"rows": [{"label": f"{n}"} for n in range(100)]}
    widest = figures.draw(made(widest, {(n, "p"): 1.0 for n in range(100)}))
    assert [f.get_figwidth() for f in (figure, wide, widest)] == pytest.approx([6.6, 11, 60])


def test_no_side_grows_beyond_what_can_be_drawn():
    """At 160 dots an inch a side of 65,536 dots, the most that can be, is 410 inches."""
    panels = LINES | {"rows": [{"label": "x", "group": f"{n}"} for n in range(120)]}
    bars = BARS | {"rows": [{"label": f"{n}"} for n in range(1800)]}
    sizes = [figures.draw(made(spec, {})).get_size_inches().tolist() for spec in (panels, bars)]
    assert sizes == [pytest.approx([60, 3.6]), pytest.approx([8.2, 60])]


LINES = {
    "table": "Figure 9",
    "title": "lines",
    "draw": {"kind": "lines", "series": ["p", "q"], "across": ["r"]},
    "columns": [
        {"key": "p", "label": "first", "unit": "BLEU"},
        {"key": "q", "label": "second", "unit": "BLEU"},
        {"key": "r", "label": "level", "unit": "BLEU"},
        {"key": "n", "label": "updates"},
    ],
    "rows": [
        {"label": "x", "group": "A"}, {"label": "nothing", "group": "A"}, {"label": "y", "group": "A"},
        {"label": "$z", "group": "B"},
    ],
}  # fmt: skip


def drawn_lines(axes, style):
    return [
        (list(map(tuple, line.get_xydata().tolist())), line.get_color())
        for line in axes.lines
        if line.get_linestyle() == style and line.get_marker() != "None"
    ]


def test_lines_join_the_rows_of_a_panel_in_a_colour_a_column():
    values = {(0, "p"): 1.0, (2, "p"): 3.0, (2, "q"): 2.0, (3, "q"): 5.0, (0, "r"): 4.0, (2, "r"): 6.0, (3, "r"): 7.0}
    figure = figures.draw(made(LINES, values, {(2, "p"): 0.5}, {(0, "q"): 2.5, (2, "q"): 3.5, (3, "p"): "n/a"}))
    left, right = figure.axes
    first, second, level = figures.COLOURS[:3]
    assert drawn_lines(left, "-") == [([(0, 1.0), (1, 3.0)], first), ([(1, 2.0)], second)]
    assert drawn_lines(right, "-") == [([(0, 5.0)], second)]
    (diamonds,) = [line for line in left.lines if line.get_marker() == "D"]
    assert diamonds.get_xydata().tolist() == [[0, 2.5], [1, 3.5]] and diamonds.get_color() == second
    # not joined: there may be others between them
    assert diamonds.get_markerfacecolor() == "white" and diamonds.get_linestyle() == "None"
    assert left.get_ylim() == right.get_ylim()
    across = [
        (line.get_ydata()[0], line.get_color()) for line in (*left.lines, *right.lines) if line.get_linestyle() == "--"
    ]
    assert across == [(5.0, level), (7.0, level)]  # the mean over a panel's rows
    assert whiskers(left) == [[(1, 2.5), (1, 3.5)]]
    assert [label.get_text() for label in left.get_xticklabels()] == ["x", "y"]
    assert [label.get_text() for label in right.get_xticklabels()] == ["$z"]
    assert [axes.get_title() for axes in figure.axes] == ["A", "B"] and left.get_ylabel() == "BLEU"
    assert legend(figure) == ["first", "second", "level", "published"]
    handles = figure.legends[0].legend_handles
    assert [handle.get_color() for handle in handles[:3]] == [first, second, level]
    markers = [line.get_marker() for line in left.lines if line.get_linestyle() == "-" and line.get_marker() != "None"]
    assert markers == [handle.get_marker() for handle in handles[:2]] == ["o", "s"]


def test_rows_of_lines_stand_where_a_column_says():
    spec_of = LINES | {"draw": {"kind": "lines", "series": ["p"], "x": "n"}}
    spec_of["rows"] = [{"label": row["label"]} for row in LINES["rows"]]
    values = {(0, "p"): 1.0, (2, "p"): 3.0, (3, "p"): 2.0} | {(n, "n"): x for n, x in enumerate((300, 100, 50))}
    figure = figures.draw(made(spec_of, values))
    (axes,) = figure.axes
    assert drawn_lines(axes, "-") == [([(50, 3.0), (300, 1.0)], figures.COLOURS[0])]
    assert axes.get_xlabel() == "updates" and axes.get_title() == "" and legend(figure) == ["first"]
    nowhere = figures.draw(made(spec_of, values, published={(3, "p"): 9.0}))
    assert legend(nowhere) == ["first"] and not [x for x in nowhere.axes[0].lines if x.get_marker() == "D"]
    assert legend(figures.draw(made(spec_of, values, published={(1, "p"): 9.0}))) == ["first", "published"]


def test_a_panel_of_which_nothing_is_known_says_so_and_values_without_a_unit_have_scales_of_their_own():
    figure = figures.draw(made(LINES, {(0, "p"): 1.0}))
    assert [texts(axes) for axes in figure.axes] == [set(), {"not measured"}]
    columns = [{key: value for key, value in column.items() if key != "unit"} for column in LINES["columns"]]
    figure = figures.draw(made(LINES | {"columns": columns}, {(0, "p"): 1.0, (2, "p"): 2.0, (3, "p"): 90.0}))
    assert figure.axes[0].get_ylim()[1] < 3 < figure.axes[1].get_ylim()[0] and figure.axes[0].get_ylabel() == ""


def test_columns_to_the_right_have_a_scale_of_their_own():
    spec_of = LINES | {"draw": {"kind": "lines", "series": ["p"], "right": ["q"], "x": "n"}}
    spec_of["rows"] = [{"label": row["label"]} for row in LINES["rows"]]
    values = {(n, "n"): 10 * n for n in range(4)} | {(0, "p"): 1.0, (2, "p"): 3.0, (0, "q"): 90.0, (2, "q"): 80.0}
    figure = figures.draw(made(spec_of, values))
    left, right = figure.axes
    first, second = figures.COLOURS[:2]
    assert drawn_lines(left, "-") == [([(0, 1.0), (20, 3.0)], first)]
    assert drawn_lines(right, "-") == [([(0, 90.0), (20, 80.0)], second)]
    assert left.get_ylim()[1] < 10 and right.get_ylim()[0] > 10 and right.get_ylabel() == "second"
    assert legend(figure) == ["first", "second"] and not texts(left)


def test_a_column_that_lines_lack_is_refused(tmp_path):
    columns = [column | {"cell": {"metric": "bleu"}} for column in LINES["columns"]]
    for draw in ({"across": ["s"]}, {"right": ["s"]}, {"x": "s"}, {"series": ["p", "s"]}):
        file = LINES | {"paper": "P", "columns": columns, "draw": LINES["draw"] | draw}
        (tmp_path / "figure.yaml").write_text(yaml.safe_dump(file))
        with pytest.raises(UserError, match="draw: unknown name 's'; allowed: p, q, r, n"):
            spec.load(tmp_path / "figure.yaml")


SCATTER = {
    "table": "Figure 9",
    "title": "points",
    "draw": {"kind": "scatter", "x": "i", "y": "b"},
    "columns": [{"key": "i", "label": "I", "unit": "bits/token"}, {"key": "b", "label": "BLEU", "unit": "BLEU"}],
    "rows": [
        {"label": "Default", "group": "CMLM"}, {"label": "Sample", "group": "CMLM"}, {"label": "alone"},
        {"label": "Default", "group": "half"},
    ],
}  # fmt: skip


def test_a_scatter_plot_has_a_point_a_row_and_a_line_a_group():
    values = {
        (0, "i"): -1.0,
        (0, "b"): 20.0,
        (1, "i"): -2.0,
        (1, "b"): 22.0,
        (2, "i"): -3.0,
        (2, "b"): 9.0,
        (3, "b"): 1.0,
    }
    figure = figures.draw(made(SCATTER, values, {(0, "i"): 0.5, (0, "b"): 2.0}))
    (axes,) = figure.axes
    points = [line for line in axes.lines if line.get_marker() in set("os^v<>")]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in points] == [(-1, 20), (-2, 22), (-3, 9)]
    assert [line.get_marker() for line in points] == ["o", "s", "^"]  # a mark a label
    colours = [to_hex(line.get_color()) for line in points]
    assert colours[0] == colours[1] != colours[2]
    joined = [line for line in axes.lines if line.get_linestyle() == "-" and line.get_marker() == "None"]
    joined = [list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in joined]
    assert [(-1, 20), (-2, 22)] in joined and [(-3, 9)] in joined
    assert [[(-1.5, 20), (-0.5, 20)], [(-1, 18), (-1, 22)]] == [w for w in whiskers(axes) if w[0] != w[1]]
    named = {text.get_text(): text for text in axes.texts}
    assert named.keys() == {"CMLM, Default", "CMLM, Sample", "alone"}
    assert named["CMLM, Default"].xy == (-1, 20) and named["CMLM, Sample"].xy == (-2, 22)
    assert all(abs(text.xyann[1]) < 1 for text in named.values())  # there is room to the right or to the left
    assert {to_hex(text.get_color()) for text in named.values()} == {figures.INK}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("I (bits/token)", "BLEU")
    assert axes.xaxis.get_gridlines()[0].get_visible() and axes.yaxis.get_gridlines()[0].get_visible()


def test_what_was_published_of_a_scattered_row_is_hollow_and_has_its_name_too():
    """Speed against quality (AEQA-NAT, Figure 7): of quoted rows only what a paper prints is known."""
    columns = [{"key": "i", "label": "Speedup", "unit": "x"}, {"key": "b", "label": "BLEU", "unit": "BLEU"}]
    rows = [{"label": "GLAT"}, {"label": "CMLM", "quoted": True}, {"label": "DePA", "quoted": True}]
    values = {(0, "i"): 9.0, (0, "b"): 20.0}
    published = {(0, "i"): 14.2, (0, "b"): 18.9, (1, "i"): 1.7, (1, "b"): 24.6, (2, "i"): "–", (2, "b"): 26.4}
    figure = figures.draw(made({**SCATTER, "columns": columns, "rows": rows}, values, published=published))
    points = [line for line in figure.axes[0].lines if line.get_marker() in set("os^v<>")]
    at = {(line.get_xdata()[0], line.get_ydata()[0]): to_hex(line.get_markerfacecolor()) for line in points}
    white = "#ffffff"
    assert at == {(14.2, 18.9): white, (9, 20): to_hex(figures.COLOURS[0]), (1.7, 24.6): white}
    assert sorted((text.get_text(), text.xy, text.get_color()) for text in figure.axes[0].texts) == [
        ("CMLM", (1.7, 24.6), figures.SOFT), ("GLAT", (9, 20), figures.INK), ("GLAT", (14.2, 18.9), figures.SOFT),
    ]  # fmt: skip
    assert legend(figure) == ["published"]


@pytest.mark.parametrize(("apart", "lines"), [(1, False), (0.02, True), (0, True)])
def test_names_lie_over_no_other_and_no_point_and_within_the_frame(apart, lines):
    """Of points side by side, too: there some stand further away, with a line."""
    rows = [{"label": f"a system, {n}"} for n in range(9)]
    # what stands apart makes the scales wide
    at = [(2 + apart * n, 2 + apart * n) for n in range(8)] + [(20, 20)]
    values = {(n, key): float(v) for n, point in enumerate(at) for key, v in zip("ib", point, strict=True)}
    figure = figures.draw(made(SCATTER | {"rows": rows}, values))
    (axes,) = figure.axes
    figure.canvas.draw()
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # without their lines
    assert len(boxes) == len(rows) and not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    points = axes.transData.transform([text.xy for text in axes.texts])
    assert not any(box.contains(*point) for box in boxes for point in points)
    frame = axes.get_window_extent()
    assert all(frame.contains(*corner) for box in boxes for corner in (box.min, box.max))
    assert any(text.arrow_patch is not None for text in axes.texts) == lines


def test_points_that_touch_share_a_name_and_more_groups_than_colours_have_one_colour():
    rows = [{"label": "again"}, {"label": "again"}, *({"label": f"{n}"} for n in range(6))]
    at = [(1, 1), (1.001, 1), *((n, n * n) for n in range(2, 8))]
    values = {(n, key): float(v) for n, point in enumerate(at) for key, v in zip("ib", point, strict=True)}
    (axes,) = figures.draw(made(SCATTER | {"rows": rows}, values)).axes
    assert [text.get_text() for text in axes.texts] == ["again", "0", "1", "2", "3", "4", "5"]
    assert {line.get_color() for line in axes.lines} == {figures.COLOURS[0]}


def test_a_legend_lists_only_what_is_drawn():
    """A column or a group of which nothing is known has no place in it."""
    lines = LINES | {"draw": {"kind": "lines", "series": ["p", "q"], "across": ["r"]}}
    assert legend(figures.draw(made(lines, {(0, "q"): 1.0}))) == ["second"]
    assert legend(figures.draw(made(lines, {(0, "p"): 1.0, (0, "r"): 2.0}))) == ["first", "level"]
    assert legend(figures.draw(made(lines, {}, published={(0, "p"): 1.0}))) == ["first", "published"]
    groups = made(GROUPS, {(0, "q"): 1.0}, published={(0, "p"): 2.0})
    assert legend(figures.draw(groups)) == ["second", "published"]
    bars = made(BARS, {(1, "l"): 1.0})
    assert legend(figures.draw(bars)) == ["measured", "two"]
    assert legend(figures.draw(made(BARS, {}, published={(0, "l"): 1.0}))) == ["published"]
    for nothing in (lines, GROUPS, BARS, SCATTER):
        assert figures.draw(made(nothing, {})).legends == []


def test_the_surfaces_are_maps_of_their_values_with_labels_inside():
    rows = [{"label": "initial"}, {"label": "MLE"}, {"label": "KD"}]
    spec_of = {"table": "Figure 1", "title": "s", "draw": {"kind": "surface"}, "columns": [], "rows": rows}
    left, right = figures.draw(Table(spec_of, RUN, {}), grid()[::-1]).axes
    assert left.get_ylabel() == "distance at right angles" and right.get_ylabel() == ""
    for axes, values in ((left, [-7, 0]), (right, [0, 12])):
        assert axes.get_xlabel() == "distance along initial → MLE"
        assert axes.get_xlim() == (0, 4) and axes.get_ylim() == (0, 3) and axes.get_aspect() == 1
        filled = axes.collections[0]
        assert filled.get_clim() != (0, 1) and values[0] <= filled.levels[0] < filled.levels[-1] == values[1]
        side = {text.get_text(): (text.get_ha(), text.xyann[0] < 0, text.xy) for text in axes.texts}
        assert side == {
            "initial": ("left", False, (0, 0)), "MLE": ("left", False, (2, 0)), "KD": ("left", False, (1, 3)),
        }  # fmt: skip
        assert [line.get_marker() for line in axes.lines] == ["D", "^", "*"]
    further = grid()
    for row in further:
        row["models"][1]["x"] = 3
    (mle,) = [text for text in figures.draw(Table(spec_of, RUN, {}), further).axes[0].texts if text.get_text() == "MLE"]
    assert mle.get_ha() == "right" and mle.xyann[0] < 0
    nothing = figures.draw(Table(spec_of, RUN, {})).axes
    assert [texts(axes) for axes in nothing] == [{"not measured"}] * 2


def test_levels_leave_out_the_lowest_sixth():
    assert figures._levels([float(n) for n in range(12)][::-1]) == pytest.approx([2 + 9 * i / 16 for i in range(17)])
    assert figures._levels([5.0, 5.0]) == pytest.approx([5 + i / 16 for i in range(17)])


def test_there_are_as_many_colours_as_asked_for():
    assert figures.palette(6) == figures.palette(1) == figures.COLOURS and len(figures.COLOURS) == 6
    for count in (7, 30):
        assert len({to_hex(colour) for colour in figures.palette(count)}) == count == len(figures.palette(count))


def test_a_figures_values_stand_below_its_picture():
    table = made(GROUPS | {"paper": "P", "caption": "C."}, {(0, "p"): 20.0})
    lines = figures.markdown(table, "p.f9").splitlines()
    assert lines[:6] == ["## Figure 9: groups", "", "![groups](p.f9.png)", "", "P. C.", ""]
    assert lines[6:] == tables.markdown(table).splitlines()[4:]


def test_the_arguments():
    parser = argparse.ArgumentParser()
    figures.add_arguments(parser)
    given = "--table t --run r --measurements m --corpora c --out o".split()
    expected = {"table": "t", "run_file": "r", "measurements": "m", "corpora": "c", "out": "o", "surface": []}
    assert vars(parser.parse_args(given)) == expected
    assert parser.parse_args([*given, "--surface", "a", "b"]).surface == ["a", "b"]


def test_the_verb_draws_the_surface_it_is_given_and_leaves_no_figure_open(tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(figures, "draw", lambda table, surface: seen.update(surface=surface) or pyplot.figure())
    write_json(tmp_path / "row1.json", {"points": [1]})
    write_json(tmp_path / "row2.json", {"points": [2]})
    run_verb(tmp_path, "figure1", "--surface", f"{tmp_path}/row1.json", f"{tmp_path}/row2.json")
    assert seen["surface"] == [{"points": [1]}, {"points": [2]}] and not pyplot.get_fignums()
    assert b"CreationDate" not in (tmp_path / "out/mple.figure1.pdf").read_bytes()


def labelled(label):
    """A figure of one bar of this name, drawn."""
    return made(BARS | {"paper": "P", "rows": [{"label": label}]}, {(0, "l"): 3.0})


def test_letters_that_no_font_here_has_are_refused_in_one_line_that_names_a_font(tmp_path):
    with pytest.raises(UserError) as refused:
        figures.write(labelled("a \U00013000"), tmp_path / "p.figure9")
    assert re.fullmatch(
        rf"{tmp_path}/p\.figure9: Glyph 77824 .*EGYPTIAN HIEROGLYPH A001.* missing from font\(s\) [\w, ]*; "
        "install Noto Sans CJK SC, which has Chinese letters, or use others",
        str(refused.value),
    )
    assert list(tmp_path.iterdir()) == [] and not pyplot.get_fignums()


def test_chinese_letters_need_a_font_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "_chinese", list)
    with pytest.raises(UserError, match="IDEOGRAPH-6F22.*; install Noto Sans CJK SC, "):
        figures.write(labelled("漢"), tmp_path / "p.figure9")


@pytest.fixture
def listed(monkeypatch):
    """Fonts as matplotlib listed them before those with Chinese letters were installed."""
    figures._chinese.cache_clear()
    known = font_manager.fontManager.ttflist
    files = {font.fname for font in known if font.name in figures.CJK}  # of which others are in other languages' forms
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [font for font in known if font.fname not in files])
    yield
    figures._chinese.cache_clear()


def test_chinese_letters_are_drawn_where_a_font_has_them_however_newly_installed(tmp_path, listed):
    if not figures._chinese():
        pytest.skip("no font with Chinese letters is installed")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.write(labelled("漢字 and Äß"), tmp_path / "p.figure9")
    assert "漢字 and Äß</text>" in (tmp_path / "p.figure9.svg").read_text("utf-8")
    # letters that a font lacks would be the same box
    pictures = set()
    for letter in "漢字":
        figures.draw(labelled(letter)).savefig(tmp_path / f"{letter}.png", dpi=40)
        pictures.add((tmp_path / f"{letter}.png").read_bytes())
    assert len(pictures) == 2


def test_a_figure_without_such_letters_is_the_same_whichever_fonts_are_installed(tmp_path, monkeypatch):
    figures.write(labelled("Äß − Δ λ"), tmp_path / "here")
    monkeypatch.setattr(figures, "_chinese", lambda: ["Noto Sans CJK JP"])
    figures.write(labelled("Äß − Δ λ"), tmp_path / "there")
    for ending in ("png", "pdf", "svg"):
        assert (tmp_path / f"here.{ending}").read_bytes() == (tmp_path / f"there.{ending}").read_bytes()
