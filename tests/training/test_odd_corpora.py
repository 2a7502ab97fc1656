"""Small odd corpora, all legitimate, through the real steps from cleaning to measuring."""

import argparse
import json

import pytest
import yaml
from tests import plain

from natlab.corpus import binarise, bpe, clean, dataset, distilled, subwords
from natlab.files import read_json
from natlab.measuring import distil, measure, translate
from natlab.training import train

DATASET = {
    "source": {"kind": "parallel", "files": {"all": {"url": "https://example.org/all.txt", "sha256": "unverified"}}},
    "languages": {"src": "en", "tgt": "de"},
    "clean": {"max_length": 2000, "max_ratio": None, "deduplicate": False},
    "tokenise": "none",
    "lowercase": False,
    "bpe": {"joint": True, "merges": 20},
    "licence": "none",
}
DATASET["source"]["splits"] = {split: [{"src": "all", "tgt": "all"}] for split in ("train", "valid", "test")}

SENTENCES = ["the cat sees the dog", "a dog", "the mouse sees a cat and a dog"]
PLAIN = {"train": (SENTENCES, SENTENCES), "valid": (SENTENCES, SENTENCES), "test": (SENTENCES, SENTENCES)}
SPECIAL = ["<s> the <unk> sees </s>", "<pad>", "<unk> <unk> sees <<unk>> @ madeupword0000"]
LETTERS = [" ".join(sentence.replace(" ", "_")) for sentence in SENTENCES]
LONG = ["word " * 120 + "end", "a dog"]  # batches have 100 tokens
SUBWORDS = ["the c@@ at s@@ ees the d@@ og", "a d@@ og", "the mou@@ se"]

CORPORA = {
    "special tokens": (dict.fromkeys(PLAIN, (SPECIAL, SPECIAL)), {}),
    "special tokens in test only": (PLAIN | {"test": (SPECIAL, SPECIAL)}, {"joint": False}),
    "one sentence": (dict.fromkeys(PLAIN, (["the cat"], ["die katze"])), {}),
    "letters on one side": (dict.fromkeys(PLAIN, (SENTENCES, LETTERS)), {"joint": False}),
    "letters on both sides": (dict.fromkeys(PLAIN, (LETTERS, LETTERS)), {}),
    "pairs longer than a batch": (PLAIN | dict.fromkeys(("valid", "test"), (LONG, LONG[::-1])), {}),
    "pairs longer than training takes": (dict.fromkeys(PLAIN, ([SENTENCES[0], "word " * 1100],) * 2), {}),
    "empty lines held out": (PLAIN | dict.fromkeys(("valid", "test"), (["", "a dog", "a"], ["a dog", "", "a"])), {}),
    "in subwords": (dict.fromkeys(PLAIN, (SUBWORDS, SUBWORDS)), {"merges": "given"}),
}
PROXIES = {
    "transformer": {"target": {"name": "raw"}},
    "glat_kd": {"target": {"name": "kd", "teacher": "transformer"}, "input": {"name": "glat"}},
    "vanilla": {"target": {"name": "raw"}, "input": {"name": "vanilla"}},
}


def call(verb, *arguments, **options):
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    given = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    verb.run(parser.parse_args([*given, *map(str, arguments)]))


@pytest.mark.parametrize("corpus", CORPORA)
def test_an_odd_corpus_goes_all_the_way(corpus, spec, tmp_path):
    texts, in_bpe = CORPORA[corpus]
    config = tmp_path / "odd.yaml"
    config.write_text(yaml.safe_dump({**DATASET, "bpe": DATASET["bpe"] | in_bpe}), encoding="utf-8")
    (tmp_path / "text").mkdir()
    for split, sides in texts.items():
        for side, lines in zip(("src", "tgt"), sides, strict=True):
            (tmp_path / "text" / f"{split}.{side}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    call(clean, config=config, text=tmp_path / "text", out=tmp_path / "tok")
    call(bpe, config=config, tok=tmp_path / "tok", out=tmp_path / "bpe")
    call(binarise, config=config, bpe=tmp_path / "bpe", out=tmp_path / "bin")
    # beam search to a thousand tokens takes a minute
    systems = ["vanilla"] if corpus == "pairs longer than training takes" else list(PROXIES)
    for system in systems:
        proxies = PROXIES[system]
        made = {**spec(updates=2, validate_every=1, batch_tokens=100), "system": system}
        made["architecture"] = {"name": "transformer"} if system == "transformer" else plain.architecture()
        made = {key: value for key, value in made.items() if key not in ("target", "input")} | proxies
        made["joint_vocabulary"] = dataset.load(config)["bpe"]["joint"]
        folder = tmp_path / system
        data = tmp_path / ("kd" if "teacher" in proxies["target"] else "bin")
        model = folder / "model.pt"
        call(train, spec=json.dumps(made), data=data, checkpoints=folder / "checkpoints", out=model)
        decoding = {"kind": "beam", "beam": 2} if system == "transformer" else {"kind": "argmax"}
        arguments = ["--splits", "valid", "test", *(["--proxy-data", data] if data.name == "kd" else [])]
        out = folder / "translations"
        decodings = json.dumps({"d": decoding})
        call(translate, *arguments, model=model, data=tmp_path / "bin", decodings=decodings, out=out)
        measured = folder / "measured"
        identity = json.dumps({"dataset": "odd", "scale": "test", "system": system, "seed": 1})
        call(measure, translations=out, corpus=tmp_path, dataset_config=config, identity=identity, out=measured)
        assert len((out / "d.test.txt").read_text(encoding="utf-8").split("\n")) == len(texts["test"][1]) + 1
        if system == "transformer":
            shards = {}
            for split in texts:
                shards[split] = [tmp_path / f"{split}.{shard}" for shard in (1, 2)]
                for shard, path in enumerate(shards[split], 1):
                    call(distil, model=model, data=tmp_path / "bin", split=split, shard=shard, shards=2, out=path)
            given = [word for split, paths in shards.items() for word in (f"--shards-{split}", *paths)]
            call(distilled, *given, data=tmp_path / "bin", out=tmp_path / "kd")
    # a perfect system scores 100
    perfect = tmp_path / "perfect"
    perfect.mkdir()
    for file in ("losses.json", "decoded.json", "provenance.json"):
        (perfect / file).write_bytes((tmp_path / "vanilla" / "translations" / file).read_bytes())
    words = [subwords.joined(line) if in_bpe.get("merges") == "given" else line for line in texts["test"][1]]
    (perfect / "d.test.txt").write_text("".join(f"{line}\n" for line in words), encoding="utf-8")
    call(
        measure, translations=perfect, corpus=tmp_path, dataset_config=config, identity=identity, out=tmp_path / "best"
    )
    values = read_json(tmp_path / "best" / "d.test.json")["values"]
    assert values["chrf"]["value"] == pytest.approx(100)
