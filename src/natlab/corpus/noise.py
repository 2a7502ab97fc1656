"""`natlab noise`: MPLE's Synthetic A and B (Huang et al. 2022, appendix B) from the target side of a prepared dataset.

The target is the base's target; the source is that target with each token replaced, with probability ``replace`` (0.5),
by a token drawn uniformly from the vocabulary, and then dropped with probability ``drop`` (A: 0, B: 0.1). At least one
token stays.

The paper says "tokens" without saying which. ``unit: bpe`` takes the tokens the models see, so that the source is a
corruption of the very sequence to be generated; ``unit: word`` takes the words of ``tok/``, and encodes the noisy words
with the base's codes. The vocabulary is the types of the base's training targets in that unit. Source and target share
the base's target codes and one dictionary.
"""

import argparse
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from natlab.corpus.dataset import SIDES, SPLITS, in_bpe, load
from natlab.corpus.subwords import joined, load_codes
from natlab.corpus.text import Counts, folder_aside, pairs, read
from natlab.files import write_json


def corrupted(tokens: list[str], vocabulary: list[str], replace: float, drop: float, draw: random.Random) -> list[str]:
    """A noisy copy of a sentence's tokens; never empty unless ``tokens`` is."""
    noisy = [draw.choice(vocabulary) if draw.random() < replace else token for token in tokens]
    kept = [token for token in noisy if draw.random() >= drop]
    return kept or noisy[:1]


def make(dataset: dict[str, Any], base: str | Path, out: str | Path) -> None:
    """Write ``out/{text,tok,bpe}`` of a loaded noise dataset from ``base/{text,tok,bpe}``, each with stats.json.

    Targets equal the base's, line by line; only the raw text of training targets, of which the base's filters may have
    dropped some, is that of ``tok/``. The splits are the base's.
    """
    base, out = Path(base), Path(out)
    with folder_aside(out / "text") as text, folder_aside(out / "tok") as tok, folder_aside(out / "bpe") as bpe:
        for side in SIDES if not in_bpe(dataset) else ():
            shutil.copyfile(base / "bpe" / "codes.tgt", bpe / f"codes.{side}")
        for split in SPLITS:
            targets = {text: base / ("tok" if split == "train" else "text"), tok: base / "tok", bpe: base / "bpe"}
            for folder, origin in targets.items():
                shutil.copyfile(origin / f"{split}.tgt", folder / f"{split}.tgt")
            with (
                open(tok / f"{split}.src", "w", encoding="utf-8") as words,
                open(bpe / f"{split}.src", "w", encoding="utf-8") as pieces,
            ):
                for src_words, src_pieces in _sources(dataset["source"], base, split):
                    words.write(src_words + "\n")
                    pieces.write(src_pieces + "\n")
            shutil.copyfile(tok / f"{split}.src", text / f"{split}.src")
        for folder in (text, tok, bpe):
            splits = {split: _counts(folder, split) for split in SPLITS}
            write_json(folder / "stats.json", {"step": "noise", "splits": splits})


def _counts(folder: Path, split: str) -> dict[str, Any]:
    counts = Counts()
    for pair in pairs(folder, split):
        counts.pairs_in += 1
        counts.keep(*pair)
    return counts.as_json()


def _sources(source: dict[str, Any], base: Path, split: str) -> Iterator[tuple[str, str]]:
    """(words, BPE'd words) of every noisy source sentence of a split. Each split draws from a seed of its own."""
    folder = base / {"bpe": "bpe", "word": "tok"}[source["unit"]]
    encoder = load_codes(base / "bpe" / "codes.tgt") if source["unit"] == "word" else None
    vocabulary = sorted({token for line in read(folder / "train.tgt") for token in line.split()})
    draw = random.Random(f"{source['seed']} {split}")
    for line in read(folder / f"{split}.tgt"):
        noisy = " ".join(corrupted(line.split(), vocabulary, source["replace"], source["drop"], draw))
        yield (joined(noisy), noisy) if source["unit"] == "bpe" else (noisy, encoder.segment(noisy))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, help="dataset file, of kind noise")
    parser.add_argument("--base", required=True, help="the prepared base: results/corpora/<base>")
    parser.add_argument("--out", required=True, help="where to write text, tok and bpe: results/corpora/<dataset>")


def run(args: argparse.Namespace) -> None:
    make(load(args.config), args.base, args.out)
