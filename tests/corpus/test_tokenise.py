import marshal
import tempfile
import unicodedata

import jieba
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.corpus.tokenise import tokeniser


@pytest.mark.parametrize(
    ("scheme", "language", "line", "tokens"),
    [
        ("moses", "en", "Don't stop, it's 5,300.50!", "Don 't stop , it 's 5,300.50 !"),
        ("moses", "de", "„Das ist z. B. gut“, sagte er.", '" Das ist z. B. gut " , sagte er .'),
        ("moses", "en", 'R&D <b> [x] | "y"', 'R & D < b > [ x ] | " y "'),
        ("moses", "ro", "Aşa e, nu-i aşa?", "Aşa e , nu-i aşa ?"),
        ("jieba", "zh", "我来到北京清华大学。", "我 来到 北京 清华大学 。"),
        ("jieba", "en", "He came.", "He came ."),
        ("none", "en", " Don't  stop. ", "Don't stop."),
    ],
)
def test_examples(scheme, language, line, tokens):
    assert tokeniser(scheme, language, False)(line) == tokens


@pytest.mark.parametrize(
    "left", [marshal.dumps(({"我来": 9}, 9)), b"torn", None], ids=["another dictionary", "torn", "a folder"]
)
def test_words_do_not_depend_on_what_another_program_left_as_jiebas_cache(tmp_path, monkeypatch, caplog, left):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cache = tmp_path / "jieba.cache"
    cache.mkdir() if left is None else cache.write_bytes(left)
    monkeypatch.setattr(jieba, "dt", jieba.Tokenizer())  # as in a process that has cut nothing yet
    monkeypatch.setattr(jieba, "cut", jieba.dt.cut)
    tokeniser.cache_clear()
    assert tokeniser("jieba", "zh", False)("我来到北京清华大学。") == "我 来到 北京 清华大学 。"
    assert [path.name for path in tmp_path.iterdir()] == ["jieba.cache"] and not caplog.records


def test_lowercase_and_nfc():
    decomposed = unicodedata.normalize("NFD", "Ärzte")
    assert decomposed != "Ärzte"
    assert tokeniser("moses", "de", True)(decomposed) == "ärzte"
    assert tokeniser("none", "de", False)(decomposed) == "Ärzte"


@settings(deadline=None)
@given(st.text(max_size=40), st.sampled_from(["moses", "jieba", "none"]), st.sampled_from(["en", "de", "zh"]))
def test_tokens_are_one_line_of_single_spaces(line, scheme, language):
    tokens = tokeniser(scheme, language, False)(line)
    assert tokens == " ".join(tokens.split())


@settings(deadline=None)
@given(st.lists(st.text("abcdeä", min_size=1, max_size=6), max_size=8))
def test_words_stay_words(words):
    assert tokeniser("moses", "de", False)(" ".join(words)).split() == words
