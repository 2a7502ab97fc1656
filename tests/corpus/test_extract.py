import gzip
import json
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.corpus.dataset import address
from natlab.corpus.extract import extract
from natlab.corpus.tatoeba import split
from natlab.errors import UserError

LINES = {"en": ["a b", "c", "d e"], "de": ["A B", "C", "D E"]}
ALL = [{"src": "en", "tgt": "de"}]


class Corpus:
    """A dataset whose files are written where fetching would put them."""

    def __init__(self, folder):
        self.downloads, self.out = folder / "downloads", folder / "text"
        self.files = {}
        for name, lines in LINES.items():
            self.add(name, "".join(f"{line}\n" for line in lines).encode(), f"{name}.txt")

    def add(self, name, content, file):
        self.files[name] = {"url": f"https://example.org/data/{file}", "sha256": "unverified"}
        path = self.downloads / address(self.files[name]["url"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def extract(self, src="en", tgt="de", **splits):
        source = {"kind": "parallel", "files": self.files, "splits": {"train": ALL, "valid": ALL, "test": ALL} | splits}
        return self.run(source, src, tgt)

    def run(self, source, src, tgt):
        extract({"source": source, "languages": {"src": src, "tgt": tgt}}, self.downloads, self.out)
        return {path.name: path.read_text().splitlines() for path in self.out.iterdir() if path.suffix != ".json"}


@pytest.fixture
def corpus(tmp_path):
    return Corpus(tmp_path)


def test_plain_files(corpus):
    text = corpus.extract()
    assert sorted(text) == [f"{split}.{side}" for split in ("test", "train", "valid") for side in ("src", "tgt")]
    assert text["train.src"] == LINES["en"] and text["train.tgt"] == LINES["de"]
    assert corpus.extract("de", "en", train=[{"src": "de", "tgt": "en"}])["train.src"] == LINES["de"]
    assert json.loads((corpus.out / "stats.json").read_text())["splits"]["train"] == {"pairs_out": 3}


def test_parts_follow_one_another(corpus):
    assert corpus.extract(train=ALL * 2)["train.tgt"] == LINES["de"] * 2


def test_every_nth_training_pair_is_held_out(corpus):
    text = corpus.extract(valid={"every": 2})
    assert text["train.src"] == ["a b", "d e"] and text["valid.tgt"] == ["C"]


def test_gzip_segments_and_ted_in_an_archive(corpus, tmp_path):
    corpus.add("zipped", gzip.compress(b"one\ntwo\n"), "en.gz")
    contents = {
        "test.sgm": b'<srcset>\n<doc>\n<seg id="1"> R&amp;D </seg>\n<seg id="2">x</seg>\n</doc>\n',
        "train.tags.de-en.de": b"<url>http</url>\n<title>Titel</title>\n<keywords>k</keywords>\nSatz\n",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        for name in contents:
            archive.add(tmp_path / name, f"x/{name}")
    corpus.add("archive", (tmp_path / "a.tgz").read_bytes(), "archive.tgz")
    text = corpus.extract(
        valid=[{"src": "zipped", "tgt": "archive:x/test.sgm"}],
        test=[{"src": "zipped", "tgt": "archive:x/train.tags.de-en.de"}],
    )
    assert text["valid.src"] == ["one", "two"] and text["valid.tgt"] == ["R&D", "x"]
    assert text["test.tgt"] == ["Titel", "Satz"]


def test_windows_line_ends_byte_order_mark_and_line_separator(corpus):
    corpus.add("en", "\ufeffa\u2028b\r\nc\r\nd\r\n".encode(), "en.txt")
    assert corpus.extract()["train.src"] == ["a b", "c", "d"]


def bad_gzip():
    return gzip.compress(bytes(range(65, 91)) * 1000 + b"\n")[:-20]


@pytest.mark.parametrize(
    ("content", "file", "message"),
    [
        (b"a\nb\n", "en.txt", r"sides of different length, in lines: .*en.txt 2, .*de.txt 3"),
        (b"a\nb\nc\nd\ne\n", "en.txt", r"sides of different length, in lines: .*en.txt 5, .*de.txt 3"),
        (b"a\nb\xff\nc\n", "en.txt", r"en.txt: line 2 is not UTF-8"),
        (b"", "en.txt", r"en.txt: empty file"),
        (bad_gzip(), "en.gz", r"en.gz: damaged or truncated"),
        (b"not gzip\n", "en.gz", r"en.gz: damaged or truncated"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_left(corpus, content, file, message):
    corpus.add("en", content, file)
    with pytest.raises(UserError, match=message):
        corpus.extract()
    assert not corpus.out.exists() and [path.name for path in corpus.out.parent.iterdir()] == ["downloads"]


def test_failure_keeps_the_earlier_text(corpus):
    corpus.extract()
    corpus.add("en", b"", "en.txt")
    with pytest.raises(UserError):
        corpus.extract()
    assert (corpus.out / "train.src").read_text().splitlines() == LINES["en"]


def test_missing_file(corpus):
    (corpus.downloads / "example.org/data/de.txt").unlink()
    with pytest.raises(UserError, match="de.txt: no such file"):
        corpus.extract()


def test_columns_of_tables_and_lines_of_text_are_paired_by_order(corpus):
    corpus.add("table", b'src,"long, tgt"\none,"eins\n  zwei"\ntwo,drei\n', "table.csv")
    corpus.add("objects", b'{"tgt": "vier"}\n{"tgt": "f\\u00fcnf"}\n', "o.jsonl")
    corpus.add("plain", b"A\nB\n", "plain.txt")
    text = corpus.extract(
        train=[{"src": "table#src", "tgt": "table#long, tgt"}, {"src": "plain", "tgt": "objects#tgt"}],
        test=[{"src": "objects#tgt", "tgt": "table#src"}],
    )
    assert list(zip(text["train.src"], text["train.tgt"], strict=True)) == [
        ("one", "eins zwei"), ("two", "drei"), ("A", "vier"), ("B", "fünf")
    ]  # fmt: skip
    assert text["test.src"] == ["vier", "fünf"]


def test_columns_are_further_references(corpus):
    corpus.add("table", b"a\tb\nx\t1\ny\t2\nz\t3\n", "table.tsv")
    splits = {"train": ALL, "valid": ALL, "test": ALL}
    source = {
        "kind": "parallel",
        "files": corpus.files,
        "splits": splits,
        "references": {"test": ["table#a", "table#b"]},
    }
    text = corpus.run(source, "en", "de")
    assert [text["test.ref1"], text["test.ref2"]] == [["x", "y", "z"], ["1", "2", "3"]]


@pytest.mark.parametrize(
    ("part", "kept"),
    [
        ({"pairs": {"first": 2}}, [1, 2]),
        ({"pairs": {"last": 2}}, [0, 1]),
        ({"pairs": {"first": 2, "last": 2}}, [1]),
        ({"pairs": {"last": 9}}, [0, 1, 2]),
        ({"only": {"label": "1"}}, [0, 2]),
        ({"only": {"label": "1", "en": "a.*"}}, [0]),
        ({"without": {"en": "[ac].?.?"}}, [2]),
        ({"without": {"label": "x", "de": "C"}}, [0, 2]),
        ({"only": {"label": "1"}, "without": {"de": "D E"}, "pairs": {"last": 3}}, [0]),
        ({"without": {"label": "0"}, "pairs": {"first": 2}}, [2]),
    ],
)
def test_which_pairs_of_a_part_are_taken(corpus, part, kept):
    corpus.add("label", b"1\n0\n1\n", "label.txt")
    text = corpus.extract(train=[ALL[0] | part])
    assert text["train.src"] == [LINES["en"][i] for i in kept] and text["train.tgt"] == [LINES["de"][i] for i in kept]
    counts = json.loads((corpus.out / "stats.json").read_text())["splits"]["train"]
    first, last = part.get("pairs", {}).get("first", 1), min(3, part.get("pairs", {}).get("last", 3))
    assert counts["pairs_out"] == len(kept)
    assert sum(counts.get("dropped", {}).values()) == last - first + 1 - len(kept)


def test_every_nth_pair_is_of_those_that_are_taken(corpus):
    text = corpus.extract(train=[ALL[0] | {"without": {"en": "a b"}}], valid={"every": 2})
    assert text["train.src"] == ["c"] and text["valid.src"] == ["d e"]


def test_a_filter_of_another_length_is_refused(corpus):
    corpus.add("label", b"1\n0\n", "label.txt")
    with pytest.raises(UserError, match=r"sides of different length, in lines: pairs 3, .*label.txt 2"):
        corpus.extract(train=[ALL[0] | {"only": {"label": "1"}}])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("table", "table.csv: a table; name the column that is meant behind a #"),
        ("table#c", "has 0 columns c, not one"),
    ],
)
def test_a_table_needs_a_column(corpus, name, message):
    corpus.add("table", b"a,b\n1,2\n", "table.csv")
    with pytest.raises(UserError, match=message):
        corpus.extract(test=[{"src": name, "tgt": "table#a"}])


def test_words_are_respelled_in_sides_and_references(corpus):
    corpus.add("en", b"a <unk>\n<unk>, c\nd\n", "en.txt")
    splits = {"train": ALL, "valid": ALL, "test": ALL}
    source = {"kind": "parallel", "files": corpus.files, "splits": splits, "references": {"test": ["en"]}}
    text = corpus.run(source | {"respell": {"<unk>": "UNK"}}, "en", "de")
    # whole words only
    assert text["train.src"] == text["test.ref1"] == ["a UNK", "<unk>, c", "d"]


def test_splits_are_held_apart_and_it_is_said_how_many_pairs_that_takes(corpus):
    corpus.add("held", b"D E!\n", "held.txt")
    corpus.add("c", b"c\n", "c.txt")
    source = {
        "kind": "parallel", "files": corpus.files, "disjoint": "either", "references": {"valid": ["c"]},
        "splits": {"train": ALL, "valid": [{"src": "c", "tgt": "c"}], "test": [{"src": "held", "tgt": "held"}]},
    }  # fmt: skip
    text = corpus.run(source, "en", "en")
    assert text["train.src"] == ["a b"] and text["valid.ref1"] == ["c"]
    counts = json.loads((corpus.out / "stats.json").read_text())["splits"]
    assert counts["train"] == {"pairs_out": 1, "dropped": {"in a smaller split": 2}}
    assert counts["valid"] == {"pairs_out": 1, "references": 1, "dropped": {"in a smaller split": 0}}
    with pytest.raises(UserError, match=r"no pair of train is left \(left out: 3 in a smaller split\); name more of"):
        corpus.run(source | {"references": {}, "splits": {"train": ALL, "valid": ALL, "test": ALL}}, "en", "en")


def test_a_split_of_which_nothing_is_left_is_refused(corpus):
    with pytest.raises(UserError, match=r"no pair of test is left \(left out: 3 without\); name more of its files"):
        corpus.extract(test=[ALL[0] | {"without": {"en": ".*"}}])
    with pytest.raises(UserError, match=r"no pair of test is left \(left out: none\)"):
        corpus.extract(test=[ALL[0] | {"pairs": {"first": 4}}])


def test_sets_of_sentences(corpus):
    corpus.add("third", b'{"s": "<x> 1"}\n{"s": "2"}\n{"s": "3"}\n', "t.jsonl")
    files = ["en", "de", "third#s"]
    source = {
        "kind": "sets", "files": corpus.files, "pairs": 6, "seed": 1, "respell": {"<x>": "x"},
        "splits": {"train": [["en", "third#s"], ["third#s", "en"]], "valid": [files], "test": [files]},
    }  # fmt: skip
    text = corpus.run(source, "en", "en")
    of = [{"a b", "x 1"}, {"c", "2"}, {"d e", "3"}]
    rows = list(zip(text["train.src"], text["train.tgt"], strict=True))
    assert [set(row) for row in rows[::2]] == of * 2 and [row[::-1] for row in rows[::2]] == rows[1::2]
    # "a b" and "A B" are one
    rows = zip(*(text[f"test.{suffix}"] for suffix in ("src", "tgt")), strict=True)
    assert [{line.lower() for line in row} for row in rows] == of and "test.ref1" not in text
    with pytest.raises(UserError, match="sides of different length"):
        corpus.add("third", b'{"s": "1"}\n', "t.jsonl")
        corpus.run(source, "en", "en")


# ten English sentences of two translations each, one pair twice, and a sentence with one translation only
TABLE = "".join(f"E{i}.\tD{i}{end}.\tCC-BY\n" for i in range(10) for end in "ab") + "E0.\tD0a.\nOne.\tEins.\n"


def tatoeba(corpus, src, tgt, **sizes):
    corpus.add("pairs", TABLE.encode(), "deu.txt")
    return corpus.run({"kind": "tatoeba", "files": corpus.files, "table": "pairs", "seed": 1, **sizes}, src, tgt)


def test_tatoeba_holds_out_sources_with_all_their_translations(corpus):
    text = tatoeba(corpus, "en", "de", valid=3, test=7)
    columns = {split: [text[f"{split}.{end}"] for end in ("src", "tgt", "ref1")] for split in ("valid", "test")}
    rows = [row for split in columns.values() for row in zip(*split, strict=True)]
    assert len(columns["test"][0]) == 7 and len(set(rows)) == 10
    for src, tgt, reference in rows:
        assert (src, tgt, reference) in {
            (f"E{src[1:-1]}.", f"D{src[1:-1]}a.", f"D{src[1:-1]}b."),
            ("One.", "Eins.", ""),
        }
    assert len(text["train.src"]) == len(text["train.tgt"]) == 21 - sum(1 + bool(row[2]) for row in rows)


def test_tatoeba_in_the_other_direction(corpus):
    text = tatoeba(corpus, "de", "en", valid=3, test=7)
    assert "test.ref1" not in text  # every German sentence has one translation
    assert {line[0] for line in text["train.src"]} <= {"D", "E"} and len(text["test.src"]) in (13, 14)


def test_tatoeba_bad_table(corpus):
    corpus.add("pairs", b"Go.\tGeh.\nGo\n", "deu.txt")
    source = {"kind": "tatoeba", "files": corpus.files, "table": "pairs", "seed": 1, "valid": 1, "test": 1}
    with pytest.raises(UserError, match="line 2 is not 'English <tab> other language'"):
        corpus.run(source, "en", "de")
    corpus.add("pairs", b"Go.\tGeh.\nStop.\tHalt.\n", "deu.txt")
    with pytest.raises(UserError, match=r"holding out 1 \+ 1 sentences leaves none"):
        corpus.run(source, "en", "de")


SENTENCE = st.text("ab.! ", min_size=1, max_size=3)


@settings(deadline=None)
@given(st.lists(st.tuples(SENTENCE, SENTENCE), max_size=40), st.integers(0, 4), st.integers(0, 4), st.integers(0, 3))
def test_tatoeba_split_shares_no_sentence(pairs, valid, test, seed):
    splits, dropped = split(pairs, valid, test, seed)
    assert dropped + sum(map(len, splits.values())) == len(pairs)
    for column in (0, 1):
        used = [{"".join(filter(str.isalnum, row[column])) or row[column] for row in rows} for rows in splits.values()]
        assert sum(map(len, used)) == len(set.union(*used))


def document(name, *parts, more=""):
    made = (
        f"<{tag}>" + "".join(f'<p><seg id="{i}">{s}</seg></p>\n' for i, s in segments.items()) + f"</{tag.split()[0]}>"
        for tag, segments in parts
    )
    return f'<doc id="{name}" origlang="en"{more}>{"".join(made)}</doc>\n'


def wmt21(*documents):
    return f'<?xml version="1.0"?>\n<dataset id="t">\n{"".join(documents)}</dataset>\n'.encode()


SRC, A, B = 'src lang="en"', 'ref lang="de" translator="A"', 'ref lang="de" translator="B"'
WMT21 = [
    document("one", (SRC, {1: "E11", 2: "E12"}), (B, {2: "B12", 1: "B11"}), (A, {1: "A11", 2: "A12"})),
    document("two", (SRC, {1: "E21\nE"}), ('hyp system="S" lang="de"', {1: "S21"}), (B, {1: "B21"})),
    document("suite", (SRC, {1: "E31"}), (A, {1: "A31"}), more=' testsuite="s"'),
    document("five", (SRC, {1: "E51"})),
    document("four", (SRC, {1: "E41", 2: "E42"}), (A, {1: "A41", 2: ""})),
]
ENGLISH = ["E11", "E12", "E21 E", "E41"]


@pytest.mark.parametrize("name", ["test.xml", "test.xml.gz", "test.en-de.all"])
def test_one_file_of_wmt21_has_both_sides_and_further_references(corpus, capsys, name):
    content = wmt21(*WMT21)
    corpus.add("wmt", gzip.compress(content) if name.endswith(".gz") else content, name)
    corpus.add("again", b"a\nb\nc\nd\n", "again.txt")
    part = [{"src": "wmt", "tgt": "wmt"}]
    text = corpus.extract(test=part)
    assert text["test.src"] == ENGLISH and text["test.tgt"] == ["A11", "A12", "B21", "A41"]
    assert "2 segments without a translation are left out" in capsys.readouterr().err
    assert corpus.extract("de", "en", test=part)["test.tgt"] == ENGLISH
    assert corpus.extract(test=[{"src": "wmt", "tgt": "wmt#B"}])["test.tgt"] == ["B11", "B12", "B21"]
    source = {"kind": "parallel", "files": corpus.files, "splits": {"train": ALL, "valid": ALL, "test": part}}
    text = corpus.run(source | {"references": {"test": ["wmt"]}}, "en", "de")
    assert text["test.ref1"] == ["B11", "B12", "", ""] and "test.ref2" not in text
    text = corpus.run(source | {"references": {"test": ["wmt#B", "again"]}}, "en", "de")
    assert [text["test.ref1"], text["test.ref2"]] == [["B11", "B12", "", ""], ["a", "b", "c", "d"]]
    with pytest.raises(UserError, match="has no further reference of these pairs"):
        corpus.run(source | {"references": {"test": ["wmt#A"]}}, "en", "de")


def test_one_file_of_one_language_has_both_sides_and_further_references(corpus):
    content = wmt21(*WMT21).replace(b'lang="de"', b'lang="en"')
    corpus.add("wmt", content, "simple.xml")
    part = [{"src": "wmt", "tgt": "wmt"}]
    splits = {"train": ALL, "valid": ALL, "test": part}
    source = {"kind": "parallel", "files": corpus.files, "splits": splits, "references": {"test": ["wmt"]}}
    text = corpus.run(source, "en", "en")
    assert text["test.src"] == ENGLISH and text["test.tgt"] == ["A11", "A12", "B21", "A41"]
    assert text["test.ref1"] == ["B11", "B12", "", ""]
    assert corpus.extract("en", "en", test=[{"src": "wmt", "tgt": "wmt#B"}])["test.tgt"] == ["B11", "B12", "B21"]


def test_sides_are_told_apart_by_name_not_by_their_order(corpus):
    text = corpus.extract(train=[{"tgt": "de", "src": "en"}])
    assert (text["train.src"], text["train.tgt"]) == (LINES["en"], LINES["de"])
    languages = {"tgt": "de", "src": "en"}
    source = {"kind": "parallel", "files": corpus.files, "splits": {"train": ALL, "valid": ALL, "test": ALL}}
    extract({"source": source, "languages": languages}, corpus.downloads, corpus.out)
    assert (corpus.out / "train.src").read_text().splitlines() == LINES["en"]


def test_two_files_of_wmt21_pair_by_document_and_segment(corpus):
    corpus.add("one", wmt21(*WMT21), "one.xml")
    # the same in another order, and not all of it
    for documents in (WMT21[::-1], [WMT21[-1], WMT21[0].replace("E1", "X1"), WMT21[1]]):
        corpus.add("two", wmt21(*documents), "two.xml")
        text = corpus.extract(test=[{"src": "one", "tgt": "two"}])
        assert text["test.src"] == ENGLISH and text["test.tgt"] == ["A11", "A12", "B21", "A41"]
    corpus.add("other", wmt21(document("none", (SRC, {1: "E"}), (A, {1: "A"}))), "other.xml")
    with pytest.raises(UserError, match="one.xml and .*other.xml: .* in one of them only, as 1 of document one"):
        corpus.extract(test=[{"src": "one", "tgt": "other"}])


@pytest.mark.parametrize(
    ("reference", "message"),
    [("wmt#C", "wmt.xml: has no de by C, but by A, B"), ("de#A", "de.txt: plain text has no translator or column A")],
)
def test_a_translator_that_is_not_there_is_one_line(corpus, reference, message):
    corpus.add("wmt", wmt21(*WMT21), "wmt.xml")
    with pytest.raises(UserError, match=message):
        corpus.extract(test=[{"src": "wmt", "tgt": reference}])


def test_old_segment_files_pair_by_name_and_must_be_of_the_same_documents(corpus):
    corpus.add(
        "src", b'<srcset><doc docid="a"><seg id=1>a1<seg id=2>a2</doc><doc docid="b"><seg id=1>b1</doc>', "s.sgm"
    )
    ref = b'<REFSET><DOC docid="b"><SEG id=001>B1</SEG></DOC><DOC docid="a"><SEG id=001>A1<SEG id=002>A2</SEG></DOC>'
    corpus.add("ref", ref, "r.sgm")
    text = corpus.extract(test=[{"src": "src", "tgt": "ref"}])
    assert text["test.src"] == ["a1", "a2", "b1"] and text["test.tgt"] == ["A1", "A2", "B1"]
    corpus.add("ref", ref.replace(b"<SEG id=001>B1", b"<SEG id=002>B1"), "r.sgm")
    with pytest.raises(UserError, match="s.sgm and .*r.sgm: 2 segments are in one of them only, as 1 of document b"):
        corpus.extract(test=[{"src": "src", "tgt": "ref"}])


@pytest.mark.parametrize("name", ["s.sgm", "s.sgm.gz"])
def test_a_segment_over_two_lines_is_one_and_a_compressed_file_is_parsed(corpus, name):
    segments = (
        b'<srcset>\n<doc docid="a">\n<seg id="1">one\nand a half</seg>\n<seg id="2">two</seg>\n</doc>\n</srcset>\n'
    )
    corpus.add("src", gzip.compress(segments) if name.endswith(".gz") else segments, name)
    # as many lines as sentences, and as many as the mark-up has
    corpus.add("two", b"X\nY\n", "two.txt")
    assert corpus.extract(test=[{"src": "src", "tgt": "two"}])["test.src"] == ["one and a half", "two"]
    corpus.add("seven", b"X\n" * 7, "seven.txt")
    with pytest.raises(UserError, match="sides of different length, in lines: .* 2, .*seven.txt 7"):
        corpus.extract(test=[{"src": "src", "tgt": "seven"}])


def test_segments_beside_plain_text_go_by_order(corpus):
    corpus.add("src", b'<srcset><doc docid="a"><seg id="2">x</seg><seg id="1">y</seg></doc></srcset>', "s.sgm")
    corpus.add("two", b"X\nY\n", "two.txt")
    text = corpus.extract(test=[{"src": "src", "tgt": "two"}])
    assert text["test.src"] == ["x", "y"] and text["test.tgt"] == ["X", "Y"]
    with pytest.raises(UserError, match="sides of different length, in lines: .*s.sgm 2, .*de.txt 3"):
        corpus.extract(test=[{"src": "src", "tgt": "de"}])


def test_a_plain_file_may_be_both_sides(corpus):
    text = corpus.extract(test=[{"src": "en", "tgt": "en"}])
    assert text["test.src"] == text["test.tgt"] == LINES["en"]
