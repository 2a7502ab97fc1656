import json

import pytest

from natlab.corpus import bpe, subwords

WORDS = ["low", "lower", "lowest", "newer", "newest", "wide", "wider"]
CODES = "#version: 0.2\nl o\nlo w</w>\n"


@pytest.fixture
def tok(tmp_path):
    folder = tmp_path / "tok"
    folder.mkdir()
    for side, words in (("src", WORDS), ("tgt", [word[::-1] for word in WORDS])):
        for split in ("train", "valid", "test"):
            (folder / f"{split}.{side}").write_text("".join(f"{' '.join(words)} {word}\n" for word in words))
    return folder


def encode(tok, out, joint, merges=10, threads=1):
    bpe.encode({"bpe": {"joint": joint, "merges": merges}}, tok, out, threads)
    return {path.name: path.read_text() for path in out.iterdir()}


def test_joint_codes_are_shared_and_separate_ones_are_not(tok, tmp_path):
    joint, separate = encode(tok, tmp_path / "joint", True), encode(tok, tmp_path / "separate", False)
    assert joint["codes.src"] == joint["codes.tgt"] != separate["codes.src"] != separate["codes.tgt"]
    assert len(joint["codes.src"].splitlines()) == 11  # a version line and 10 merges


@pytest.mark.parametrize("joint", [True, False])
def test_words_come_back(tok, tmp_path, joint):
    files = encode(tok, tmp_path / "bpe", joint)
    for name in ("train.src", "test.tgt"):
        assert "@@ " in files[name]
        assert [subwords.joined(line) for line in files[name].splitlines()] == (tok / name).read_text().splitlines()
    stats = json.loads(files["stats.json"])["splits"]["train"]
    assert stats["pairs_in"] == stats["pairs_out"] == 7
    assert stats["tokens"]["src"] == len(files["train.src"].split())


def test_second_corpus_under_the_same_name_has_its_own_codes(tok, tmp_path):
    first = encode(tok, tmp_path / "bpe", True, merges=2)
    assert encode(tok, tmp_path / "bpe", True, merges=20)["train.src"] != first["train.src"]


def test_workers_change_nothing(tok, tmp_path):
    assert encode(tok, tmp_path / "one", True) == encode(tok, tmp_path / "two", True, threads=2)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize(
    "sides", [("a b c", "x y"), ("a b c", "low lower lowest"), ("the cat", "die katze"), ("a", "b")]
)
def test_sides_that_learn_no_merges_stay_as_they_are_or_fall_apart_into_letters(tmp_path, sides, joint):
    """One letter a word on both sides or on one, or a single sentence of which no pair of letters comes twice."""
    (tmp_path / "tok").mkdir()
    for side, line in zip(("src", "tgt"), sides, strict=True):
        for split in ("train", "valid", "test"):
            (tmp_path / "tok" / f"{split}.{side}").write_text(f"{line}\n")
    files = encode(tmp_path / "tok", tmp_path / "bpe", joint)
    for side, line in zip(("src", "tgt"), sides, strict=True):
        assert subwords.joined(files[f"train.{side}"].rstrip("\n")) == line
    assert "a b c\n" not in sides or files["train.src"] == "a b c\n"


def test_text_that_comes_in_bpe_is_only_counted(tok, tmp_path):
    files = encode(tok, tmp_path / "bpe", True, merges="given", threads=2)
    assert {name for name in files} == {"stats.json", *(path.name for path in tok.iterdir())}
    assert all(files[path.name] == path.read_text() for path in tok.iterdir())
