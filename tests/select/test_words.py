"""Words of binarised sentences: the same for the same text, however it was split."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.corpus.binarise import write_mmap
from natlab.corpus.subwords import joined
from natlab.corpus.vocabulary import OWN, SPECIALS, read_symbols, symbol_index
from natlab.errors import UserError
from natlab.select.words import Sentences, Words, character, padded, word

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
    with pytest.raises(UserError) as refused:
        Sentences(tmp_path / "side")
    problem = f"{index}: no such file" if damage == "missing" else f"{tmp_path / 'side'}: not a binarised split ("
    assert str(refused.value).startswith(problem) and str(refused.value).endswith("; make the folder again")


def test_hashes_of_long_words_wrap_as_they_do_one_character_after_another(tmp_path):
    words, side = binarised(tmp_path, [" ".join(["ba@@"] * 40 + ["a"])])
    assert np.concatenate(list(words.sentences(side))).tolist() == [word("ba" * 40 + "a")]


def test_characters_are_hashed_as_splitmix64_does():
    """The first numbers of the generator of Steele et al. (2014) from seed 0, as published with it."""
    assert [character(n) for n in (1, 2, 3)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert character(0) == 0 and word("") == 0


def test_a_words_hash_is_a_polynomial_of_its_characters():
    first, second = character(ord("a")), character(ord("é"))
    expected = (first * 0x9E3779B97F4A7C15 + second) % 2**64
    assert word("aé") % 2**64 == expected and -(2**63) <= word("aé") < 2**63
    assert word("a") % 2**64 == first and {word(letter) < 0 for letter in "abcdefgh"} == {True, False}


def test_sentences_are_padded_with_zeros_to_the_longest():
    words, lengths = padded(np.array([5, 6, 7, 8]), np.array([1, 0, 3]))
    assert words.tolist() == [[5, 0, 0], [0, 0, 0], [6, 7, 8]] and lengths.tolist() == [1, 0, 3]
    assert padded(np.array([], dtype=np.int64), np.array([0, 0]))[0].tolist() == [[0], [0]]
    assert padded(np.array([], dtype=np.int64), np.array([], dtype=np.int64))[0].shape == (0, 1)


def test_tokens_of_a_stretch_are_64_bit_numbers_with_each_eos(tmp_path):
    words, side = binarised(tmp_path, ["a b", "ab@@ a", "b"])
    assert side.flat(0, 3).tolist() == [4, 5, 2, 9, 4, 2, 5, 2] and side.flat(1, 2).tolist() == [9, 4, 2]
    assert side.flat(1, 2).dtype == side.lengths.dtype == np.int64 and side.lengths.tolist() == [3, 3, 2]


def test_a_dictionarys_symbol_may_hold_a_space(tmp_path):
    (tmp_path / "dict.txt").write_text("a b@@ 7\nc 12\n")
    words = Words(tmp_path / "dict.txt")
    assert words.continues.tolist() == [False] * 4 + [True, False]
    assert words.hashes.tolist() == [word(text) for text in (*SPECIALS, "a b", "c")]
    assert words.sizes.tolist() == [*map(len, SPECIALS), 3, 1]


def test_sentences_without_words_keep_their_place(tmp_path):
    words, side = binarised(tmp_path, ["a", "", "b@@"])
    assert [made.tolist() for made in words.sentences(side)] == [[word("a")], [], [word("b")]]
