import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.corpus.disjoint import separate

SPLITS = ("test", "valid", "train")
SAME = {"src": "en", "tgt": "en"}
PAIRS = st.lists(st.tuples(*[st.text("ab. A", max_size=3)] * 2), max_size=12)


def separated(splits, by, languages=SAME):
    """The splits {split: rows of src, tgt, ref1, …} afterwards, and how many rows were left out."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        columns = {
            f"{split}.{('src', 'tgt', 'ref1')[i]}": column
            for split, rows in splits.items()
            for i, column in enumerate(zip(*rows, strict=True))
        }
        for file, lines in columns.items():
            (folder / file).write_text("".join(f"{line}\n" for line in lines))
        dropped = separate(folder, by, languages)
        assert {path.name for path in folder.iterdir()} == columns.keys()
        after = {}
        for split, rows in splits.items():
            sides = [(folder / f"{split}.{suffix}") for suffix in ("src", "tgt", "ref1")[: len(rows[0])]]
            after[split] = list(zip(*(side.read_text().split("\n")[:-1] for side in sides), strict=True))
        return after, dropped


SPLIT = {
    "test": [("How old?", "What age?")],
    "valid": [("Why?", "For what reason?")],
    "train": [
        ("HOW OLD", "what age"),
        ("How old?", "Which age?"),
        ("Which age is it?", "What age?"),
        ("What age?", "Of what age?"),
        ("For what", "reason"),
    ],
}


@pytest.mark.parametrize(("by", "left"), [("pair", [1, 2, 3, 4]), ("source", [2, 3, 4]), ("either", [4])])
def test_which_pairs_give_way(by, left):
    after, dropped = separated(SPLIT, by)
    assert after == SPLIT | {"train": [SPLIT["train"][i] for i in left]}
    assert dropped == {"test": 0, "valid": 0, "train": 5 - len(left)}


def test_two_languages_share_no_sentence():
    splits = {"test": [("no", "nein")], "valid": [("a", "b")], "train": [("nein", "no"), ("never", "nein")]}
    after, _ = separated(splits, "either", {"src": "en", "tgt": "de"})
    assert after["train"] == [("nein", "no")]


def test_further_references_count_and_those_that_a_pair_lacks_do_not():
    splits = {
        "test": [("a", "b", "c"), ("d", "e", "")],
        "valid": [("f", "C", "h"), ("i", "j", "")],
        "train": [("c", "k")],
    }
    after, dropped = separated(splits, "either")
    assert (
        after["valid"] == [("i", "j", "")] and after["train"] == [] and dropped == {"test": 0, "valid": 1, "train": 1}
    )


@given(st.fixed_dictionaries(dict.fromkeys(SPLITS, PAIRS.filter(len))), st.sampled_from(["pair", "source", "either"]))
def test_no_two_splits_share_what_is_named_and_no_more_is_left_out(splits, by):
    def said(sentence):
        return "".join(filter(str.isalnum, sentence.casefold())) or sentence

    def keys(row):
        src, tgt = map(said, row)
        # an empty line is no sentence
        return {"pair": {(src, tgt)}, "source": {src}, "either": {key for key in (src, tgt) if key}}[by]

    after, dropped = separated(splits, by)
    smaller = set()
    for split in SPLITS:
        assert after[split] == [row for row in splits[split] if not keys(row) & smaller]
        assert dropped[split] == len(splits[split]) - len(after[split])
        smaller |= {key for row in after[split] for key in keys(row)}
