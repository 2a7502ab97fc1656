"""`natlab merge-distilled`: a teacher's shards, in order, as the target side of a fairseq data folder.

The folder has the corpus' dictionaries and sources; ``train`` with the distilled targets, ``valid`` with the raw ones
(validation BLEU is always against the references); ``valid_kd`` with the distilled ones, on which the loss on the
proxy distribution is measured (L_NAT of MPLE, equation 9), and ``test_kd`` for the distortion of the targets (L_target,
equation 14).
"""

import argparse
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from natlab.corpus.binarise import write_mmap
from natlab.corpus.text import folder_aside
from natlab.corpus.vocabulary import UNKNOWN, read_symbols, symbol_index
from natlab.errors import UserError
from natlab.files import lines, write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", required=True, help="fairseq data folder of the corpus")
    parser.add_argument("--shards-train", required=True, nargs="+", help="distilled shards of train, in order")
    parser.add_argument("--shards-valid", required=True, nargs="+", help="distilled shards of valid, in order")
    parser.add_argument("--shards-test", required=True, nargs="+", help="distilled shards of test, in order")
    parser.add_argument("--out", required=True, help="fairseq data folder to write")


def run(args: argparse.Namespace) -> None:
    data = Path(args.data)
    index = symbol_index(read_symbols(data / "dict.tgt.txt"))
    stats = {"step": "merge-distilled"}
    with folder_aside(args.out) as out:
        for side in ("src", "tgt"):
            shutil.copy(data / f"dict.{side}.txt", out)
        distilled = {"train": args.shards_train, "valid_kd": args.shards_valid, "test_kd": args.shards_test}
        for split, shards in distilled.items():
            corpus_split = split.removesuffix("_kd")
            for file in data.glob(f"{corpus_split}.src-tgt.src.*"):
                shutil.copy(file, out / file.name.replace(corpus_split, split, 1))
            written = write_mmap(concatenated(shards), index, out / f"{split}.src-tgt.tgt")
            _check_count(data, corpus_split, shards, written["sentences"])
            stats[split] = written
        for file in data.glob("valid.src-tgt.*"):
            shutil.copy(file, out)
        write_json(out / "stats.json", stats)


def concatenated(shards: Iterable[str]) -> Iterator[str]:
    """The lines of several files, one file after the other. An empty line would be a target without tokens, which no
    model can learn from: it stands as the unknown word."""
    for shard in shards:
        for line in lines(shard):
            yield line or UNKNOWN


def _check_count(data: Path, split: str, shards: list[str], distilled: int) -> None:
    """Each source has one distilled target, else the shards are not this corpus'."""
    index = data / f"{split}.src-tgt.src.idx"
    sources = int.from_bytes(index.read_bytes()[18:26], "little")  # after magic, version and type code: the count
    if sources != distilled:
        raise UserError(
            f"{shards[0]} and {len(shards) - 1} more: {distilled} distilled lines for {sources} sources of"
            f" {data} {split}; delete the shards and distil again"
        )
