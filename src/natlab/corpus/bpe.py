"""`natlab bpe`: byte-pair encoding (Sennrich et al. 2016) by subword-nmt, learned on the training side and applied.

Writes ``codes.{src,tgt}`` (equal when joint) and ``{train,valid,test}.{src,tgt}`` with the separator ``@@``. Text that
comes in BPE stays as it is, and has no codes.
"""

import argparse
import contextlib
import io
import shutil
from collections import Counter
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from subword_nmt.apply_bpe import BPE
from subword_nmt.learn_bpe import learn_bpe

from natlab.corpus.dataset import SIDES, SPLITS, in_bpe, load
from natlab.corpus.subwords import CACHED_WORDS, load_codes
from natlab.corpus.text import Counts, batches, folder_aside, in_order, pair_writer, pairs, read
from natlab.files import sha256, write_json, written_aside

# Learning holds every type, its symbols and an index of its symbol pairs, some 1.5 kB a type. Types beyond the most
# frequent million occur a handful of times among hundreds of millions of tokens and do not move the merges.
MAX_TYPES = 1_000_000


def encode(dataset: dict[str, Any], tok: str | Path, out: str | Path, threads: int = 1) -> None:
    """Write the bpe folder of a loaded dataset from its tok folder, with stats.json."""
    with folder_aside(out) as folder:
        sides = [SIDES] if dataset["bpe"]["joint"] else [(side,) for side in SIDES]
        for group in sides if not in_bpe(dataset) else ():
            codes = [folder / f"codes.{side}" for side in group]
            learn([Path(tok) / f"train.{side}" for side in group], dataset["bpe"]["merges"], codes[0])
            for copy in codes[1:]:
                shutil.copyfile(codes[0], copy)
        splits = apply(tok, folder, threads, encoded=in_bpe(dataset))
        write_json(folder / "stats.json", {"step": "bpe", "splits": splits})


def learn(texts: list[Path], merges: int, codes: Path) -> None:
    """Learn at most ``merges`` merges on the words of tokenised files together: none where no word has two letters."""
    vocabulary: Counter[str] = Counter()
    for text in texts:
        for batch in batches(read(text)):
            vocabulary.update(word for line in batch for word in line.split())
    counts = (f"{word} {count}\n" for word, count in vocabulary.most_common(MAX_TYPES))
    with written_aside(codes) as file, contextlib.redirect_stderr(io.StringIO()):  # its progress bar
        if all(len(word) == 1 for word in vocabulary):  # which subword-nmt takes for an error
            file.write("#version: 0.2\n")
        else:
            learn_bpe(counts, file, merges, is_dict=True)


def apply(tok: str | Path, folder: Path, threads: int, encoded: bool = False) -> dict[str, Any]:
    """Encode every split of ``tok`` with ``folder/codes.{src,tgt}`` into ``folder``, as it is if it is ``encoded``
    already; returns {split: counts}."""
    if encoded:
        work, threads = list, 1
    else:
        codes = [folder / f"codes.{side}" for side in SIDES]
        for path in codes:
            load_codes(path)  # a malformed file is refused before any worker starts
        work = partial(_encode_batch, *((str(path), sha256(path)) for path in codes))
    splits = {}
    for split in SPLITS:
        counts = Counts()
        with pair_writer(folder, split) as write:
            for rows in in_order(work, batches(pairs(tok, split)), threads):
                counts.pairs_in += len(rows)
                for pair in rows:
                    write(*pair)
                    counts.keep(*pair)
        splits[split] = counts.as_json()
    return splits


@lru_cache(maxsize=2)
def _encoder(path: str, checksum: str) -> BPE:
    return load_codes(path)  # the checksum tells codes of one name apart


def _encode_batch(
    src_codes: tuple[str, str], tgt_codes: tuple[str, str], rows: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    src, tgt = _encoder(*src_codes), _encoder(*tgt_codes)
    for encoder in (src, tgt):
        if len(encoder.cache) > CACHED_WORDS:
            encoder.cache.clear()
    return [(src.segment(a), tgt.segment(b)) for a, b in rows]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, help="dataset file")
    parser.add_argument("--tok", required=True, help="folder of tokenised text: results/corpora/<dataset>/tok")
    parser.add_argument("--threads", type=int, default=1, help="processes that encode (default 1)")
    parser.add_argument("--out", required=True, help="folder to write: results/corpora/<dataset>/bpe")


def run(args: argparse.Namespace) -> None:
    encode(load(args.config), args.tok, args.out, args.threads)
