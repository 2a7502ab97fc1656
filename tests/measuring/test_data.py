"""Data folders as decoding sees them, and devices by their names."""

import platform

import pytest
import torch

from natlab.corpus.binarise import binarise
from natlab.errors import UserError
from natlab.measuring import data
from natlab.measuring.data import Data


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "bpe").mkdir()
    for split in ("train", "valid", "test"):
        (tmp_path / "bpe" / f"{split}.src").write_text(f"a b\nc {split[0]}\n")
        (tmp_path / "bpe" / f"{split}.tgt").write_text("x@@ y z\nz\n")
    binarise(False, tmp_path / "bpe", tmp_path / "bin")
    return Data(tmp_path / "bin")


def test_sentences_end_in_eos_and_targets_are_read_back_as_words(folder):
    sources, targets = folder.sources("train"), folder.targets("train")
    assert (len(sources), len(targets)) == (2, 2)
    assert [folder.source[int(token)] for token in sources[0]] == ["a", "b", "</s>"]
    assert [folder.target[int(token)] for token in targets[0]] == ["x@@", "y", "z", "</s>"]
    assert [folder.text(target) for target in (targets[0], targets[1])] == ["xy z", "z"]
    assert folder.source.index("a") != folder.source.unk() == folder.target.index("a")


def test_a_split_that_is_not_there_is_named(folder):
    with pytest.raises(UserError) as refused:
        folder.targets("test2")
    prefix = folder.folder / "test2.src-tgt.tgt"
    assert str(refused.value) == f"{prefix}.bin: no such split; make it with the rule `binarise` or `merge_distilled`"


def test_a_gpu_is_the_device_and_has_its_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100")
    assert data.device() == torch.device("cuda") and data.device_name() == "NVIDIA H100"


def test_a_cpu_is_named_with_its_threads(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert data.device() == torch.device("cpu")
    info = tmp_path / "cpuinfo"
    monkeypatch.setattr(data, "Path", lambda path: info if path == "/proc/cpuinfo" else None)
    monkeypatch.setattr(platform, "processor", lambda: "riscv")
    assert data.device_name() == "riscv, 3 thread(s)"
    info.write_text("flags\t: fpu\nmodel name\t: Fast: CPU 9000 \nmodel name\t: another\n")
    assert data.device_name() == "Fast: CPU 9000, 3 thread(s)"
    info.write_bytes(b"model name\t: \xff CPU\n")
    assert data.device_name() == "\ufffd CPU, 3 thread(s)"
    info.write_text("flags\t: fpu\n")
    assert data.device_name() == "riscv, 3 thread(s)"
