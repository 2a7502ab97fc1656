import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.corpus import bpe, subwords
from natlab.corpus.noise import corrupted, make

WORDS = ["low", "lower", "lowest", "newer", "newest", "wide", "wider", "widest"]
TOKENS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=10)


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "base"
    draw = random.Random(1)
    for level in ("text", "tok"):
        (folder / level).mkdir(parents=True)
        for split in ("train", "valid", "test"):
            for side in ("src", "tgt"):
                rows = [" ".join(draw.choices(WORDS, k=10)) for _ in range(300)]
                (folder / level / f"{split}.{side}").write_text("".join(f"{row}\n" for row in rows))
    bpe.encode({"bpe": {"joint": False, "merges": 6}}, folder / "tok", folder / "bpe")
    return folder


def noise(base, name, merges=6, **changes):
    out = base.parent / name
    source = {"replace": 0.5, "drop": 0.0, "seed": 1, "unit": "bpe"} | changes
    make({"source": source, "bpe": {"joint": True, "merges": merges}}, base, out)
    return {
        f"{path.parent.name}/{path.name}": path.read_text().splitlines() for path in out.rglob("*") if path.is_file()
    }


def test_targets_are_the_bases(base):
    made = noise(base, "a")
    for name in ("tok/train.tgt", "bpe/train.tgt", "bpe/test.tgt", "text/test.tgt", "tok/valid.tgt"):
        assert made[name] == (base / name).read_text().splitlines()
    assert made["text/train.tgt"] == made["tok/train.tgt"]
    assert made["bpe/codes.src"] == made["bpe/codes.tgt"] == (base / "bpe" / "codes.tgt").read_text().splitlines()
    assert all(len(made[f"{level}/test.{side}"]) == 300 for level in ("text", "tok", "bpe") for side in ("src", "tgt"))


def changed(sources, targets):
    """The share of positions where two corpora of equal lengths differ."""
    rows = list(zip(sources, targets, strict=True))
    pairs = [pair for a, b in rows for pair in zip(a.split(), b.split(), strict=True)]
    return sum(a != b for a, b in pairs) / len(pairs)


def test_half_of_the_tokens_are_replaced_uniformly(base):
    made = noise(base, "a")
    types = len({token for line in made["bpe/train.tgt"] for token in line.split()})
    # a uniform draw hits the token itself once in `types` times
    assert changed(made["bpe/train.src"], made["bpe/train.tgt"]) == pytest.approx(0.5 * (1 - 1 / types), abs=0.03)
    assert [subwords.joined(line) for line in made["bpe/test.src"]] == made["tok/test.src"] == made["text/test.src"]


def test_a_base_that_comes_in_bpe_has_no_codes(base):
    for name in ("codes.src", "codes.tgt"):
        (base / "bpe" / name).unlink()
    made = noise(base, "a", merges="given")
    assert made["bpe/train.tgt"] == (base / "bpe" / "train.tgt").read_text().splitlines()
    assert "bpe/codes.src" not in made


def test_b_is_a_with_a_tenth_dropped(base):
    a, b = noise(base, "a"), noise(base, "b", drop=0.1)
    kept, all_ = (sum(len(line.split()) for line in made["bpe/train.src"]) for made in (b, a))
    assert kept / all_ == pytest.approx(0.9, abs=0.02)
    for long, short in zip(a["bpe/train.src"], b["bpe/train.src"], strict=True):
        tokens = iter(long.split())
        assert all(token in tokens for token in short.split())  # a subsequence


def test_seed_decides(base):
    assert noise(base, "a") == noise(base, "again") != noise(base, "other", seed=2)


def test_word_unit_replaces_words(base):
    made = noise(base, "words", unit="word")
    assert {word for line in made["tok/train.src"] for word in line.split()} == set(WORDS)
    assert changed(made["tok/train.src"], made["tok/train.tgt"]) == pytest.approx(0.5 * 7 / 8, abs=0.03)
    assert [subwords.joined(line) for line in made["bpe/train.src"]] == made["tok/train.src"]


@given(TOKENS, st.floats(0, 1), st.floats(0, 1, exclude_max=True), st.integers())
def test_something_always_stays(tokens, replace, drop, seed):
    noisy = corrupted(tokens, WORDS, replace, drop, random.Random(seed))
    assert 1 <= len(noisy) <= len(tokens) and set(noisy) <= set(WORDS)


@given(TOKENS)
def test_no_noise_changes_nothing(tokens):
    assert corrupted(tokens, ["other"], 0, 0, random.Random(1)) == tokens
