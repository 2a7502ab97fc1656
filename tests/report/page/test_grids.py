"""A table on the page: published values beside measured ones, each cell with what it is sorted by and leads to."""

import re

from tests.report.whole import HOSTILE, PAPER, RUN, SENTENCE

from natlab.report import tables
from natlab.report.filled import Entry, Table
from natlab.report.page import grids

SPEC = {
    "table": "Table 1",
    "paper": "MPLE: <em>not a tag</em>",
    "title": "A & B",
    "columns": [
        {"key": "bleu", "label": "BLEU", "unit": "BLEU"},
        {"key": "speed", "label": "speed", "unit": "x", "digits": 1},
    ],
    "rows": [{"label": "KD", "group": "NAT"}, {"label": "AXE", "group": "NAT"}],
}
VALUES = {
    (0, "bleu"): Entry(published=20.87, measured=21.5, std=0.707, seeds=(1, 2)),
    (0, "speed"): Entry(published=15.3, measured=6.0, std=0.0, seeds=(1, 2)),
    (1, "bleu"): Entry(published=22.22),
}


def filled(spec=SPEC, values=VALUES, run=RUN):
    places = [(n, column["key"]) for n in range(len(spec["rows"])) for column in spec["columns"]]
    return Table(spec, run, {place: values.get(place, Entry()) for place in places})


def body(spec, values=VALUES, known=(), run=RUN):
    """The lines of a table's body."""
    found = grids.section("p/t", filled(spec, values, run), set(known))
    return found.partition("</thead>\n")[2].partition("</table>")[0].splitlines()


def test_a_difference_stands_only_where_the_papers_own_corpus_was_measured():
    """Of another one it is none of reproduction; what is derived has one where all of its row is the paper's."""
    columns = [
        {"key": "bleu", "label": "BLEU", "cell": {"metric": "bleu_tok", "corpus": "wmt14_ende"}},
        {"key": "other", "label": "BLEU", "cell": {"metric": "bleu_tok", "corpus": "wmt16_enro"}},
        {"key": "gap", "label": "gap", "minus": ["bleu", "other"]},
    ]
    rows = [{"label": "KD", "cell": {"system": "kd", "decoding": "argmax"}}]
    spec = SPEC | {"columns": columns, "rows": rows}
    values = {(0, column["key"]): Entry(published=20.0, measured=21.5) for column in columns}
    for datasets, shown in (
        ({"wmt14_ende": "wmt14_ende", "wmt16_enro": "wmt16_enro"}, 3),
        ({"wmt14_ende": "wmt14_ende", "wmt16_enro": "ds"}, 1),
        ({"wmt14_ende": "ds", "wmt16_enro": "ds"}, 0),
    ):
        lines = "".join(body(spec, values, run=RUN | {"corpora": datasets}))
        assert lines.count('<span class="difference">+1.50</span>') == shown
        assert lines.count('<span class="published">20.00') == 3


def test_a_table_line_by_line():
    copying = "".join(
        f'<button type="button" data-copy="{kind}" data-of="mple.table1">{text}</button>'
        for kind, text in (("csv", "CSV"), ("md", "Markdown"), ("tex", "LaTeX"))
    )
    heads = "".join(
        f'<th scope="col"><button type="button" class="sort">{label}</button><span class="unit">{unit}</span></th>'
        for label, unit in (("Row", ""), ("BLEU", "BLEU"), ("speed", "x"))
    )
    links = "".join(
        f'{between}<a href="tables/mple.table1.{ending}">{text}</a>'
        for between, ending, text in (
            ("", "csv", "CSV, a line a cell"),
            (" · ", "md", "Markdown"),
            (" · ", "tex", "LaTeX"),
        )
    )
    assert grids.section("mple/table1", filled(), {(0, "bleu")}).splitlines() == [
        '<section id="mple.table1">',
        "<h3>Table 1: A &amp; B</h3>",
        '<p class="soft">MPLE: &lt;em&gt;not a tag&lt;/em&gt;. </p>',
        '<div class="tools"><button type="button" data-fold="mple.table1.rows" aria-pressed="true">'
        f"Show the row that nothing here measured</button><span>Copy as</span>{copying}</div>",
        '<div class="scroll" role="region" aria-label="MPLE, Table 1" tabindex="0">',
        '<table class="results" id="mple.table1.rows">',
        f"<thead><tr>{heads}</tr>",
        "</thead>",
        "<tbody>",
        '<tr><th class="group" scope="rowgroup" colspan="3"><abbr title="non-autoregressive Transformer: it writes all '
        'tokens at once">NAT</abbr></th></tr>',
        '<tr><th scope="row"><abbr title="knowledge distillation: training on a teacher&#x27;s translations in place '
        'of the references">KD</abbr></th>'
        '<td data-value="21.5"><button type="button" class="value" data-at="mple.table1|0|bleu" title="KD, BLEU">21.50'
        '</button><span class="spread"> ± 0.71</span><span class="published">20.87</span>'
        '</td><td data-value="6"><span class="measured">6.0</span><span class="spread"> ± 0.0</span>'
        '<span class="published">15.3</span></td></tr>',
        '<tr class="unfilled"><th scope="row"><abbr title="aligned cross entropy (Ghazvininejad et al. 2020): the loss '
        'of the best monotonic alignment">AXE</abbr></th>'
        '<td data-value="22.22"><span class="none">–</span><span class="published">22.22</span></td>'
        '<td><span class="none">–</span></td></tr>',
        "</tbody>",
        "</table>",
        "</div>",
        "",
        '<ul class="notes"><li>In bold what was measured here; below it what the paper prints and, where it can be '
        "told, the difference.</li><li>Measured: run small, scale demo, seeds 1, 2; mean ± sample standard deviation "
        "over seeds.</li><li>Difference: measured less published. –: nothing measured.</li></ul>",
        f'<p class="files">{links}</p>',
        "</section>",
    ]  # fmt: skip


def test_rows_of_ours_quotations_descriptions_and_stand_ins_are_marked():
    spec = SPEC | {
        "caption": "A <caption>.",
        "columns": [{"key": "n", "label": "#", "descriptive": True, "digits": 0}, SPEC["columns"][0]],
        "rows": [
            {"label": "a", "cell": {"corpus": "wmt14_ende"}, "published": {"n": 5}},
            {"label": "b", "group": "more", "ours": True},
            {"label": "c", "group": "more", "quoted": True},
            {"label": "d", "group": "last"},
        ],
    }
    values = {(0, "n"): Entry(published=5), (0, "bleu"): Entry(measured=21.5), (2, "bleu"): Entry(published=30.0)}
    assert body(spec, values) == [
        "<tbody>",
        '<tr><th scope="row">a<span class="published">ds</span></th><td data-value="5">5</td>'
        '<td data-value="21.5"><span class="measured">21.50</span></td></tr>',
        "</tbody>",
        '<tbody class="unfilled">',
        '<tr><th class="group" scope="rowgroup" colspan="3">more</th></tr>',
        '<tr class="ours unfilled"><th scope="row">b *</th><td></td><td><span class="none">–</span></td></tr>',
        '<tr class="quoted unfilled"><th scope="row">c<span class="tag">quoted</span></th><td></td><td>30.00</td></tr>',
        "</tbody>",
        '<tbody class="unfilled">',
        '<tr><th class="group" scope="rowgroup" colspan="3">last</th></tr>',
        '<tr class="unfilled"><th scope="row">d</th><td></td><td><span class="none">–</span></td></tr>',
        "</tbody>",
    ]
    assert "A &lt;caption&gt;.</p>" in grids.section("p/t", filled(spec, values), set())


def test_a_quoted_row_is_not_sorted_among_those_that_could_be_measured():
    """It is a row of the paper's, by other means; it stands last."""
    spec = SPEC | {"rows": [{"label": "a", "quoted": True}, {"label": "b"}]}
    lines = body(spec, {(0, "bleu"): Entry(published=30.0), (1, "bleu"): Entry(published="L")})
    assert not any("data-value" in line for line in lines)


def test_values_sort_by_what_was_measured_else_by_what_was_published():
    values = {(0, "bleu"): Entry(published=1.0, measured=-2.5), (0, "speed"): Entry(published=15.25)}
    assert re.findall(r'data-value="([^"]*)"', body(SPEC, values)[2]) == ["-2.5", "15.25"]


def test_texts_are_shown_as_they_are_and_are_no_numbers():
    """A text with ± is no mean with a deviation."""
    spec = SPEC | {"columns": [{"key": "text", "label": "a sample", "text": True}], "rows": [{"label": "x"}]}
    table = filled(spec, {(0, "text"): Entry(measured="a ± <b>")})
    shown = grids.section("p/t", table, set())
    assert '<td class="text"><span class="measured">a ± &lt;b&gt;</span></td>' in shown
    assert '<th scope="col" class="text">a sample<span class="unit"></span></th>' in shown
    leads = grids.section("p/t", table, {(0, "text")})
    assert 'title="x, a sample">a ± &lt;b&gt;</button></td>' in leads


def test_a_table_that_is_mostly_unmeasured_is_folded_and_one_that_is_wholly_so_is_not():
    rows = [{"label": str(n)} for n in range(3)]
    mostly = grids.section("p/t", filled(SPEC | {"rows": rows}), set())
    assert 'class="results folded"' in mostly
    assert 'data-fold="p.t.rows" aria-pressed="false">Show the 2 rows that nothing here measured</button>' in mostly
    for values in ({}, {(n, "bleu"): Entry(measured=1.0) for n in range(3)}):
        shown = grids.section("p/t", filled(SPEC | {"rows": rows}, values), set())
        assert 'class="results"' in shown and "data-fold" not in shown


def test_values_that_are_surely_above_or_below_the_baseline_are_marked_and_the_marks_explained():
    of_kd = {"measured": 20.0, "baseline": "KD"}
    rows = [{"label": "KD"}, *({"label": str(n)} for n in range(3))]
    values = {(0, "bleu"): Entry(measured=20.0)}
    values |= {(n, "bleu"): Entry(**of_kd, above=above) for n, above in enumerate((0.981, 0.5, 0.02), 1)}
    shown = grids.section("p/t", filled(SPEC | {"rows": rows}, values), set())
    assert re.findall('<span class="sure" role="img" aria-label="(.*?)" title="(.*?)">(.)</span>', shown) == [
        (*["above KD, 98.1 % of resamples above"] * 2, "▲"), (*["below KD, 2.0 % of resamples above"] * 2, "▼"),
    ]  # fmt: skip
    assert "<li>▲, ▼: above, below “KD” in at least 97.5 % of resamples of the test sentences and the seeds" in shown
    one = grids.section("p/t", filled(SPEC | {"rows": rows}, values, RUN | {"seeds": [1]}), set())
    assert "of the test sentences; other seeds could say otherwise (paired bootstrap)" in one
    del values[1, "bleu"], values[3, "bleu"]
    unsure = grids.section("p/t", filled(SPEC | {"rows": rows}, values), set())
    assert "▲" not in unsure and "bootstrap" not in unsure


def test_missing_seeds_are_said_with_the_deviation():
    values = {(0, "bleu"): Entry(measured=20.0, std=1.0, seeds=(1, 2))}
    line = body(SPEC, values, run=RUN | {"seeds": [1, 2, 3]})[2]
    assert '<span class="measured">20.00</span><span class="spread"> ± 1.00 (n=2)</span>' in line


def test_a_figure_has_its_picture_in_the_page_and_its_values_folded_away():
    lines = grids.figure("mple/figure5", filled(SPEC | {"table": "Figure 5"}), b"<svg/>", set()).splitlines()
    assert lines[1] == "<h3>Figure 5: A &amp; B</h3>"
    assert lines[3] == '<figure><img alt="A &amp; B" src="data:image/svg+xml;base64,PHN2Zy8+"></figure>'
    assert lines[4] == "<details><summary>Its values</summary>" and lines[-3] == "</details>"
    assert re.findall('href="([^"]*)">', lines[-2]) == [
        f"figures/mple.figure5.{e}" for e in "svg pdf png csv md".split()
    ]
    assert any('id="mple.figure5.rows"' in line for line in lines[4:-3])


def test_what_is_copied_is_the_table_in_each_form():
    table = filled()
    assert grids.copies(table) == {
        "csv": tables.values_csv(table), "md": tables.markdown(table), "tex": tables.latex(table),
    }  # fmt: skip


def test_labels_and_texts_from_outside_make_no_tags():
    spec = SPEC | {
        "paper": PAPER,
        "title": HOSTILE,
        "caption": HOSTILE,
        "columns": [{"key": "k", "label": HOSTILE, "unit": HOSTILE}, {"key": "t", "label": HOSTILE, "text": True}],
        "rows": [{"label": HOSTILE, "group": HOSTILE}],
    }
    values = {(0, "k"): Entry(published=HOSTILE, measured=1.0), (0, "t"): Entry(measured=SENTENCE)}
    for known in (set(), {(0, "k"), (0, "t")}):
        for shown in (
            grids.section("p/t", filled(spec, values), known),
            grids.figure("p/t", filled(spec, values), b"", known),
        ):
            assert "alert(1)" in shown and "<script" not in shown and shown.count("</table>") == 1
            assert '"double"' not in shown and "'single'" not in shown
