"""Time and peak memory of `natlab candidates` on generated pairs, each with targets of four teachers.

    python -m benchmarks.candidates --pairs 1000000

Targets have 10 to 50 BPE tokens, 30 in the mean, of a vocabulary of 32,000, drawn from Zipf's law; a teacher's differs
from the raw one in a third of its tokens. The kernels must be built (`natlab kernels build`).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from natlab.corpus.binarise import MAGIC
from natlab.corpus.vocabulary import EOS, SPECIALS

ROOT = Path(__file__).resolve().parents[1]
SYMBOLS, TEACHERS, CHANGED, BATCH = 32_000, 4, 1 / 3, 50_000


def write(prefix: Path, lengths: np.ndarray, flat: np.ndarray) -> None:
    """One side of a split: sentences of ``lengths`` tokens, eos among them, one after another."""
    flat.astype(np.uint16).tofile(f"{prefix}.bin")
    ends = np.cumsum(lengths, dtype=np.int64) * 2
    header = MAGIC + (1).to_bytes(8, "little") + bytes([8]) + len(lengths).to_bytes(8, "little")
    starts = np.concatenate([[0], ends[:-1]])
    Path(f"{prefix}.idx").write_bytes(header + lengths.astype(np.int32).tobytes() + starts.astype(np.int64).tobytes())


def generate(folder: Path, pairs: int) -> None:
    """A corpus' data folder, ``bin``, and four teachers', ``teacher0``, …"""
    draw = np.random.default_rng(1)
    names = ["bin", *(f"teacher{k}" for k in range(TEACHERS))]
    symbols = "".join(f"s{n}{'@@' if n % 3 == 0 else ''} 1\n" for n in range(SYMBOLS))
    for name in names:
        (folder / name).mkdir()
        for side in ("src", "tgt"):
            (folder / name / f"dict.{side}.txt").write_text(symbols)
    (folder / "text").mkdir()
    for split, count in {"train": pairs, "valid": 1000, "test": 1000}.items():
        lengths = draw.integers(11, 52, count)
        ends = np.cumsum(lengths) - 1
        raw = (draw.zipf(1.2, int(lengths.sum())) - 1) % SYMBOLS + len(SPECIALS)
        for name in names:
            changed = draw.random(len(raw)) < (0 if name == "bin" else CHANGED)
            tokens = np.where(changed, draw.permutation(raw), raw)
            tokens[ends] = EOS
            own = split if split == "train" or name == "bin" else f"{split}_kd"
            for side in ("src", "tgt"):
                write(folder / name / f"{own}.src-tgt.{side}", lengths, tokens)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=1_000_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # in a process of its own: what it holds is no part of the peak below
        if not (child := os.fork()):
            generate(folder, args.pairs)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            sys.exit("generating failed")
        teachers = [f"teacher{k}" for k in range(TEACHERS)]
        start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "natlab.cli", "candidates", "--data", folder / "bin", "--text", folder / "text"]
            + ["--dataset-config", "config/datasets/multi30k_ende.yaml", "--candidates", *teachers]
            + ["--distilled", *(folder / teacher for teacher in teachers), "--out", folder / "candidates"],
            cwd=ROOT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit("natlab candidates failed")
        found = {
            "pairs": args.pairs,
            "seconds": round(time.monotonic() - start, 1),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
            "peak_mb": round(usage.ru_maxrss / 1024),
        }
        print(json.dumps(found))


if __name__ == "__main__":
    main()
