import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.corpus.clean import Seen, clean
from natlab.errors import UserError

PAIRS = [
    ("Hello, world.", "Hallo, Welt."),
    ("", "leer"),
    ("a b c d", "a"),
    ("hello , world .", "hallo , welt ."),  # the first one again, once tokenised and lower-cased
    ("x " * 9, "y " * 9),
    ("Hello, world.", "Hallo!"),
]
FILTERS = {"max_length": 8, "max_ratio": 2.0, "deduplicate": True}


DATASET = {
    "languages": {"src": "en", "tgt": "de"}, "tokenise": "moses", "lowercase": True, "clean": FILTERS,
    "bpe": {"joint": True, "merges": 10},
}  # fmt: skip


def prepare(folder, pairs=PAIRS, valid=PAIRS, threads=1, filters=FILTERS, **changes):
    """Write a text folder, clean it, and return ({file: lines}, stats)."""
    (folder / "text").mkdir(exist_ok=True)
    for split, rows in (("train", pairs), ("valid", valid), ("test", valid)):
        for side, column in (("src", 0), ("tgt", 1)):
            (folder / "text" / f"{split}.{side}").write_text("".join(f"{row[column]}\n" for row in rows))
    dataset = {**DATASET, "clean": filters, **changes}
    clean(dataset, folder / "text", folder / "tok", threads)
    files = {path.name: path.read_text().splitlines() for path in (folder / "tok").iterdir()}
    return files, json.loads((folder / "tok" / "stats.json").read_text())["splits"]


def test_training_pairs_are_filtered_and_counted(tmp_path):
    files, stats = prepare(tmp_path)
    assert files["train.src"] == ["hello , world .", "hello , world ."]
    assert files["train.tgt"] == ["hallo , welt .", "hallo !"]
    assert stats["train"] == {
        "pairs_in": 6,
        "pairs_out": 2,
        "dropped": {"duplicate": 1, "empty": 1, "length ratio": 1, "too long": 1},
        "tokens": {"src": 8, "tgt": 6},
        "types": {"src": 4, "tgt": 5},
    }


def test_held_out_pairs_are_all_kept(tmp_path):
    files, stats = prepare(tmp_path)
    assert len(files["test.src"]) == len(files["valid.tgt"]) == 6 and files["test.src"][1] == ""
    assert stats["test"]["dropped"] == {}


def test_filters_can_be_off(tmp_path):
    files, _ = prepare(tmp_path, filters={"max_length": 9, "max_ratio": None, "deduplicate": False})
    assert len(files["train.src"]) == 5


def test_long_sides_are_cut_before_lengths_are_looked_at(tmp_path):
    """Nine words are too long here; eight are not. The target of test is what scores are against."""
    files, stats = prepare(tmp_path, filters={**FILTERS, "max_ratio": None}, truncate={"src": 8, "tgt": 2})
    assert files["train.src"] == ["hello , world .", "a b c d", "x x x x x x x x", "hello , world ."]
    assert files["train.tgt"] == ["hallo ,", "a", "y y", "hallo !"]
    assert files["valid.src"][4] == files["test.src"][4] == "x x x x x x x x"
    assert files["valid.tgt"] == ["hallo ,", "leer", "a", "hallo ,", "y y", "hallo !"]
    assert files["test.tgt"][4] == " ".join("y" * 9) and files["test.tgt"][0] == "hallo , welt ."
    assert [stats[split]["truncated"] for split in ("train", "valid", "test")] == [3, 3, 1]
    assert "too long" not in stats["train"]["dropped"]


def test_workers_change_nothing(tmp_path):
    pairs = [(f"word{i % 700} number {i}", f"Wort{i % 700} Nummer {i}") for i in range(4500)]
    results = []
    for threads in (1, 2):
        (tmp_path / str(threads)).mkdir()
        results.append(prepare(tmp_path / str(threads), pairs, threads=threads))
    assert results[0] == results[1]


SUBWORDS = [("ein klei@@ nes Haus", "a small house"), ("ein Haus", "a hou@@ se"), ("x", "y")] * 3


@pytest.mark.parametrize("scheme", ["none", "moses", "jieba"])
def test_text_in_bpe_that_does_not_say_so_is_refused(tmp_path, scheme):
    with pytest.raises(UserError, match=r"6 of 9 pairs of train have words that end in @@.* set merges: given"):
        prepare(tmp_path, SUBWORDS, tokenise=scheme)
    assert not (tmp_path / "tok").exists()


def test_text_in_bpe_stays_in_bpe(tmp_path):
    files, _ = prepare(tmp_path, SUBWORDS, SUBWORDS, tokenise="none", bpe={"joint": True, "merges": "given"})
    assert files["train.src"] == ["ein klei@@ nes haus", "ein haus", "x"]


def test_a_stray_word_is_no_bpe_where_it_is_tokenised(tmp_path):
    pairs = [(f"mail me @@ {i}", f"schreibt mir bitte {i}") for i in range(1)] + [
        (f"a {i}", f"b {i}") for i in range(20)
    ]
    files, _ = prepare(tmp_path, pairs)
    assert files["train.src"][0] == "mail me @ @ 0"
    with pytest.raises(UserError, match="1 of 21 pairs of train"):
        prepare(tmp_path, pairs, tokenise="none")


def test_no_pair_left_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no pair of train is left: .*'empty': 2.* are dropped; loosen clean"):
        prepare(tmp_path, [("", "a"), ("b", "")])


def test_sides_of_different_length_leave_nothing(tmp_path):
    prepare(tmp_path)
    with open(tmp_path / "text" / "test.tgt", "a") as file:
        file.write("one more\n")
    with pytest.raises(UserError, match=r"test.src 6, .*test.tgt 7"):
        clean_again(tmp_path)
    assert not (tmp_path / "other").exists()


def clean_again(folder):
    dataset = {**DATASET, "tokenise": "none"}
    clean(dataset, folder / "text", folder / "other")


@settings(deadline=None)
@given(st.lists(st.lists(st.binary(max_size=1), max_size=30), max_size=20))
def test_seen_is_a_set(batches):
    seen, expected = Seen(), set()
    for batch in batches:
        new = []
        for item in batch:
            new.append(item not in expected)
            expected.add(item)
        assert seen.add(batch) == new
    assert sum(map(len, seen.runs)) == len(expected)
