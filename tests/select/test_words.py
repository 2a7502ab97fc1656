"""Words of binarised sentences: the same for the same text, however it was split."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.corpus.binarise import OWN, SPECIALS, read_symbols, symbol_index, write_mmap
from natlab.corpus.bpe import joined
from natlab.errors import UserError
from natlab.select.words import Sentences, Words, word

SYMBOLS = ["a", "b", "ab", "a@@", "b@@", "ab@@", "ba@@", "é@@", ",", "</s>"]
sentence = st.lists(st.sampled_from([*SYMBOLS, "<unk>"]), min_size=1, max_size=12)


def binarised(folder: Path, lines: list[str]) -> tuple[Words, Sentences]:
    flagged = (f"{symbol} 1{OWN if symbol in SPECIALS else ''}\n" for symbol in SYMBOLS)
    (folder / "dict.txt").write_text("".join(flagged), encoding="utf-8")
    write_mmap(lines, symbol_index(read_symbols(folder / "dict.txt")), folder / "side")
    return Words(folder / "dict.txt"), Sentences(folder / "side")


@given(st.lists(sentence, min_size=1, max_size=6))
def test_words_are_those_of_the_joined_text(tmp_path_factory, sentences):
    lines = [" ".join(symbols) for symbols in sentences]
    words, side = binarised(tmp_path_factory.mktemp("words"), lines)
    found = [made.tolist() for made in words.sentences(side)]
    # a lone separator is a word without characters
    expected = [[word(text) for text in joined(line).split(" ")] for line in lines]
    assert found == expected


def test_words_that_differ_have_different_hashes():
    texts = ["".join(chr(97 + (n >> shift) % 4) for shift in range(0, 16, 2)) for n in range(4**8)]
    assert len({word(text) for text in texts}) == len(set(texts)) == 4**8
    assert word("ab") != word("ba") and -(2**63) <= word("x" * 100) < 2**63


def test_a_part_of_the_sentences_is_read(tmp_path):
    words, side = binarised(tmp_path, ["a b", "ab@@ a", "b", "a@@ b@@"])
    flat, lengths = words.of(side.flat(1, 4))
    assert lengths.tolist() == [1, 1, 1] and flat.tolist() == [word("aba"), word("b"), word("ab")]
    assert len(side) == 4


@pytest.mark.parametrize("damage", ["missing", "short"])
def test_what_is_no_binarised_side_is_refused(tmp_path, damage):
    binarised(tmp_path, ["a b"])
    index = tmp_path / "side.idx"
    index.unlink() if damage == "missing" else index.write_bytes(index.read_bytes()[:20])
    with pytest.raises(UserError, match="make the folder again"):
        Sentences(tmp_path / "side")


def test_hashes_of_long_words_wrap_as_they_do_one_character_after_another(tmp_path):
    words, side = binarised(tmp_path, [" ".join(["ba@@"] * 40 + ["a"])])
    assert np.concatenate(list(words.sentences(side))).tolist() == [word("ba" * 40 + "a")]
