import pytest

from natlab.corpus.detokenise import detokenised


@pytest.mark.parametrize(
    ("language", "tokens", "text"),
    [
        ("de", "Heute kauft der Mann , der da ist , ein Auto .", "Heute kauft der Mann, der da ist, ein Auto."),
        ("en", "it 's a man 's ( old ) car .", "it's a man's (old) car."),
        ("zh", "我 在 New York 读 了 3 本 书 。", "我在New York读了3本书。"),
        ("de", "A &amp; B .", "A &amp; B."),
        ("de", "", ""),
    ],
)
def test_detokenised(language, tokens, text):
    assert detokenised([tokens], language) == [text]


def test_chinese_needs_no_spaces_and_latin_words_keep_theirs():
    assert detokenised(["我 a 我 b c 3 。 d", "我", ""], "zh") == ["我a我b c 3。d", "我", ""]
    assert detokenised(["x , y"], "zh") == ["x,y"]
