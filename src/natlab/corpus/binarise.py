"""`natlab binarise`: BPE'd text to a fairseq data folder (source language "src", target language "tgt").

Writes what ``fairseq-preprocess`` writes with ``--dataset-impl mmap``: ``dict.{src,tgt}.txt`` and
``{train,valid,test}.src-tgt.{src,tgt}.{bin,idx}``. The format is small and fixed, so it is written here, without
torch and in a stream; fairseq's own writer keeps Python lists of the whole index and encodes token by token.
"""

import argparse
import struct
from array import array
from collections import Counter
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from natlab.corpus.dataset import SIDES, SPLITS, load
from natlab.corpus.text import batches, folder_aside, read
from natlab.corpus.vocabulary import EOS, OWN, SPECIALS, UNK, read_symbols, symbol_index
from natlab.files import write_json

PADDED_TO = 8  # a vocabulary of a multiple of 8 suits tensor cores
# numpy type and its code in the index, by vocabulary size, as fairseq chooses them
TYPES = ((65500, np.uint16, 8), (float("inf"), np.uint32, 9))
MAGIC = b"MMIDIDX\x00\x00"


def binarise(joint: bool, bpe: str | Path, out: str | Path) -> None:
    """Write the bin folder from a bpe folder, with stats.json. ``joint``: one dictionary for both sides."""
    bpe = Path(bpe)
    with folder_aside(out) as folder:
        counts = {side: _count(bpe / f"train.{side}") for side in SIDES}
        if joint:
            counts = dict.fromkeys(SIDES, counts["src"] + counts["tgt"])
        stats: dict[str, Any] = {"step": "binarise", "joint": joint, "dictionary": {}, "splits": {}}
        for side in SIDES:
            path = folder / f"dict.{side}.txt"
            with open(path, "w", encoding="utf-8", newline="\n") as file:
                for symbol, number in dictionary(counts[side]).items():
                    file.write(f"{symbol} {number}{OWN if symbol in SPECIALS else ''}\n")
            symbols = read_symbols(path)
            index = symbol_index(symbols)
            stats["dictionary"][side] = len(symbols)
            for split in SPLITS:
                numbers = write_mmap(read(bpe / f"{split}.{side}"), index, folder / f"{split}.src-tgt.{side}")
                for key, number in numbers.items():
                    stats["splits"].setdefault(split, {}).setdefault(key, {})[side] = number
        write_json(folder / "stats.json", stats)


def dictionary(counts: Counter[str]) -> dict[str, int]:
    """{symbol: count} as fairseq orders it: by falling count, then by symbol; filled up to a multiple of 8 with
    symbols that never occur. The four special symbols come before it and are not in the file; words of the corpus that
    are spelled like them are, and have numbers of their own."""
    ordered = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    made_up = (f"madeupword{number:04d}" for number in count())
    while (len(ordered) + len(SPECIALS)) % PADDED_TO:
        ordered.setdefault(next(made_up), 0)
    return ordered


def write_mmap(sentences: Iterable[str], index: dict[str, int], prefix: Path) -> dict[str, int]:
    """Write lines of symbols as ``prefix.bin`` and ``prefix.idx`` of fairseq's MMapIndexedDataset, each with its EOS.

    Returns the numbers of sentences, tokens (EOS not counted) and unknown tokens. The index grows by 4 bytes a
    sentence in memory, and by 8 more while it is written.
    """
    dtype, code = next((dtype, code) for limit, dtype, code in TYPES if len(index) < limit)
    sizes = array("i")
    unknown = 0
    with open(prefix.with_name(prefix.name + ".bin"), "wb") as file:
        for batch in batches(sentences):
            ids = []
            for line in batch:
                sentence = [index.get(symbol, UNK) for symbol in line.split()]
                unknown += sentence.count(UNK)
                ids += sentence
                ids.append(EOS)
                sizes.append(len(sentence) + 1)
            file.write(np.array(ids, dtype=dtype).tobytes())
    lengths = np.frombuffer(sizes, dtype=np.int32)
    ends = np.cumsum(lengths, dtype=np.int64) * np.dtype(dtype).itemsize
    with open(prefix.with_name(prefix.name + ".idx"), "wb") as file:
        file.write(MAGIC + struct.pack("<QBQ", 1, code, len(lengths)))
        file.write(lengths.tobytes())
        file.write(np.concatenate([[0], ends[:-1]]).astype(np.int64).tobytes())
    return {"sentences": len(lengths), "tokens": int(lengths.sum(dtype=np.int64)) - len(lengths), "unknown": unknown}


def _count(path: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    for batch in batches(read(path)):
        counts.update(symbol for line in batch for symbol in line.split())
    return counts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, help="dataset file")
    parser.add_argument("--bpe", required=True, help="folder of BPE'd text: results/corpora/<dataset>/bpe")
    parser.add_argument("--out", required=True, help="folder to write: results/corpora/<dataset>/bin")


def run(args: argparse.Namespace) -> None:
    binarise(load(args.config)["bpe"]["joint"], args.bpe, args.out)
