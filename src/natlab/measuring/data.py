"""Binarised sentences for decoding and measuring."""

import platform
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from natlab import compat
from natlab.errors import UserError


def device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name() -> str:
    """The device as a person would name it, with the number of threads on a CPU."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {torch.get_num_threads()} thread(s)"


class Data:
    """A fairseq data folder: its dictionaries and the sentences of its splits, each [L], ending in eos."""

    def __init__(self, folder: str | Path):
        compat.apply()
        from fairseq.data import Dictionary

        self.folder = Path(folder)
        self.source, self.target = (Dictionary.load(str(self.folder / f"dict.{side}.txt")) for side in ("src", "tgt"))

    def sources(self, split: str) -> Sequence[Tensor]:
        return self._side(split, "src")

    def targets(self, split: str) -> Sequence[Tensor]:
        return self._side(split, "tgt")

    def text(self, tokens: Tensor) -> str:
        """Target tokens as text, subwords put together again."""
        return self._string(tokens, bpe_symbol="@@ ")

    def subwords(self, tokens: Tensor) -> str:
        """Target tokens as text, subword by subword."""
        return self._string(tokens)

    def _string(self, tokens: Tensor, **options: str) -> str:
        # a corpus may have the word <unk>: then the unknown word is spelled otherwise
        has_word = self.target.index("<unk>") != self.target.unk()
        return self.target.string(tokens.tolist(), escape_unk=has_word, **options)

    def _side(self, split: str, side: str) -> Sequence[Tensor]:
        from fairseq.data.data_utils import load_indexed_dataset

        prefix = self.folder / f"{split}.src-tgt.{side}"
        dataset = load_indexed_dataset(str(prefix), dataset_impl="mmap")
        if dataset is None:
            raise UserError(f"{prefix}.bin: no such split; make it with the rule `binarise` or `merge_distilled`")
        return dataset
