"""Labels of any text: tables, pages and figures show them as they stand, read back by other readers."""

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from matplotlib import pyplot
from matplotlib.colors import to_hex

from natlab.papers import spec
from natlab.report import claims, figures, markup, tables
from natlab.report.filled import Entry, build
from natlab.report.page import claims as pages
from natlab.report.page import grids

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
RUN = {"run": "r", "scale": "demo", "seeds": [1], "corpora": {"c": "d"}, "tables": ["p/t"]}
# letters, and whatever means something to Markdown, LaTeX, HTML, matplotlib or YAML
texts = st.text(st.sampled_from("ab Ä漢1$\\|`*_~[](){}<>#&%^\"'!+-=:;,./?\n\t\xa0−") | st.characters(), max_size=12)
awkward = r"[ours]¦from $5 to $10¦$$¦a|b\|c¦\midrule¦_x_ __y__ z_w¦--- ''¦&amp; <b>¦# 1¦x ##¦1. x¦- x".split("¦")
awkward += r"`¦~~a~~¦no¦1e-4¦{}¦%¦a^b~c¦![x](y)¦x\¦\_¦+¦> x¦*".split("¦") + ["two\nlines"]
UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def shown(label: str) -> bool:
    """Whether YAML can hold it, and anything is left of it on one line."""
    return bool(spec.one_line(label)) and not UNREADABLE.search(label)


labels = st.sampled_from(awkward) | texts.filter(shown)


class Cells(HTMLParser):
    """The text of each cell, item and paragraph of HTML."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag in ("th", "td", "li", "p", "h2"):
            self.found.append("")

    def handle_data(self, data):
        if self.found:
            self.found[-1] += data


def spaced(text: str) -> str:
    """As HTML and Markdown show it."""
    return " ".join(text.split())


def of_latex(text: str) -> str:
    """LaTeX text read back."""
    plain = {latex: character for character, latex in markup._LATEX.items() if latex != "--"}
    either = "|".join(map(re.escape, sorted(plain, key=len, reverse=True)))
    found = re.sub(rf"{either}|([-',]){{}}|--|(.)", lambda at: plain.get(at[0], at[1] or at[2] or "–"), text)
    return found


@given(texts)
@example("-{}-")
def test_latex_says_the_text_and_nothing_else(text):
    text = spec.one_line(text)
    written = markup.latex(text)
    assert of_latex(written) == text
    bare = re.sub(r"\\[&%$#_{}]|\\[a-zA-Z]+{}|\\\"{\\i}|\$(-|\\[a-zA-Z]+)\$|{[][*]}|[-',]{}", "", written)
    assert not re.search(r"[\\&%$#_{}~^<>|`*]|\[|\]|''|,,", bare)


@given(labels)
def test_markdown_says_the_text_in_a_cell_a_paragraph_an_item_and_a_heading(text):
    text = spaced(spec.one_line(text))
    line = markup.markdown_line(text)
    of = f"| {markup.markdown_cell(text)} | b |\n|---|---|\n\n{line}\n\n- {line}\n- x\n\n## {line}\n"
    found = [spaced(cell) for cell in Cells(MARKDOWN.render(of)).found]
    assert [cell for cell in found if cell] == [text, "b", text, text, "x", text]


def spec_of(folder, row_labels, columns, draw=None):
    """A table's spec with these labels, through YAML."""
    made = {
        "table": "Table 1",
        "paper": row_labels[0],
        "title": row_labels[-1],
        "columns": [{"key": f"k{n}", "label": label, "unit": "BLEU"} for n, label in enumerate(columns)],
        "rows": [
            {"label": label, "group": label, "published": {f"k{c}": n + 1.0 for c in range(len(columns))}}
            for n, label in enumerate(row_labels)
        ],
    } | ({"draw": draw} if draw else {})
    path = folder / "t.yaml"
    path.write_text(json.dumps(made, ensure_ascii=False), encoding="utf-8")
    return spec.load(path)


@pytest.fixture(autouse=True)
def _closed():
    yield
    pyplot.close("all")


ONE_FOLDER = {"suppress_health_check": [HealthCheck.function_scoped_fixture], "deadline": None}


@given(st.lists(labels, min_size=1, max_size=4), st.lists(labels, min_size=1, max_size=3))
@settings(**ONE_FOLDER, max_examples=50)
@example(["[ours]", "a|b", "two\nlines", "$$"], ["from $5 to $10", "\\"])
def test_a_table_shows_its_labels_in_every_form(tmp_path, row_labels, columns):
    table = build(spec_of(tmp_path, row_labels, columns), RUN, tmp_path, tmp_path)
    rows, heads = ([spec.one_line(label) for label in found] for found in (row_labels, columns))

    found = [spaced(cell) for cell in Cells(MARKDOWN.render(tables.markdown(table))).found]
    width = len(heads) + 2
    body = found[found.index("published") - 1 :]
    assert [spaced(label) for label in heads] == found[found.index("", 2) + 2 :][: len(heads)]
    assert [spaced(label) for label in rows] == body[: 2 * width * len(rows) : 2 * width]

    tables.write_csv(table, tmp_path / "t.csv")
    with open(tmp_path / "t.csv", encoding="utf-8", newline="") as file:
        assert [line["row"] for line in csv.DictReader(file)] == [label for label in rows for _ in heads]

    inside = tables.latex(table).split("\\midrule\n", 1)[1].split("\\bottomrule")[0]
    lines = [line for line in inside.splitlines() if not line.startswith(("\\midrule", "\\addlinespace"))]
    assert [of_latex(line.split(" & ")[0]) for line in lines[::2]] == rows
    assert all(len(re.findall(r"(?<!\\)&", line)) == len(heads) + 1 and line[0] not in "[*" for line in lines)

    html = [spaced(cell) for cell in Cells(grids.section("p/t", table, set())).found]
    start = html.index("Row") + 1
    assert html[start : start + len(heads)] == [spaced(f"{label}BLEU") for label in heads]
    body = html[start + len(heads) :]
    groups = [n for n in range(len(rows)) if n == 0 or rows[n] != rows[n - 1]]
    shown = [part for n, label in enumerate(rows) for part in [label] * (2 if n in groups else 1)]
    assert [cell for cell in body if cell in map(spaced, rows)][: len(shown)] == list(map(spaced, shown))


@given(labels, labels)
@example("a|b\n\nc", "# x")
def test_claims_show_what_is_said(said, measured):
    text = spaced(spec.one_line(said))
    claim = {"id": "a", "claim": text, "source": text, "parts": []}
    result = claims.Result("a", 1, text, claims.HOLDS, measured=spaced(spec.one_line(measured)))
    written = claims.markdown({"title": text, "paper": text, "claims": [claim]}, [result], RUN)
    found = [spaced(cell) for cell in Cells(MARKDOWN.render(written)).found]
    assert text == found[0] and found.count(text) >= 2 and spaced(spec.one_line(measured)) in found
    html = pages.section("p/c", {"title": text, "paper": text, "claims": [claim]}, [result], RUN)
    assert {text, result.measured, claims.HOLDS} <= {spaced(cell) for cell in Cells(html).found}


@given(st.lists(labels, min_size=1, max_size=9), st.lists(labels, min_size=1, max_size=8))
@settings(**ONE_FOLDER, max_examples=15)
@example(["$$"] * 9, ["from $5 to $10"] * 8)
@example([f"row {n}" for n in range(30)], ["a"])
@pytest.mark.filterwarnings("ignore:Glyph", "ignore:constrained_layout", "ignore:Matplotlib currently does not support")
def test_a_figure_shows_its_labels_whatever_they_are_and_however_many(tmp_path, row_labels, columns):
    rows, heads = ([spec.one_line(label) for label in found] for found in (row_labels, columns))
    keys = [f"k{n}" for n in range(len(columns))]
    for draw in ({"kind": "groups", "series": keys}, {"kind": "bars", "value": "k0"}):
        table = build(spec_of(tmp_path, row_labels, columns, draw), RUN, tmp_path, tmp_path)
        table.entries.update({at: replace(entry, measured=1.0) for at, entry in table.entries.items()})
        drawn = figures.draw(table)
        drawn.savefig(tmp_path / "f.png", dpi=20)
        (axes,), (legend,) = drawn.axes, drawn.legends
        named = [text.get_text() for text in legend.get_texts()]
        if draw["kind"] == "groups":
            assert [text.get_text() for text in axes.get_xticklabels()] == rows and named == [*heads, "published"]
            colours = [handle.get_facecolor() for handle in legend.legend_handles[:-1]]
        else:
            groups = list(dict.fromkeys(rows))
            assert [text.get_text() for text in axes.get_yticklabels()] == rows
            assert named[2:] == (groups if len(groups) > 1 else [])
            colours = [handle.get_facecolor() for handle in legend.legend_handles[2:]]
        assert len(set(colours)) == len(colours)
        pyplot.close(drawn)


@given(st.lists(labels, min_size=1, max_size=9))
@settings(**ONE_FOLDER, max_examples=10)
@example(["$$", "from $5 to $10", *"abcdefg"])
@pytest.mark.filterwarnings("ignore:Glyph", "ignore:constrained_layout", "ignore:Matplotlib currently does not support")
def test_points_have_labels_whatever_they_are_and_however_many(tmp_path, row_labels):
    rows = list(dict.fromkeys(spec.one_line(label) for label in row_labels))
    table = build(
        spec_of(tmp_path, rows, ["x", "$y"], {"kind": "scatter", "x": "k0", "y": "k1"}), RUN, tmp_path, tmp_path
    )
    table.entries.update({(n, f"k{c}"): Entry(measured=n + c) for n in range(len(rows)) for c in (0, 1)})
    drawn = figures.draw(table)
    drawn.savefig(tmp_path / "f.png", dpi=20)
    (axes,) = drawn.axes
    assert [text.get_text() for text in axes.texts] == rows
    assert "$y" in axes.get_ylabel()
    colours = {to_hex(line.get_color()) for line in axes.lines}
    assert len(colours) == (len(rows) if len(rows) <= len(figures.COLOURS) else 1)
    pyplot.close(drawn)


@given(st.lists(labels, min_size=1, max_size=4), st.lists(labels, min_size=1, max_size=8))
@settings(**ONE_FOLDER, max_examples=8)
@example(["$$", "from $5 to $10", "two\nlines"], ["$x$", *"abcdefg"])
@pytest.mark.filterwarnings("ignore:Glyph", "ignore:constrained_layout", "ignore:Matplotlib currently does not support")
def test_lines_have_panels_and_names_whatever_they_are_and_however_many(tmp_path, row_labels, columns):
    rows, heads = ([spec.one_line(label) for label in found] for found in (row_labels, columns))
    draw = {"kind": "lines", "series": [f"k{n}" for n in range(len(columns))]}
    drawn = figures.draw(build(spec_of(tmp_path, row_labels, columns, draw), RUN, tmp_path, tmp_path))
    drawn.savefig(tmp_path / "f.png", dpi=20)
    panels = {axes.get_title(): [text.get_text() for text in axes.get_xticklabels()] for axes in drawn.axes}
    assert panels == {label: [label] * rows.count(label) for label in rows}
    (legend,) = drawn.legends
    assert [text.get_text() for text in legend.get_texts()] == [*heads, "published"]
    assert len({to_hex(handle.get_color()) for handle in legend.legend_handles[:-1]}) == len(heads)
    pyplot.close(drawn)
