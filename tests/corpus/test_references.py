"""Further references: of plain files, and of the labelled file of Ott et al. (2018) aligned with its test set."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.corpus import references
from natlab.corpus.dataset import load, referenced
from natlab.corpus.extract import extract
from natlab.corpus.text import read
from natlab.errors import UserError
from natlab.schema import validate

# Sentences 1 and 3 of a shorter version of the test set, in the file's form; the test set has them third and first.
LABELLED = """\
S-1	The cat sleeps.
T-1	Die Katze schläft.
R1-1	Es schläft die Katze.
R2-1	Die  Katze ist am Schlafen.
S-3	Good day
T-3	Guten Tag
R1-3	Tag auch!
R2-3	Hallo
"""
PAIRS = {"src": ["good day", "A dog.", "The cat sleeps ."], "tgt": ["Guten Tag", "Ein Hund.", "Die Katze schläft."]}


@pytest.fixture
def text(tmp_path):
    for side, lines in PAIRS.items():
        (tmp_path / f"test.{side}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return tmp_path


def labelled(folder, content=LABELLED):
    path = folder / "extra.gz"
    path.write_bytes(gzip.compress(content.encode()))
    return path


def test_labelled_references_stand_beside_the_pairs_with_their_source_and_target(text):
    columns = references.aligned(labelled(text), text, "test")
    assert columns == [["Tag auch!", "", "Es schläft die Katze."], ["Hallo", "", "Die Katze ist am Schlafen."]]
    references.write(columns, text, "test")
    assert references.count(text, "test") == 4
    assert list(read(text / "test.ref2")) == columns[1]


@given(st.permutations(LABELLED.splitlines()), st.permutations(range(3)))
def test_neither_the_order_of_lines_nor_that_of_pairs_matters(tmp_path_factory, lines, order):
    folder = tmp_path_factory.mktemp("order")
    for side in PAIRS:
        (folder / f"test.{side}").write_text("".join(f"{PAIRS[side][i]}\n" for i in order), encoding="utf-8")
    columns = references.aligned(labelled(folder, "\n".join(lines)), folder, "test")
    assert [columns[0][order.index(i)] for i in range(3)] == ["Tag auch!", "", "Es schläft die Katze."]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("R2-3\tHallo", "R2-3 Hallo", "line 8 is not 'S-<n>'"),
        ("R2-3\tHallo", "Q-3\tHallo", "line 8 is not 'S-<n>'"),
        ("R2-3\tHallo", "R2-3\t ", "line 8 is not 'S-<n>'"),
        ("R2-3", "R1-3", "line 8: R1-3 comes twice"),
        ("T-3\tGuten Tag", "T-3\tGuten Abend", "sentence 3: 0 pairs of test have its source and target"),
        ("S-3\tGood day\n", "", "sentence 3: 0 pairs of test have its source and target"),
    ],
)
def test_a_labelled_file_that_does_not_fit_is_refused(text, old, new, complaint):
    assert old in LABELLED
    with pytest.raises(UserError, match=complaint):
        references.aligned(labelled(text, LABELLED.replace(old, new)), text, "test")


def test_a_pair_that_the_split_holds_twice_is_refused(text):
    for side in PAIRS:
        with open(text / f"test.{side}", "a", encoding="utf-8") as file:
            file.write(f"{PAIRS[side][0]}\n")
    with pytest.raises(UserError, match="sentence 3: 2 pairs of test"):
        references.aligned(labelled(text), text, "test")


def dataset(**given):
    names = ["en", "de", "one", "two"]
    return {
        "source": {
            "kind": "parallel",
            "files": {name: {"url": f"https://example.org/{name}.txt", "sha256": "unverified"} for name in names},
            "splits": {split: [{"src": "en", "tgt": "de"}] for split in ("train", "valid", "test")},
            "references": given,
        },
        "languages": {"src": "en", "tgt": "de"},
        "tokenise": "moses",
        "lowercase": True,
        "bpe": {"joint": True, "merges": 10},
    }


@pytest.fixture
def downloads(tmp_path):
    folder = tmp_path / "example.org"
    folder.mkdir()
    for name, lines in {"en": PAIRS["src"], "de": PAIRS["tgt"], "one": ["A dog.", "", "c"], "two": ["D", "E"]}.items():
        (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return tmp_path


def test_plain_files_are_references_of_all_pairs(downloads, tmp_path):
    extract(dataset(valid=["one", "one"]), downloads, tmp_path / "text")
    assert list(read(tmp_path / "text/valid.ref2")) == ["A dog.", "", "c"]
    assert not list((tmp_path / "text").glob("test.ref*"))
    assert references.tokenised(tmp_path / "text", "valid", dataset()) == [["a dog .", "", "c"]] * 2
    assert references.tokenised(tmp_path / "text", "test", dataset()) == []


def test_references_in_bpe_are_words(tmp_path):
    (tmp_path / "test.ref1").write_text("klei@@ nes Haus\nganz\n")
    given = {**dataset(), "tokenise": "none", "bpe": {"joint": True, "merges": "given"}}
    assert references.tokenised(tmp_path, "test", given) == [["kleines haus", "ganz"]]


def test_a_plain_file_of_another_length_is_refused(downloads, tmp_path):
    with pytest.raises(UserError, match="further reference 2 of test: 2 lines for 3 pairs"):
        extract(dataset(test=["one", "two"]), downloads, tmp_path / "text")


def test_which_splits_have_further_references():
    assert referenced(dataset(valid=["one"])) == ["valid"]
    expected = {"wmt14_ende": ["test"], "wmt14_deen": [], "grammar_ende": ["valid", "test"], "multi30k_ende": []}
    expected |= {"multi30k_captions": ["valid", "test"]}
    assert {name: referenced(load(f"config/datasets/{name}.yaml")) for name in expected} == expected
    assert referenced({"source": {"kind": "noise", "base": "grammar_ende"}}) == []


@pytest.mark.parametrize("given", [[], {"labelled": "one", "more": "two"}, "one"])
def test_other_ways_to_name_references_are_refused(given):
    whole = load("config/datasets/multi30k_ende.yaml")
    source = {**whole["source"], "references": {"test": given}}
    with pytest.raises(UserError, match="source.references.test"):
        validate({**whole, "source": source}, Path("workflow/schemas/dataset.schema.yaml"), "a.yaml")
