"""What pages share: the document, data for its script, names of files and anchors."""

import json
import re
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from natlab.report.page import html

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(json_values)
@settings(max_examples=30)
@example("</script><script>alert(1)</script><!-- & \u2028 \" '")
def test_data_comes_back_as_it_was_and_ends_no_script(value):
    found = html.data("name", value)
    inside = re.fullmatch('<script type="application/json" id="name">(.*)</script>\n', found, re.DOTALL)[1]
    assert json.loads(inside) == value and "<" not in inside


def test_a_document_holds_its_style_and_its_script():
    contents = {"": {"#a": "A & B"}, "None": {}, "More <": {"x?a&b": "x"}}
    made = html.document("a & <b>", contents, "<p>x</p>\n")
    assert made.startswith('<!DOCTYPE html>\n<html lang="en">') and "<title>a &amp; &lt;b&gt;</title>" in made
    assert '</nav>\n<main id="main">\n<p>x</p>\n</main>' in made
    links = made.partition("<ul>\n")[2].partition("\n</ul>")[0]
    assert links.splitlines() == [
        '<li><a href="#a">A &amp; B</a></li>', '<li class="head">More &lt;</li>', '<li><a href="x?a&amp;b">x</a></li>',
    ]  # fmt: skip
    for name in ("style.css", "script.js"):
        assert (html.HERE / name).read_text("utf-8") in made
    assert "<nav" not in html.document("t", {}, "")
    more = html.document("t", {}, "", styles=["corpora.css"], scripts=["sentences.js"])
    for before, name in (("style.css", "corpora.css"), ("script.js", "sentences.js")):
        assert "".join((html.HERE / of).read_text("utf-8") for of in (before, name)) in more


def test_a_plain_table_scrolls_sideways_and_has_a_name():
    made = html.listing("a & b", ["x", "<"], [("<b>1</b>", "2"), ("3", "4")], style="s")
    assert made == (
        '<div class="scroll" role="region" aria-label="a &amp; b" tabindex="0">\n<table class="s"><thead><tr>'
        '<th scope="col">x</th><th scope="col">&lt;</th></tr></thead>\n<tbody>\n<tr><th scope="row"><b>1</b></th>'
        '<td>2</td></tr>\n<tr><th scope="row">3</th><td>4</td></tr>\n</tbody></table>\n</div>\n'
    )


def test_names_of_files_and_anchors():
    assert html.dotted("mple/table1") == "mple.table1"
    assert html.path(Path("r"), "tables", "mple/table1.x") == Path("r/tables/mple.table1.x")
    assert html.paper({"paper": "MPLE: a paper: more"}) == "MPLE" and html.paper({"paper": "ours"}) == "ours"
    assert (
        html.links("tables", "p/t", {"md": "Markdown"}) == '<p class="files"><a href="tables/p.t.md">Markdown</a></p>'
    )
    assert html.notes(["a & b", "c"]) == '<ul class="notes"><li>a &amp; b</li><li>c</li></ul>'
