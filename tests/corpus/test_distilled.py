"""The verb `merge-distilled`: a teacher's text as the target side of a data folder."""

import argparse

import pytest

from natlab.corpus import distilled
from natlab.corpus.binarise import binarise
from natlab.errors import UserError
from natlab.measuring.data import Data

LINES = ["a <unk> b", "</s> a"]


@pytest.fixture
def merge(tmp_path):
    """A function that merges the shards of each split and returns the merged folder."""
    (tmp_path / "bpe").mkdir()
    for split in ("train", "valid", "test"):
        for side in ("src", "tgt"):
            (tmp_path / "bpe" / f"{split}.{side}").write_text("".join(f"{line}\n" for line in LINES))
    binarise(True, tmp_path / "bpe", tmp_path / "bin")

    def merged(*shards):
        paths = [tmp_path / f"{number}.txt" for number, _ in enumerate(shards)]
        for path, shard in zip(paths, shards, strict=True):
            path.write_text(shard)
        parser = argparse.ArgumentParser()
        distilled.add_arguments(parser)
        given = ["--data", tmp_path / "bin", "--out", tmp_path / "out"]
        for split in ("train", "valid", "test"):
            given += [f"--shards-{split}", *paths]
        distilled.run(parser.parse_args(list(map(str, given))))
        return Data(tmp_path / "out")

    return merged


def test_words_spelled_like_special_symbols_are_not_the_unknown_word(merge):
    data = merge("<unk> a </s>\n", "\n")
    word, empty = data.targets("train")
    assert data.text(word) == "<unk> a </s>" and 3 not in word.tolist()
    # a target without tokens stands as the unknown word, which no word of the corpus is spelled like
    assert empty.tolist() == [3, 2] and data.text(empty) == data.subwords(empty) == "<<unk>>"


def test_shards_of_another_corpus_are_one_clear_line(merge):
    with pytest.raises(UserError, match="1 distilled lines for 2 sources of .*bin train; delete the shards"):
        merge("a\n")
