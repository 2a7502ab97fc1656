import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.corpus.binarise import binarise, dictionary, write_mmap
from natlab.corpus.vocabulary import SPECIALS, read_symbols


@pytest.fixture(scope="module")
def fairseq():
    from natlab import compat

    compat.apply()
    import fairseq.data

    return fairseq.data


@pytest.fixture
def bpe(tmp_path):
    folder = tmp_path / "bpe"
    folder.mkdir()
    lines = {"src": ["a b@@ c", "c c", ""], "tgt": ["x y", "x", "z@@ x"]}
    for side, train in lines.items():
        (folder / f"train.{side}").write_text("".join(f"{line}\n" for line in train))
        for split in ("valid", "test"):
            (folder / f"{split}.{side}").write_text("a x new\n")
    return folder


def test_fairseq_reads_what_was_written(fairseq, bpe, tmp_path):
    binarise(True, bpe, tmp_path / "bin")
    for side in ("src", "tgt"):
        symbols = fairseq.Dictionary.load(str(tmp_path / "bin" / f"dict.{side}.txt"))
        assert len(symbols) % 8 == 0
        for split in ("train", "valid", "test"):
            data = fairseq.data_utils.load_indexed_dataset(str(tmp_path / "bin" / f"{split}.src-tgt.{side}"), symbols)
            lines = (bpe / f"{split}.{side}").read_text().splitlines()
            assert len(data) == len(lines)
            for ids, line in zip((data[i] for i in range(len(data))), lines, strict=True):
                assert ids.tolist() == symbols.encode_line(line, add_if_not_exist=False).tolist()
            assert data.sizes.tolist() == [len(line.split()) + 1 for line in lines]


def test_one_dictionary_when_joint_and_two_when_not(bpe, tmp_path):
    binarise(True, bpe, tmp_path / "joint")
    binarise(False, bpe, tmp_path / "separate")
    joint, separate = (
        [(tmp_path / name / f"dict.{side}.txt").read_text() for side in ("src", "tgt")]
        for name in ("joint", "separate")
    )
    assert joint[0] == joint[1] and separate[0] != separate[1]
    assert joint[0].startswith("c 3\nx 3\n") or joint[0].startswith("x 3\n")


def test_unknown_symbols_are_counted(bpe, tmp_path):
    binarise(True, bpe, tmp_path / "bin")
    stats = json.loads((tmp_path / "bin" / "stats.json").read_text())
    assert stats["splits"]["test"] == {
        "sentences": {"src": 1, "tgt": 1},
        "tokens": {"src": 3, "tgt": 3},
        "unknown": {"src": 1, "tgt": 1},
    }
    assert stats["dictionary"] == {"src": 16, "tgt": 16}


def test_words_spelled_like_special_symbols_are_words(fairseq, tmp_path):
    train = "<unk> a <s> <unk> </s> <pad> <unk>"
    (tmp_path / "bpe").mkdir()
    for split, src in (("train", train), ("valid", train), ("test", "a <s> madeupword0000 new")):
        (tmp_path / "bpe" / f"{split}.src").write_text(f"{src}\n")
        (tmp_path / "bpe" / f"{split}.tgt").write_text("<unk> </s> <s> a\n" if split == "test" else "a\n")
    binarise(False, tmp_path / "bpe", tmp_path / "bin")
    stats = json.loads((tmp_path / "bin" / "stats.json").read_text())["splits"]
    assert stats["valid"]["unknown"] == {"src": 0, "tgt": 0}
    # what only test has are unknown words, none of which ends or pads a sentence
    assert stats["test"]["unknown"] == {"src": 1, "tgt": 3}
    source, target = (fairseq.Dictionary.load(str(tmp_path / "bin" / f"dict.{side}.txt")) for side in ("src", "tgt"))
    assert len(source) % 8 == 0

    def ids(split, side):
        return fairseq.data_utils.load_indexed_dataset(str(tmp_path / "bin" / f"{split}.src-tgt.{side}"))[0].tolist()

    assert [source[i] for i in ids("train", "src")] == [*train.split(), "</s>"]
    assert min(ids("train", "src")[:-1]) >= 4 and ids("test", "tgt") == [3, 3, 3, target.index("a"), 2]
    assert read_symbols(tmp_path / "bin" / "dict.src.txt") == source.symbols


def test_a_corpus_may_have_the_words_that_fill_a_dictionary_up(fairseq):
    made = dictionary(Counter({"madeupword0001": 3, "a": 1}))
    assert made == {"madeupword0001": 3, "a": 1, "madeupword0000": 0, "madeupword0002": 0}


@settings(deadline=None)
@given(counts=st.dictionaries(st.text("abcdé@", min_size=1, max_size=3), st.integers(1, 5), max_size=20))
def test_dictionary_is_ordered_as_fairseq_orders_it(fairseq, counts):
    theirs = fairseq.Dictionary()
    for symbol, count in counts.items():
        theirs.add_symbol(symbol, n=count)
    theirs.finalize(padding_factor=8)
    assert list(dictionary(Counter(counts)).items()) == list(zip(theirs.symbols, theirs.count, strict=True))[4:]


@pytest.mark.parametrize(("size", "dtype"), [(65_499, np.uint16), (65_500, np.uint32)])
def test_width_follows_the_vocabulary_as_in_fairseq(fairseq, tmp_path, size, dtype):
    from fairseq.data.indexed_dataset import best_fitting_int_dtype

    index = {symbol: number for number, symbol in enumerate([*SPECIALS, *(f"w{i}" for i in range(size - 4))])}
    write_mmap([f"w{size - 5}"], index, tmp_path / "data")
    assert best_fitting_int_dtype(size) is dtype
    assert np.fromfile(tmp_path / "data.bin", dtype).tolist() == [size - 1, 2]
    assert fairseq.indexed_dataset.MMapIndexedDataset(str(tmp_path / "data"))[0].tolist() == [size - 1, 2]
