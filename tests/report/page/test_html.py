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
    made = html.document("a & <b>", "<ul></ul>", "<p>x</p>\n")
    assert made.startswith('<!DOCTYPE html>\n<html lang="en">') and "<title>a &amp; &lt;b&gt;</title>" in made
    assert '<nav class="contents" aria-label="Contents">\n<ul></ul></nav>\n<main id="main">\n<p>x</p>\n</main>' in made
    for name in ("style.css", "script.js"):
        assert (html.HERE / name).read_text("utf-8") in made
    assert "<nav" not in html.document("t", "", "")
    twice = html.document("t", "", "", styles=["style.css"], scripts=["script.js"])
    assert twice.count('"use strict"') == 2 and twice.count(":root { --ink") == 4


def test_names_of_files_and_anchors():
    assert html.dotted("mple/table1") == "mple.table1"
    assert html.path(Path("r"), "tables", "mple/table1.x") == Path("r/tables/mple.table1.x")
    assert html.paper({"paper": "MPLE: a paper: more"}) == "MPLE" and html.paper({"paper": "ours"}) == "ours"
    assert (
        html.links("tables", "p/t", {"md": "Markdown"}) == '<p class="files"><a href="tables/p.t.md">Markdown</a></p>'
    )
    assert html.notes(["a & b", "c"]) == '<ul class="notes"><li>a &amp; b</li><li>c</li></ul>'
