"""From plain text to plain text, against the model and its vocabulary."""

import json
import os

import pytest
import torch
from tests.bundles import made

from natlab.bundles.bundle import Bundle, together
from natlab.bundles.engines import ctranslate2
from natlab.corpus.vocabulary import read_symbols, symbol_index
from natlab.decoding import decode
from natlab.errors import UserError
from natlab.kernels import use

LINES = ["The low house", "", "A new lower HOUSE is here", "the newest house", " \t "]


def expected(folder, model, decoding, segmented):
    """The subwords that a model says of a source's subwords."""
    symbols = {side: read_symbols(folder / f"results/corpora/tiny/bin/dict.{side}.txt") for side in ("src", "tgt")}
    index = symbol_index(symbols["src"])
    source = torch.tensor([[*(index.get(word, 3) for word in segmented.split()), 2]])
    with use("reference"):
        (said,) = decode(model, source, decoding)
    return " ".join(symbols["tgt"][number] for number in said.tolist())


GREEDY = {"kind": "beam", "beam": 1, "length_penalty": 1.0}
GRAPH = {"name": "nat", "lengths": {"name": "source", "factor": 2.0}, "fill": {"name": "copy"}, "links": True}
LOOKAHEAD = {"kind": "graph", "strategy": "lookahead", "length_penalty": 1.0, "shown": None}
KINDS = [(made.NAT, made.ARGMAX), ({"name": "transformer"}, GREEDY), (GRAPH, LOOKAHEAD)]


@pytest.mark.parametrize(("architecture", "decoding"), KINDS)
def test_lines_become_what_the_model_says(tmp_path, architecture, decoding):
    folder, model = made.bundle(tmp_path, architecture, decoding)
    found = Bundle(folder, threads=1).translate(LINES)
    segment = made.subwords.load_codes(tmp_path / "results/corpora/tiny/bpe/codes.src").segment
    for line, each in zip(LINES, found, strict=True):
        if each.said is None:
            assert (each.text, each.subwords, each.unknown) == ("", "", (0, 0))
        else:
            said = expected(tmp_path, model, decoding, segment(line.lower())).split()
            assert each.subwords.split()[:50] == said[:50]  # a random model's sentences may have no end but their limit
            assert each.text.replace(" ", "") == each.subwords.replace("@@", "").replace(" ", "")


def test_translations_do_not_depend_on_what_is_translated_with_them(tmp_path):
    folder, _ = made.bundle(tmp_path)
    opened = Bundle(folder, threads=1)
    together = [each.text for each in opened.translate(LINES * 9, batch=7)]
    assert together == [opened.translate([line])[0].text for line in LINES] * 9


def test_what_it_does_not_know_is_counted(tmp_path):
    folder, _ = made.bundle(tmp_path)
    (found,) = Bundle(folder, threads=1).translate(["the 世界"])
    assert found.unknown == (2, 3) and found.text


@pytest.mark.parametrize(
    "line", ["house " * 1000, "\x00\x01", "the\x00low\x1bhouse", "\u2028", "😀" * 50, "\ud7ff", "@@ @@", "<unk> <s>"]
)
@pytest.mark.parametrize(("architecture", "decoding"), KINDS)
def test_any_line_becomes_one_line(tmp_path, line, architecture, decoding):
    folder, _ = made.bundle(tmp_path, architecture, decoding)
    opened = Bundle(folder, threads=1)
    before, found, after = opened.translate(["the house", line, "the house"])
    assert before == after and before.said is not None
    assert "\n" not in found.text
    assert (found.said is None) == (line in ("\x00\x01", "\u2028"))


def test_what_it_does_not_read_is_counted(tmp_path, monkeypatch):
    folder, _ = made.bundle(tmp_path, {"name": "transformer"}, GREEDY)
    monkeypatch.setattr(ctranslate2, "READ", 4)
    short, long = Bundle(folder, threads=1).translate(["the the the", "the the the the the"])
    assert (short.unread, long.unread) == (0, 2) and short.said == long.said


def test_control_characters_part_words(tmp_path):
    folder, _ = made.bundle(tmp_path)
    one, other = Bundle(folder, threads=1).translate(["the\x00low\x1bhouse", "the low house"])
    assert one == other


def test_a_side_that_training_truncated_is_cut(tmp_path):
    folder, _ = made.bundle(tmp_path, dataset=made.DATASET | {"truncate": {"src": 3}})
    one, other = Bundle(folder, threads=1).translate(["the new house is low", "the new house"])
    assert one == other


def test_text_that_comes_in_subwords_is_taken_as_it_is(tmp_path):
    given = made.DATASET | {"bpe": {"joint": False, "merges": "given"}, "tokenise": "none"}
    folder, model = made.bundle(tmp_path, dataset=given)
    assert not (folder / "codes.src").exists()
    segment = made.subwords.load_codes(tmp_path / "results/corpora/tiny/bpe/codes.src").segment
    (found,) = Bundle(folder, threads=1).translate([segment("the newest house")])
    assert found.subwords == expected(tmp_path, model, made.ARGMAX, segment("the newest house"))
    assert found.unknown[0] == 0


def test_a_bundle_is_only_read(tmp_path):
    folder, _ = made.bundle(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert Bundle(folder).translate(["the house"])[0].text
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    folder.chmod(0o755)


def spoil(name, change):
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (spoil("model.onnx", lambda data: data[:-100]), "model.onnx: damaged"),
        (spoil("vocabulary.tgt", lambda data: data.replace(b"a", b"b")), "vocabulary.tgt: damaged"),
        (lambda folder: os.remove(folder / "codes.src"), "codes.src: missing"),
        (spoil("bundle.json", lambda data: data[: len(data) // 2]), "bundle.json: damaged"),
        (spoil("bundle.json", lambda data: data.replace(b'"engine"', b'"motor"')), "bundle.json: damaged"),
        *(
            (spoil("bundle.json", lambda data, change=change: change(json.loads(data))), "bundle.json: damaged")
            for change in (
                lambda said: b"[]",
                lambda said: json.dumps(said | {"files": []}).encode(),
                lambda said: json.dumps(said | {"files": {}}).encode(),
                lambda said: json.dumps(said | {"files": dict.fromkeys(said["files"], 3)}).encode(),
                lambda said: json.dumps(said | {"files": said["files"] | {"../x": {}}}).encode(),
                lambda said: json.dumps(said | {"files": said["files"] | {"/etc/passwd": {}}}).encode(),
                lambda said: json.dumps(said | {"engine": "tensorflow"}).encode(),
                lambda said: json.dumps(said | {"engine": ["onnx"]}).encode(),
                lambda said: json.dumps(said | {"engine": "ctranslate2"}).encode(),
                lambda said: json.dumps(said | {"precision": "int4"}).encode(),
                lambda said: json.dumps(said | {"decoding": {}}).encode(),
                lambda said: json.dumps(said | {"decoding": {"kind": "graph"}}).encode(),
                lambda said: json.dumps(said | {"languages": "de"}).encode(),
                lambda said: json.dumps(said | {"languages": {"src": "de"}}).encode(),
                lambda said: json.dumps(said | {"truncate": "5"}).encode(),
                lambda said: json.dumps(said | {"tokenise": "bogus"}).encode(),
                lambda said: json.dumps(said | {"lowercase": 1}).encode(),
                lambda said: json.dumps(said | {"format": "1"}).encode(),
            )
        ),
        (spoil("bundle.json", lambda data: data.replace(b'"format": 1', b'"format": 2')), "of format 2"),
        (lambda folder: os.remove(folder / "bundle.json"), "no bundle"),
    ],
)
def test_a_damaged_bundle_is_refused_in_one_line(tmp_path, damage, message):
    folder, _ = made.bundle(tmp_path)
    damage(folder)
    with pytest.raises(UserError, match=message) as caught:
        Bundle(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("architecture", "decoding", "file"),
    [(made.NAT, made.ARGMAX, "model.onnx"), ({"name": "transformer"}, made.BEAM, "model/model.bin")],
)
def test_what_an_engine_cannot_load_is_refused_in_one_line(tmp_path, architecture, decoding, file):
    """Whole as it was exported, but by another version, say."""
    from natlab.bundles import manifest

    folder, _ = made.bundle(tmp_path, architecture, decoding)
    (folder / file).write_bytes(b"something else")
    said = manifest.read_json(folder / "bundle.json")
    (folder / "bundle.json").unlink()
    manifest.Manifest(**said).write(folder)
    with pytest.raises(UserError, match="cannot load it") as caught:
        Bundle(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("lengths", "batch", "expected"),
    [
        ([3, 0, 1, 2], 2, [[2, 3], [0]]),
        ([400, 500, 600, 5], 32, [[3, 0], [1], [2]]),  # 1,024 tokens at most
        ([5000], 32, [[0]]),
        ([0, 0], 32, []),
    ],
)
def test_which_sentences_are_translated_together(lengths, batch, expected):
    assert list(together(lengths, batch)) == expected
