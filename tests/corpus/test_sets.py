from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from natlab.corpus import sets

SET = st.lists(st.text("abc!", max_size=2), min_size=2, max_size=5)


def written(folder, splits, pairs=2, seed=1):
    """{split: rows}, and the counts."""
    for path in folder.iterdir():
        path.unlink()
    source = {"pairs": pairs, "seed": seed}
    counts = sets.write({split: iter(of) for split, of in splits.items()}, source, folder)
    rows = {}
    for split in splits:
        names = ["src", "tgt", *(f"ref{k}" for k in range(1, len(list(folder.glob(f"{split}.ref*"))) + 1))]
        paths = [folder / f"{split}.{name}" for name in names]
        rows[split] = list(zip(*(path.read_text().split("\n")[:-1] for path in paths if path.exists()), strict=True))
    return rows, counts


FIVE = [tuple(f"{letter}{k}" for k in range(5)) for letter in "abcdef"]


def test_training_pairs_are_of_one_set_each_pair_once(tmp_path):
    rows, counts = written(tmp_path, {"train": FIVE, "valid": FIVE[:1], "test": FIVE[:1]}, pairs=7)
    assert counts["train"] == {"sets": 6, "sets_of_one": 0, "pairs_out": 42}
    for number, lines in enumerate(FIVE):
        drawn = rows["train"][7 * number : 7 * number + 7]
        assert len(set(drawn)) == 7 and set(drawn) <= set(permutations(lines, 2))
    rows, _ = written(tmp_path, {"train": FIVE, "valid": FIVE[:1], "test": FIVE[:1]}, pairs=99)
    assert sorted(rows["train"]) == sorted(pair for lines in FIVE for pair in permutations(lines, 2))


def test_every_place_of_a_set_is_source_and_target_equally_often(tmp_path):
    many = [tuple(f"{k} {number}" for k in range(5)) for number in range(2000)]
    rows, _ = written(tmp_path, {"train": many, "valid": many, "test": many}, pairs=1)
    for split in ("train", "test"):
        for side in (0, 1):
            places = [int(row[side].split()[0]) for row in rows[split]]
            # 2000 draws of five: 400 each, standard deviation 18
            assert all(310 < places.count(place) < 490 for place in range(5))


def test_the_seed_decides_what_is_drawn(tmp_path):
    splits = dict.fromkeys(("train", "valid", "test"), FIVE)
    first, again, other = (written(tmp_path, splits, seed=seed)[0] for seed in (1, 1, 2))
    assert first == again != other and first["valid"] != first["test"]


@given(st.fixed_dictionaries(dict.fromkeys(("train", "valid", "test"), st.lists(SET, max_size=4))))
def test_all_that_a_set_says_is_source_target_or_reference(tmp_path_factory, splits):
    def said(line):
        return "".join(filter(str.isalnum, line)) or line

    rows, counts = written(tmp_path_factory.mktemp("sets"), splits)
    for split, of in splits.items():
        distinct = [{said(line) for line in lines if line} for lines in of]
        usable = [lines for lines in distinct if len(lines) > 1]
        assert counts[split] == {
            "sets": len(of), "sets_of_one": len(of) - len(usable), "pairs_out": len(rows[split])
        }  # fmt: skip
        if split == "train":
            assert len(rows[split]) == 2 * len(usable)
        else:
            assert [set(map(said, filter(None, row))) for row in rows[split]] == usable
