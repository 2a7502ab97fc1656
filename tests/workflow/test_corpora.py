"""Text files to data folders, by the rules for corpora and the real `natlab`."""

import pytest
import yaml

from natlab.files import lines, read_json
from natlab.measuring.data import Data

COUNTS = {"train": 60, "valid": 5, "test": 7}


def read(path) -> list[str]:
    return list(lines(path))


def sentence(split: str, number: int, verb: str) -> str:
    return f"Der Hund Nr. {number} {verb} „{split}“, und die Katze schläft."


@pytest.fixture(scope="module")
def german(tmp_path_factory, copy_of_workflow):
    """A project with a corpus of German to German, and what is derived from it, as the rules have made them."""
    project = copy_of_workflow(tmp_path_factory.mktemp("german"))
    del project.environment["STAND_IN"]
    mirror = project.root / "mirror"
    project.environment["NATLAB_MIRROR"] = str(mirror)
    (mirror / "example.org").mkdir(parents=True)
    files, splits = {}, {}
    for split, count in COUNTS.items():
        for name, verb in (("a", "sagt"), ("b", "spricht das Wort"), ("c", "ruft")):
            file = f"{split}_{name}"
            files[file] = {"url": f"https://example.org/{file}.txt", "sha256": "unverified"}
            text = "".join(sentence(split, number, verb) + "\n" for number in range(count))
            (mirror / f"example.org/{file}.txt").write_text(text, encoding="utf-8")
        splits[split] = [{"src": f"{split}_a", "tgt": f"{split}_b"}]
    noise = {"kind": "noise", "base": "german", "replace": 0.5, "drop": 0.1, "seed": 1, "unit": "word"}
    datasets = {
        "german": {
            "source": {"kind": "parallel", "files": files, "splits": splits, "references": {"test": ["test_c"]}},
            "languages": {"tgt": "de", "src": "de"},
            "clean": {"max_length": 14, "max_ratio": None, "deduplicate": True},
            "tokenise": "moses", "lowercase": False, "truncate": {"tgt": 11},
            "bpe": {"joint": True, "merges": 30}, "licence": "none",
        },
        "german_back": {"source": {"kind": "reversed", "base": "german"}},
        "german_noise": {"source": noise},
    }  # fmt: skip
    for name, dataset in datasets.items():
        content = yaml.safe_dump(dataset, sort_keys=False)
        (project.root / f"config/datasets/{name}.yaml").write_text(content, encoding="utf-8")
    result = project.snakemake(*(f"results/corpora/{name}/bin" for name in datasets))
    assert result.returncode == 0, result.stdout
    return project.root / "results/corpora"


def test_one_language_may_be_on_both_sides(german):
    for split, count in COUNTS.items():
        for side, verb in (("src", "sagt"), ("tgt", "spricht das Wort")):
            assert read(german / f"german/text/{split}.{side}") == [sentence(split, i, verb) for i in range(count)]
    assert read(german / "german/text/test.ref1") == [sentence("test", i, "ruft") for i in range(COUNTS["test"])]
    # as German: "Nr." is one token, as it is not in English
    assert read(german / "german/tok/valid.src")[3] == 'Der Hund Nr. 3 sagt " valid " , und die Katze schläft .'
    assert (german / "german/bpe/codes.src").read_text() == (german / "german/bpe/codes.tgt").read_text()
    data = Data(german / "german/bin")
    assert data.source.symbols == data.target.symbols
    for side, found in (("src", data.sources("train")), ("tgt", data.targets("train"))):
        assert list(map(data.subwords, found)) == read(german / f"german/bpe/train.{side}")


def test_its_targets_are_cut_where_the_dataset_truncates_but_for_tests(german):
    whole = 'Der Hund Nr. 4 spricht das Wort " {} " , und die Katze schläft .'
    for split, cut in (("train", 11), ("valid", 11), ("test", None)):
        assert read(german / f"german/tok/{split}.tgt")[4].split() == whole.format(split).split()[:cut]
    stats = read_json(german / "german/tok/stats.json")["splits"]
    assert [stats[split].get("truncated") for split in COUNTS] == [60, 5, None]


def test_what_is_derived_from_it_has_the_other_side(german):
    for split in COUNTS:
        for side, other in (("src", "tgt"), ("tgt", "src")):
            assert read(german / f"german_back/text/{split}.{side}") == read(german / f"german/text/{split}.{other}")
    assert len(read(german / "german_back/tok/test.src")[4].split()) == 11  # a source
    assert not (german / "german_back/text/test.ref1").exists()
    assert read(german / "german_noise/tok/test.tgt") == read(german / "german/tok/test.tgt")
