from pathlib import Path

import pytest
import yaml

from natlab.corpus import dataset
from natlab.errors import UserError

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / dataset.SCHEMA
SHIPPED = sorted((ROOT / dataset.FOLDER).glob("*.yaml"))
FILE = {"url": "https://example.org/a.txt", "sha256": "unverified"}
PARALLEL = {
    "source": {
        "kind": "parallel",
        "files": {"a": FILE, "b": {**FILE, "url": "https://example.org/b.tgz"}},
        "splits": {
            "train": [{"src": "a", "tgt": "b:x/y.de"}],
            "valid": {"every": 10},
            "test": [{"src": "a", "tgt": "a"}],
        },
    },
    "languages": {"src": "en", "tgt": "de"},
    "clean": {"max_length": 100, "max_ratio": None, "deduplicate": True},
    "tokenise": "moses",
    "lowercase": False,
    "bpe": {"joint": False, "merges": 100},
    "licence": "none",
}


TATOEBA = {"kind": "tatoeba", "files": {"a": FILE}, "table": "a", "valid": 1, "test": 1, "seed": 1}
SETS = {"kind": "sets", "files": {"a": FILE}, "pairs": 1, "seed": 1}
SETS["splits"] = {split: [["a", "a#b"]] for split in dataset.SPLITS}
GRAMMAR = {
    "kind": "grammar", "pairs": 9, "valid": 1, "test": 1, "seed": 1, "references": 0,
    "modes": dict.fromkeys(("synonyms", "fronting", "separable", "pairs"), 0),
}  # fmt: skip


def write(folder, name, content):
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def load(path):
    return dataset.load(path, SCHEMA)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_dataset_is_valid_and_complete(path):
    loaded = load(path)
    assert {"source", "languages", "clean", "tokenise", "lowercase", "bpe", "licence"} <= loaded.keys()


def test_shipped_datasets_agree_on_checksums():
    addresses = dataset.downloads(ROOT / dataset.FOLDER)
    assert "www.statmt.org/wmt14/test-full.tgz" in addresses


def test_reversed_swaps_the_sides_only(tmp_path):
    ende = part(tgt="b:x/y.de", pairs={"last": 9}, without={"a": "x"}) | {"truncate": {"src": 40}}
    base = load(write(tmp_path, "ende", ende))
    deen = load(write(tmp_path, "deen", {"source": {"kind": "reversed", "base": "ende"}, "length_penalty": 0.7}))
    splits = {
        "train": [{"src": "b:x/y.de", "tgt": "a", "pairs": {"last": 9}, "without": {"a": "x"}}],
        "valid": {"every": 10},
        "test": [{"src": "a", "tgt": "a"}],
    }
    turned = {"source": {**base["source"], "splits": splits}, "truncate": {"tgt": 40}}
    assert deen == base | turned | {"languages": {"src": "de", "tgt": "en"}, "length_penalty": 0.7}
    assert load(write(tmp_path, "again", {"source": {"kind": "reversed", "base": "deen"}})) == deen | {
        "source": base["source"], "truncate": {"src": 40}, "languages": base["languages"]
    }  # fmt: skip


def test_one_language_may_be_on_both_sides(tmp_path):
    same = {"src": "de", "tgt": "de"}
    base = load(write(tmp_path, "dede", changed(languages=same)))
    turned = load(write(tmp_path, "turned", {"source": {"kind": "reversed", "base": "dede"}}))
    assert turned["languages"] == same and turned["source"]["splits"] != base["source"]["splits"]


def test_what_a_step_depends_on_is_what_the_dataset_says_of_it(tmp_path, monkeypatch):
    for name, content in (("ende", PARALLEL), ("cut", changed(truncate={"src": 4}))):
        write(tmp_path, name, content)
    monkeypatch.setattr(dataset, "named", lambda name: load(tmp_path / f"{name}.yaml"))
    assert dataset.settings("ende", "lowercase", "truncate") == '{"lowercase": false}'
    assert dataset.settings("cut", "lowercase", "truncate") == '{"lowercase": false, "truncate": {"src": 4}}'


def test_noise_has_target_language_on_both_sides_and_joint_bpe(tmp_path):
    write(tmp_path, "ende", PARALLEL)
    source = {"kind": "noise", "base": "ende", "replace": 0.5, "drop": 0.1, "seed": 1, "unit": "bpe"}
    noise = load(write(tmp_path, "noise", {"source": source}))
    assert noise["source"] == source
    assert noise["languages"] == {"src": "de", "tgt": "de"}
    assert noise["bpe"] == {"joint": True, "merges": 100}
    with pytest.raises(UserError, match="twice.yaml: source.base: noise is of kind noise; allowed kinds: parallel"):
        load(write(tmp_path, "twice", {"source": {**source, "base": "noise"}}))


def test_noise_of_words_needs_codes(tmp_path):
    write(tmp_path, "ende", changed(tokenise="none", bpe={"joint": True, "merges": "given"}))
    source = {"kind": "noise", "base": "ende", "replace": 0.5, "drop": 0.1, "seed": 1, "unit": "word"}
    with pytest.raises(UserError, match="noise.yaml: source.unit: word needs the codes of BPE, and ende's is given"):
        load(write(tmp_path, "noise", {"source": source}))


def test_a_dataset_does_not_rest_on_itself(tmp_path):
    paths = [write(tmp_path, a, {"source": {"kind": "reversed", "base": b}}) for a, b in ("ab", "bc", "ca", "dd")]
    for path in paths:
        with pytest.raises(UserError, match="source.base: unknown name '[abcd]'; allowed: "):
            load(path)


def test_no_address_lies_within_another(tmp_path):
    write(tmp_path, "one", source(files={**PARALLEL["source"]["files"], "c": {**FILE, "url": f"{FILE['url']}/x"}}))
    with pytest.raises(UserError, match=r"example.org/a.txt/x: lies within another file's address, example.org/a.txt;"):
        dataset.downloads(tmp_path)


def changed(**changes):
    return {**PARALLEL, **changes}


def part(**changes):
    return source(splits={**PARALLEL["source"]["splits"], "train": [{"src": "a", "tgt": "b", **changes}]})


def source(**changes):
    return changed(source={**PARALLEL["source"], **changes})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed(lowercased=True), r"unknown key lowercased; allowed keys: source, languages, clean"),
        (changed(tokenise="spacy"), r"tokenise: 'spacy' is not allowed; allowed: moses, jieba, none"),
        (changed(bpe={"joint": True}), r"bpe: key merges is missing"),
        ({key: value for key, value in PARALLEL.items() if key != "licence"}, r"key licence is missing"),
        (
            changed(source={"kind": "reversed", "base": "none"}),
            r"'languages' is not allowed; allowed: source, length_penal",
        ),
        ({"source": {"kind": "reversed", "base": "none"}}, r"source.base: unknown name 'none'; allowed: none"),
        (changed(bpe={"joint": True, "merges": "gives"}), r"bpe.merges: 'given' was expected"),
        (changed(bpe={"joint": True, "merges": 0}), r"bpe.merges: 0 is less than the minimum of 1"),
        (changed(bpe={"joint": True, "merges": "given"}), r"tokenise: moses would cut the subwords .* set none"),
        (source(kind="web"), r"source.kind: 'web' is not allowed; allowed: parallel, tatoeba, sets, grammar, noise"),
        (source(files={"a": {**FILE, "sha256": "12"}}), r"source.files.a.sha256: '12' does not match"),
        (source(files={"a": {**FILE, "url": "a.txt"}}), r"source.files.a.url: 'a.txt' does not match"),
        (source(files={"a": FILE}), r"source.splits.train.0.tgt: unknown name 'b'; allowed: a"),
        (
            source(splits={**PARALLEL["source"]["splits"], "train": [{"en": "a", "de": "b"}]}),
            r"source.splits.train.0: unknown key en, de; allowed keys: src, tgt",
        ),
        (
            part(pairs={"first": 3, "last": 2}),
            r"source.splits.train.0.pairs: first 3 is after last 2; there is no such",
        ),
        (part(pairs={"first": 0}), r"source.splits.train.0.pairs.first: 0 is less than the minimum of 1"),
        (part(pairs={}), r"source.splits.train.0.pairs: .*"),
        (part(only={"c": "x"}), r"source.splits.train.0.only: unknown name 'c'; allowed: a, b"),
        (
            part(without={"a#x": "(("}),
            r"source.splits.train.0.without.a#x: '\(\(' is no regular expression \(.*\); corr",
        ),
        (source(disjoint="sides"), r"source.disjoint: 'sides' is not allowed; allowed: pair, source, either"),
        (source(respell={"a": "b c"}), r"source.respell.a: 'b c' does not match"),
        (changed(source={**TATOEBA, "disjoint": "pair"}), r"source: unknown key disjoint"),
        (changed(source=SETS), r"languages: en and de; a set is of one language: name it twice"),
        (
            changed(
                source={**SETS, "splits": {**SETS["splits"], "test": [["a"]]}}, languages={"src": "en", "tgt": "en"}
            ),
            r"source.splits.test.0: .*",
        ),
        (
            changed(
                source={**SETS, "splits": {**SETS["splits"], "test": [["a", "c"]]}},
                languages={"src": "en", "tgt": "en"},
            ),
            r"source.splits.test.0.1: unknown name 'c'; allowed: a",
        ),
        (changed(truncate={"src": 0}), r"truncate.src: 0 is less than the minimum of 1"),
        (changed(truncate={"de": 9}), r"truncate: unknown key de; allowed keys: src, tgt"),
        (
            changed(source=TATOEBA, languages={"src": "de", "tgt": "ro"}),
            r"languages: de and ro; a table of Tatoeba has en and another",
        ),
        (
            changed(source=TATOEBA, languages={"src": "en", "tgt": "en"}),
            r"languages: en and en; a table of Tatoeba has en and another",
        ),
        (changed(source=GRAMMAR, languages={"src": "de", "tgt": "de"}), r"languages.src: .*'de'; allowed: en"),
        (changed(source=GRAMMAR, languages={"src": "en", "tgt": "ro"}), r"languages.tgt: .*'ro'; allowed: de"),
    ],
)
def test_bad_file_names_file_key_and_allowed_values(tmp_path, content, message):
    with pytest.raises(UserError, match=r"bad\.yaml: " + message):
        load(write(tmp_path, "bad", content))


def test_datasets_that_disagree_about_a_checksum(tmp_path):
    write(tmp_path, "one", PARALLEL)
    write(tmp_path, "two", source(files={"a": {**FILE, "sha256": "0" * 64}, "b": PARALLEL["source"]["files"]["b"]}))
    with pytest.raises(UserError, match=r"two.yaml: source.files.a.sha256: another dataset gives unverified"):
        dataset.downloads(tmp_path)
