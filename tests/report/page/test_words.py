"""Abbreviations say what they mean where they stand and in a list; nothing else of a text is changed."""

import re
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from natlab.report.page import words

parts = st.sampled_from(["AT", "NAT", "BLEU", "raw", "KL", " ", "-", "&", "<", '"', "amp;", "lt", "#", "x"]) | st.text(
    max_size=2
)


@given(st.lists(parts, max_size=8).map("".join))
def test_the_text_stays_as_it_was(text):
    assert unescape(re.sub("<[^>]*>", "", words.marked(text))) == text


def test_words_are_marked_where_they_stand_whole_and_by_themselves():
    marked = words.marked("NATs of NAT-CTC & NAT, nat; raw")
    assert re.findall('<abbr title="[^"]+">(.*?)</abbr>', marked) == ["NAT", "CTC", "NAT"]
    assert re.sub("<[^>]*>", "", marked) == "NATs of NAT-CTC &amp; NAT, nat; raw"
    marked = words.marked("AEQA-DAT and AEQA-NAT of L_NAT, L_DAT")
    assert re.findall('<abbr title="[^"]+">(.*?)</abbr>', marked) == ["AEQA-DAT", "AEQA", "NAT", "L_NAT"]
    assert words.marked("AT&AT") == words.marked("AT") + "&amp;" + words.marked("AT")


def test_the_list_has_the_words_that_are_shown():
    shown = words.section('<p title="KL">AT and <b>raw</b>, BLEUs with beam 50, L_AXE</p>')
    assert re.findall("<dt>(.*?)</dt>", shown) == ["AT", "raw"]
    assert "<dt>Williams' t</dt>" in words.section("<p>by Williams&#x27; t</p>")
    assert "<dt>beam 5</dt>" in words.section("<p>with beam 5</p>")
    assert words.WORDS["AT"] in shown
    assert len(words.WORDS) == len({text.lower() for text in words.WORDS})
