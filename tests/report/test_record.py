"""A report's record: what a clone can make the report of, and nothing else; the same content is the same archive."""

import io
import json
import lzma
import os
import shutil
import tarfile
import tempfile

import pytest
from tests.report import whole as runs

from natlab.errors import UserError
from natlab.files import read_json
from natlab.report import record
from natlab.report.page import sentences


def held(path):
    """The contents of an archive by name."""
    with tarfile.open(path, "r:xz") as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}


def test_it_holds_what_the_report_is_made_from(whole):
    names = set(held(whole.report / record.NAME))
    seeds, students = (1, 2), ("kd", "axe", "oaxe")
    assert {name for name in names if name.startswith("measurements/")} == {
        *(f"measurements/ds/demo/{system}/seed{seed}/argmax.test.json" for system in students for seed in seeds),
        *(f"measurements/ds/demo/transformer/seed{seed}/beam5.test.json" for seed in seeds),
        *(f"measurements/ds/demo/kd/seed{seed}/lpd3.test.json" for seed in seeds),
        *(f"measurements/ds/demo/{system}/seed{seed}.latency.json" for system in ("kd", "axe") for seed in seeds),
        *(f"measurements/own/demo/kd/seed{seed}/argmax.test.samples.json" for seed in seeds),
    }  # fmt: skip
    assert {name for name in names if name.startswith("translations/")} == {
        *(f"translations/ds/demo/kd/seed1/{decoding}.test.txt" for decoding in ("argmax", "lpd3")),
        "translations/ds/demo/axe/seed1/argmax.test.txt",
        "translations/ds/demo/transformer/seed1/beam5.test.txt",
    }
    steps = {"text/exact.json", "text/stats.json", "tok/stats.json", "bpe/stats.json", "bin/stats.json"}
    for dataset, texts in (("ds", {"tok/test.src", "tok/test.tgt", "text/test.ref1"}), ("own", set())):
        found = {name for name in names if name.startswith(f"corpora/{dataset}/")}
        assert found == {f"corpora/{dataset}/{file}" for file in steps | texts}
    assert {name for name in names if name.startswith(("models/", "surfaces/", "runs/"))} == {
        *(f"models/ds/demo/{model}/curve.jsonl" for model in ("transformer/seed1", "transformer/seed2", "kd/seed1")),
        *(f"surfaces/ds/demo/kd+axe+oaxe/seed1/{row}.json" for row in range(3)),
        "runs/small/spent.jsonl",
    }  # fmt: skip


def test_of_sentences_that_are_others_it_has_none(whole):
    """Neither as texts nor by their translations; samples that a table shows are measurements."""
    packed = held(whole.report / record.NAME)
    assert not any(name.startswith(("translations/own/", "corpora/own/tok/test.")) for name in packed)


def test_further_outputs_that_the_page_shows_are_kept_where_they_are_there(changed):
    more = [
        "translations/ds/demo/axe/seed1/target.txt", "translations/ds/demo/axe/seed1/argmax.test.samples.jsonl",
        "graphs/ds/demo/axe/seed1.json", "candidates/ds/demo/seed1/gamma.json",
        "candidates/ds/demo/seed1/test.src-tgt.c0", "candidates/ds/demo/seed1/test.bleu.npy",
    ]  # fmt: skip
    others = [
        "graphs/ds/demo/axe/seed2.json",
        "candidates/ds/demo/seed1/train.src-tgt.c0",
        "graphs/own/demo/kd/seed1.json",
    ]
    for name in (*more, *others):
        (changed.results / name).parent.mkdir(parents=True, exist_ok=True)
        (changed.results / name).write_text("kept", encoding="utf-8")
    before = set(held(changed.report / record.NAME))
    record.pack(changed.asked(), changed.results, changed.report)
    assert set(held(changed.report / record.NAME)) - before == set(more)


def test_of_sentences_it_keeps_the_statistics_of_values_that_are_asked_for_and_that_the_page_shows(whole):
    name = "measurements/ds/demo/kd/seed1/argmax.test.json"
    before = read_json(whole.results / name)
    statistics = before["sentence_statistics"]
    assert statistics.keys() == {"bleu_tok", "chrf", "allowed"}
    kept = before | {"sentence_statistics": {key: statistics[key] for key in ("bleu_tok", "allowed")}}
    assert {"allowed", *sentences.SCORES} == record.OF_SENTENCES
    content = held(whole.report / record.NAME)
    assert json.loads(content[name]) == kept
    # and all else as it is
    name = "measurements/ds/demo/kd/seed1.latency.json"
    assert json.loads(content[name]) == read_json(whole.results / name)
    for name in ("corpora/ds/tok/test.src", "corpora/own/text/exact.json"):
        assert content[name] == (whole.results / name).read_bytes()


def test_the_same_content_is_the_same_archive_whenever_and_by_whom_it_was_written(changed):
    first = (changed.report / record.NAME).read_bytes()
    for path in sorted(changed.results.rglob("*"), reverse=True):
        os.utime(path, (10**9, 10**9))
        path.chmod(0o700)
    record.pack(changed.asked(), changed.results, changed.report)
    assert (changed.report / record.NAME).read_bytes() == first
    (changed.results / "corpora/ds/tok/test.src").write_text("other\n", encoding="utf-8")
    record.pack(changed.asked(), changed.results, changed.report)
    assert (changed.report / record.NAME).read_bytes() != first


def test_a_record_of_what_it_laid_out_is_the_same(changed):
    first = (changed.report / record.NAME).read_bytes()
    with record.unpacked(changed.report) as laid_out:
        assert {path.name for path in laid_out.iterdir()} == {
            "corpora", "measurements", "models", "runs", "surfaces", "translations",
        }  # fmt: skip
        record.pack(changed.asked(), laid_out, changed.report)
    assert not laid_out.exists()
    assert (changed.report / record.NAME).read_bytes() == first


def test_what_is_not_there_is_left_out(changed):
    shutil.rmtree(changed.results / "corpora")
    shutil.rmtree(changed.results / "models")
    record.pack(changed.asked(), changed.results, changed.report)
    assert {name.partition("/")[0] for name in held(changed.report / record.NAME)} == {
        "measurements", "runs", "surfaces", "translations",
    }  # fmt: skip


def test_a_record_needs_the_runs_provenance(changed):
    (changed.report / "provenance.json").unlink()
    with pytest.raises(UserError) as refused:
        record.pack(changed.asked(), changed.results, changed.report)
    path = changed.report / "provenance.json"
    assert str(refused.value) == f"{path}: no such file; make the run's provenance first"


def unpacked(folder):
    """Lay a record out, and forget it."""
    with record.unpacked(folder):
        pass


def test_a_record_that_is_not_there_is_refused_in_one_line(tmp_path):
    with pytest.raises(UserError) as refused:
        unpacked(tmp_path)
    says = "no such file; the run's measurements were not kept, run it again"
    assert str(refused.value) == f"{tmp_path / record.NAME}: {says}"


def _cut(content):
    return content[: len(content) // 2]


def _changed(content):
    return content[:200] + bytes(byte ^ 255 for byte in content[200:300]) + content[300:]


@pytest.mark.parametrize("damage", [_cut, _changed, lambda _: b"", lambda _: b"no archive at all\n" * 99])
def test_a_damaged_record_is_refused_in_one_line(whole, tmp_path, damage):
    path = tmp_path / record.NAME
    path.write_bytes(damage((whole.report / record.NAME).read_bytes()))
    with pytest.raises(UserError) as refused:
        unpacked(tmp_path)
    message = str(refused.value)
    assert message.startswith(f"{path}: damaged (") and message.endswith("); take it from git again")
    assert len(message.splitlines()) == 1


def crafted(path, *entries):
    """An archive of these entries: (name, type, where it links to or what it holds)."""
    with lzma.open(path, "w") as packed, tarfile.open(mode="w", fileobj=packed) as tar:
        for name, kind, of in entries:
            entry = tarfile.TarInfo(name)
            entry.type = kind
            if kind == tarfile.REGTYPE:
                entry.size = len(of)
                tar.addfile(entry, io.BytesIO(of))
            else:
                entry.linkname = of
                tar.addfile(entry)


@pytest.mark.parametrize(
    "entries",
    [
        [("../outside.txt", tarfile.REGTYPE, b"x")],
        [("{outside}/outside.txt", tarfile.REGTYPE, b"x")],
        [("measurements/../../outside.txt", tarfile.REGTYPE, b"x")],
        [("link", tarfile.SYMTYPE, ".."), ("link/outside.txt", tarfile.REGTYPE, b"x")],
        [("link", tarfile.SYMTYPE, "{outside}"), ("link/outside.txt", tarfile.REGTYPE, b"x")],
        [("link", tarfile.LNKTYPE, "../kept.txt"), ("link", tarfile.REGTYPE, b"x")],
        [("pipe", tarfile.FIFOTYPE, "")],
    ],
)
def test_nothing_outside_its_folder_is_written(tmp_path, monkeypatch, entries):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch/kept.txt").write_text("kept", encoding="utf-8")
    path, outside = tmp_path / record.NAME, str(tmp_path)
    crafted(path, *((name.format(outside=outside), kind, _in(of, outside)) for name, kind, of in entries))
    before = contents(tmp_path)
    try:
        unpacked(tmp_path)
    except UserError as error:
        assert len(str(error).splitlines()) == 1 and str(path) in str(error)
    assert contents(tmp_path) == before


def contents(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def _in(of, outside):
    return of.format(outside=outside) if isinstance(of, str) else of


def test_curves_are_those_of_the_models(whole):
    found = record.curves(record.provenance(whole.report))
    assert len(found) == len(runs.SCORES) * 2
    assert found["ds.kd.seed2"] == "models/ds/demo/kd/seed2/curve.jsonl"
