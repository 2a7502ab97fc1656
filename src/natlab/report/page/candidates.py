"""What dynamic KD chose from, of the test set: candidates, their weights, and which one each system's model took.

T minimises L_NAT(T) - β Σ_i γ_i S(Γ_i, T) over a sentence's candidates (MPLE, equation 21; `natlab.select`). The sum is
known from the folder of candidates, and what was taken from the proxy targets of test among the translations; L_NAT,
of a model, is in no file. So a system that took another candidate than the one of the largest sum found it likelier, by
at least β times what its sum is smaller.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from natlab.corpus.binarise import MAGIC, TYPES
from natlab.corpus.subwords import joined
from natlab.corpus.vocabulary import EOS, read_symbols
from natlab.files import lines, read_json


@dataclass(frozen=True)
class Candidates:
    """names and gamma: of K candidates, the raw target's last; texts: K of each sentence; sums: Σ_i γ_i S(Γ_i, T) of
    each, [N, K]; taken: by system, the candidate that was its proxy target, of each sentence."""

    names: Sequence[str]
    gamma: Sequence[float]
    texts: Sequence[Sequence[str]]
    sums: np.ndarray
    taken: Mapping[str, Sequence[int]]


def read(folder: Path, targets: Mapping[str, Path]) -> Candidates | None:
    """The candidates of test in ``folder``, and what systems took, by the files of their proxy ``targets``, which are
    there where test has further references. None where there is no folder, or where by these files no system is one of
    dynamic KD: one that takes one and the same teacher's always, or what is no candidate, is none."""
    if not (folder / "gamma.json").exists():
        return None
    tuned = read_json(folder / "gamma.json")
    names, gamma = tuned["candidates"], tuned["gamma"]
    symbols = read_symbols(folder / "dict.tgt.txt")
    sides = [f"cand{number}" for number in range(len(names) - 1)] + ["tgt"]
    texts = list(zip(*(_sentences(folder / f"test.src-tgt.{side}", symbols) for side in sides), strict=True))
    found = {system: _taken(texts, lines(path)) for system, path in targets.items() if path.exists()}
    taken = {system: of_system for system, of_system in found.items() if of_system is not None}
    if found and not taken:
        return None
    bleu = np.load(folder / "test.bleu.npy").astype(np.float64)
    # rounded as `natlab.select.gamma.chosen` does, so that equal candidates tie
    sums = np.tensordot(bleu, np.array(gamma), axes=(1, 0)).round(6)
    return Candidates(names, gamma, texts, sums, taken)


def _taken(texts: Sequence[Sequence[str]], targets: Iterable[str]) -> list[int] | None:
    """Which candidate each target is, the first of equals; None where one is none, or all may be one candidate's."""
    pairs = list(zip(texts, targets, strict=False))
    if len(pairs) != len(texts) or any(target not in of for of, target in pairs):
        return None
    if any(all(of[number] == target for of, target in pairs) for number in range(len(texts[0]))):
        return None
    return [of.index(target) for of, target in pairs]


def _sentences(prefix: Path, symbols: Sequence[str]) -> list[str]:
    """The words of one side of a split of a fairseq data folder, ``prefix.{bin,idx}``; without torch."""
    index = Path(f"{prefix}.idx").read_bytes()
    head = len(MAGIC) + 8  # its version
    dtype = {code: dtype for _, dtype, code in TYPES}[index[head]]
    lengths = np.frombuffer(index, np.int32, int.from_bytes(index[head + 1 : head + 9], "little"), head + 9)
    tokens = np.fromfile(f"{prefix}.bin", dtype)
    ends = np.cumsum(lengths)
    return [
        joined(" ".join(symbols[token] for token in tokens[end - length : end] if token != EOS))
        for end, length in zip(ends, lengths, strict=True)
    ]
