import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.corpus import subwords
from natlab.errors import UserError

CODES = "#version: 0.2\nl o\nlo w</w>\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("#version: 0.2\nl o\nlow\n", "line 3: 'low' is not two symbols"),
        ("l o w\n", "line 1: 'l o w' is not two symbols"),
        ("", "empty file"),
    ],
)
def test_malformed_code_file(tmp_path, content, message):
    (tmp_path / "codes").write_text(content)
    with pytest.raises(UserError, match=message):
        subwords.load_codes(tmp_path / "codes")


def test_missing_code_file(tmp_path):
    with pytest.raises(UserError, match="codes: no such file"):
        subwords.load_codes(tmp_path / "codes")


@settings(deadline=None)
@given(st.lists(st.text("lowner", min_size=1, max_size=8), max_size=6))
def test_joined_undoes_encoding(tmp_path_factory, words):
    codes = tmp_path_factory.getbasetemp() / "codes"
    codes.write_text(CODES)
    assert subwords.joined(subwords.load_codes(codes).segment(" ".join(words))) == " ".join(words)


def test_a_word_that_is_cut_off_is_joined_too():
    assert subwords.joined("new@@ er lo@@") == "newer lo"
