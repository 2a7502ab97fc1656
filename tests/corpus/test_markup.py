import gzip
import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.corpus.markup import is_markup, read_text
from natlab.errors import UserError

OLD = """<srcset setid="t" srclang="any"><doc sysid="ref" docid="a"><hl><seg id="1">One</seg></hl>
<p><seg id="2">Two
and a half</seg></p></doc><doc docid="b"><seg id="1">Three</seg></doc></srcset>"""


def sentences(tmp_path, content, language="de", name="file.sgm"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [list(of.values()) for of in read_text(path, language).sentences.values()]


@pytest.mark.parametrize("content", [OLD, OLD.replace("</seg>", ""), OLD.replace('"', "").upper().replace("SEGS", "")])
def test_segments_over_lines_without_ends_and_in_capitals(tmp_path, content):
    found = [sentence.capitalize() for [sentence] in sentences(tmp_path, content)]
    assert found == ["One", "Two and a half", "Three"]


def test_entities_and_characters_that_mean_themselves(tmp_path):
    given = "&lt;unk&gt; R&amp;D AT&T &#228;&#x20AC; &quot; 2 < 3 <3 a<b <http://x.org> &apos;s"
    meant = "<unk> R&D AT&T ä€ \" 2 < 3 <3 a<b <http://x.org> 's"
    assert sentences(tmp_path, f'<doc docid="a"><seg id="1">{given}</seg></doc>') == [[meant]]
    assert sentences(tmp_path, '<doc><!-- <seg>no</seg> --><seg id="1"><![CDATA[a <b> & c]]></seg></doc>') == [
        ["a <b> & c"]
    ]


WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=8)


@given(st.lists(st.lists(WORDS, max_size=4).map(" ".join), min_size=1, max_size=5), st.booleans())
def test_any_sentences_come_back(tmp_path_factory, texts, closed):
    end = "</seg>" if closed else ""
    lines = (f'<seg id="{i}">{html.escape(text)}{end}' for i, text in enumerate(texts))
    content = '<refset trglang="de"><doc docid="a" sysid="ref">' + "\n".join(lines) + "</doc></refset>"
    assert sentences(tmp_path_factory.mktemp("any"), content) == [[text] for text in texts]


def test_several_translations_of_one_document_stand_side_by_side(tmp_path):
    content = "<refset>" + "".join(
        f'<doc docid="d" sysid="{name}"><seg id="1">{name}1</seg><seg id="2">{name}2</seg></doc>' for name in "rs"
    )
    assert sentences(tmp_path, content) == [["r1", "s1"], ["r2", "s2"]]


def test_systems_outputs_are_not_references_and_languages_have_regions(tmp_path):
    content = """<dataset id="x"><collection><doc id="a" origlang="en">
        <src lang="en-GB"><p><seg id="1">E</seg></p></src>
        <hyp system="S" lang="de"><p><seg id="1">no</seg></p></hyp>
        <ref lang="de_DE" translator="A"><p><seg id="1">D</seg></p></ref></doc></collection></dataset>"""
    assert sentences(tmp_path, content, "de") == [["D"]] and sentences(tmp_path, content, "en") == [["E"]]
    with pytest.raises(UserError, match=r"file.sgm: has no text in fr, but in de, en; name the file that has it"):
        sentences(tmp_path, content, "fr")


@pytest.mark.parametrize(
    "content",
    [
        "<html><body>Please log in</body></html>",
        '<?xml version="1.0"?><tmx><body><tu><tuv xml:lang="en"><seg>a</seg></tuv></tu></body></tmx>',
        "plain text",
    ],
)
def test_other_mark_up_is_refused(tmp_path, content):
    with pytest.raises(UserError, match="not a segment file"):
        sentences(tmp_path, content)


def test_what_is_mark_up_is_seen_by_name_or_first_line(tmp_path):
    for name, content, expected in [
        ("a.sgm", b"x", True),
        ("a.SGML", b"x", True),
        ("a.xml.gz", gzip.compress(b"x"), True),
        ("a", b'\xef\xbb\xbf<?xml version="1.0"?>\n', True),
        ("a.en", b'<refset setid="x">\n', True),
        ("a.txt", b"<unk> is a token\n", False),
        ("a.gz", gzip.compress(b'<srcset setid="x">\n'), True),
        ("train.tags.de-en.de", b"<doc>\n", False),
    ]:
        (tmp_path / name).write_bytes(content)
        assert is_markup(tmp_path / name) is expected, name
