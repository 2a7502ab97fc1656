"""The section on data: numbers as the steps counted them, and of a generated corpus all targets of an example."""

import math
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from tests.report.page.example import RUN, translated

from natlab.corpus import grammar
from natlab.corpus.bpe import encode
from natlab.corpus.clean import clean
from natlab.corpus.dataset import load
from natlab.files import lines, write_json
from natlab.papers.labels import Labels
from natlab.report.page import corpora

SMALL = {"pairs": 30, "valid": 4, "test": 40}


class Tables(HTMLParser):
    """Collects tables as rows of texts."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tables = [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag == "br":
            self.tables[-1][-1][-1] += "|"
            return
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"th", "td"} & set(self.open):
            self.tables[-1][-1][-1] += data


@pytest.fixture
def generated(tmp_path):
    """(results, folder of datasets) of a small generated corpus, ds."""
    described = yaml.safe_load(Path("config/datasets/grammar_ende.yaml").read_text("utf-8"))
    described["source"] |= SMALL
    described["licence"] = "free & <open>"
    (tmp_path / "ds.yaml").write_text(yaml.safe_dump(described))
    folder = tmp_path / "results/corpora/ds"
    (folder / "text").mkdir(parents=True)
    source = {key: value for key, value in described["source"].items() if key != "kind"}
    grammar.generate(grammar.Recipe(**source), folder / "text")
    dataset = load(tmp_path / "ds.yaml")
    clean(dataset, folder / "text", folder / "tok")
    encode(dataset, folder / "tok", folder / "bpe")
    return tmp_path / "results", tmp_path


def test_the_steps_numbers_stand_in_a_table(generated):
    results, datasets = generated
    write_json(
        results / "corpora/ds/bin/stats.json",
        {"joint": False, "dictionary": {"src": 12, "tgt": 3456},
         "splits": {"valid": {"unknown": {"src": 0, "tgt": 7}}}},
    )  # fmt: skip
    found = corpora.section(RUN, [], results, datasets)
    head, sides, train, valid, test = Tables(found).tables[0]
    assert head == ["split", "pairs read", "dropped", "kept", "words", "different words", "subwords", "unknown"]
    assert sides == ["source", "target"] * 4
    assert train[:4] == ["train", "30", "–", "30"] and valid[:4] == ["valid", "4", "–", "4"]
    for row, split in ((train, "train"), (valid, "valid"), (test, "test")):
        words, subwords = (
            [" ".join(lines(results / f"corpora/ds/{step}/{split}.{side}")).split() for side in ("src", "tgt")]
            for step in ("tok", "bpe")
        )
        assert row[4:10] == [str(len(of)) for of in (*words, *map(set, words), *subwords)]
    assert train[10:] == ["–", "–"] and valid[10:] == ["0", "7"]
    assert "12 of the source, 3,456 of the target" in found
    assert "Stands for wmt14_ende. From en to de. Licence: free &amp; &lt;open&gt;." in found


def test_what_was_dropped_and_why_is_counted_over_the_steps(tmp_path):
    folder = tmp_path / "corpora/ds"
    steps = {
        "text": {"train": {"pairs_out": 5000, "dropped": {"in a smaller split": 1200, "empty": 3}}},
        "tok": {"train": {"pairs_in": 5000, "pairs_out": 4990, "dropped": {"too long": 6, "empty": 4, "duplicate": 0}}},
    }
    for step, splits in steps.items():
        write_json(folder / step / "stats.json", {"splits": splits})
    (table,) = Tables(corpora.section(RUN, [], tmp_path, tmp_path)).tables
    assert table[2][:4] == ["train", "6,203", "1,200 in a smaller split, 7 empty, 6 too long", "4,990"]
    assert table[3] == ["valid", *["–"] * 11]
    (folder / "tok/stats.json").unlink()
    (table,) = Tables(corpora.section(RUN, [], tmp_path, tmp_path)).tables
    assert table[2][:4] == ["train", "6,203", "1,200 in a smaller split, 3 empty", "5,000"]


def test_a_corpus_of_which_nothing_is_there_says_so_and_each_stands_once(tmp_path):
    run = RUN | {"corpora": {"a": "x", "b": "x", "y": "y"}}
    found = corpora.section(run, [], tmp_path, tmp_path)
    assert re.findall("<h3>(.*)</h3>", found) == ["x", "y"]
    assert found.count("No statistics of it") == 2 and "Stands for a, b." in found and "Stands for y" not in found


def example(results):
    """(number from 0, P(Y|X)) of the first source of test with 4 to 12 targets, found another way."""
    source = yaml.safe_load((results.parent / "ds.yaml").read_text())["source"]
    for number, distribution in enumerate(grammar.distributions(source, "test")):
        targets = {" ".join(tokens): p for tokens, p in distribution.enumerated()}
        if 4 <= len(targets) <= 12:
            return number, targets


def test_an_example_has_all_its_targets_and_who_says_them(generated):
    results, datasets = generated
    number, targets = example(results)
    count = SMALL["test"]
    ordered = sorted(targets, key=lambda target: (-targets[target], target))
    wrong = ordered[0] + " <b>zu</b> viel"
    says = {"one": ordered[0], "two": ordered[0], "three": ordered[2], "four": wrong, "five": ""}
    readings = [
        translated(results, system, "argmax", ["x"] * number + [text] + ["x"] * (count - number - 1), ["y"] * count)
        for system, text in says.items()
    ]
    several = [([text], [0.0]) for text in ["x"] * number]
    several += [([ordered[2], ordered[3], "other"], [0.0, -1.0, -2.0])] + [(["x"], [0.0])] * (count - number - 1)
    said = ["x"] * number + [ordered[2]] + ["x"] * (count - number - 1)
    readings.append(translated(results, "six", "drawn", said, ["y"] * count, hypotheses=several))
    found = corpora.section(RUN, readings, results, datasets)
    _, allowed, refused = Tables(found).tables
    reference = list(lines(results / "corpora/ds/tok/test.tgt"))[number]
    assert allowed[0] == ["target", "P(Y|X)", "said by", "also among the hypotheses of"]
    assert [row[0].removesuffix(" the reference") for row in allowed[1:]] == ordered
    assert [row[0] for row in allowed[1:] if row[0].endswith(" the reference")] == [f"{reference} the reference"]
    assert [row[1] for row in allowed[1:]] == [f"{targets[target]:.4f}" for target in ordered]
    assert [row[2] for row in allowed[1:5]] == ["one (argmax)|two (argmax)", "–", "three (argmax)|six (drawn)", "–"]
    assert [row[3] for row in allowed[1:5]] == ["–", "–", "–", "six (drawn)"]
    assert refused[1:] == [
        ["nothing", "0", "five (argmax)", "–"],
        [wrong, "0", "four (argmax)", "–"],
        ["other", "0", "–", "six (drawn)"],
    ]
    assert "What P does not allow: 2 of 6 outputs" in found
    assert f"Sentence {number + 1} of test" in found
    source = list(lines(results / "corpora/ds/tok/test.src"))[number]
    assert f'<b lang="en">{source}</b>' in unescape(found)
    reached = 100 * (targets[ordered[0]] + targets[ordered[2]])
    assert f"have {reached:.1f} % of P." in found and math.isclose(sum(targets.values()), 1)


def test_many_outputs_of_one_target_are_folded_away(generated):
    results, datasets = generated
    number, targets = example(results)
    said = [min(targets)] * SMALL["test"]
    readings = [translated(results, f"s{n}", "argmax", said, said) for n in range(5)]
    found = corpora.section(RUN, readings, results, datasets)
    assert "<details><summary>5 of 5</summary>s0 (argmax)<br>s1 (argmax)<br>" in found
    _, allowed = Tables(found).tables
    assert allowed[0] == ["target", "P(Y|X)", "said by"]
    few = corpora.section(RUN, readings[:4], results, datasets, Labels({"s0": "S & T"}, {"argmax": "likeliest"}))
    assert "<summary>" not in few and "S &amp; T (likeliest)<br>s1 (likeliest)" in few


def test_a_corpus_that_its_file_does_not_describe_has_no_example(generated):
    results, datasets = generated
    path = results / "corpora/ds/tok/test.tgt"
    path.write_text("nein .\n" * SMALL["test"])
    found = corpora.section(RUN, [], results, datasets)
    assert "No example: the corpus is not what its file says now" in found and len(Tables(found).tables) == 1


def test_without_modes_no_source_has_several_targets(generated):
    results, datasets = generated
    described = yaml.safe_load((datasets / "ds.yaml").read_text())
    described["source"]["modes"] = dict.fromkeys(described["source"]["modes"], 0)
    (datasets / "ds.yaml").write_text(yaml.safe_dump(described))
    assert "No source of test has 4 to 12 targets." in corpora.section(RUN, [], results, datasets)
