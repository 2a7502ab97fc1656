"""`natlab candidates`: all that dynamic KD chooses from, as one fairseq data folder (MPLE, section 3.4, appendix F).

The folder has the corpus' dictionaries and, for each split, its sources and raw targets, the targets of each teacher as
``{split}.src-tgt.cand0``, ``cand1``, …, and ``{split}.bleu.npy``, float16 [N, K, K]: entry [n, i, j] is the sentence
BLEU, 0 to 100, of candidate j against candidate i as reference, on words; the raw target is the last candidate.
``gamma.json`` has the weights γ tuned on the split with further references, valid or else test; where there is none,
those that MPLE found for WMT14 En-De, if they are as many as the candidates, otherwise all 1.

The BLEU of each part of a split is kept as soon as it is worked out: started again after a kill, only parts that lack
are made. Memory does not grow with the corpus, but for 12 bytes a sentence and candidate.
"""

import argparse
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from natlab.corpus import dataset as datasets
from natlab.corpus import references
from natlab.corpus.dataset import SPLITS
from natlab.corpus.text import folder_aside
from natlab.errors import UserError
from natlab.files import sha256, write_json, written_aside
from natlab.proxy.published import GAMMA
from natlab.select import gamma, words

PART = 100_000  # pairs whose BLEU makes one file
BATCH = 2_000  # pairs whose words are padded at once


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", required=True, help="fairseq data folder of the corpus (raw targets)")
    parser.add_argument("--text", required=True, help="its text folder, with further references if it has any")
    parser.add_argument("--dataset-config", required=True, help="the dataset's file, config/datasets/<dataset>.yaml")
    parser.add_argument("--candidates", required=True, nargs="+", help="names of the teachers, in order")
    parser.add_argument("--distilled", required=True, nargs="+", help="their distilled data folders, in order")
    parser.add_argument("--out", required=True, help="folder to write")


def run(args: argparse.Namespace) -> None:
    """Write the folder. UserError when a teacher's folder is not of this corpus."""
    data, distilled = Path(args.data), [Path(folder) for folder in args.distilled]
    if len(distilled) != len(args.candidates):
        raise UserError(
            f"--distilled: {len(distilled)} folders for {len(args.candidates)} candidates; name one of each"
        )
    dictionary = words.Words(data / "dict.tgt.txt")
    # beside the output, which Snakemake deletes when the job fails
    kept = Path(f"{args.out}.parts")
    parts = kept / fingerprint(data, distilled)
    with folder_aside(args.out) as out:
        for side in ("src", "tgt"):
            shutil.copy(data / f"dict.{side}.txt", out)
        for split in SPLITS:
            sides = _copied(split, data, distilled, out)
            _write_bleu(dictionary, sides, parts, out / f"{split}.bleu.npy")
        dataset = datasets.load(args.dataset_config)
        write_json(out / "gamma.json", _gamma(out, Path(args.text), dataset, dictionary, [*args.candidates, "raw"]))
    shutil.rmtree(kept, ignore_errors=True)


def fingerprint(data: Path, distilled: Sequence[Path]) -> str:
    """What determines the pairwise BLEU, as a hash: targets and code."""
    targets = sorted(file for folder in (data, *distilled) for file in folder.glob("*.src-tgt.tgt.bin"))
    sums = {str(file): sha256(file) for file in (*targets, Path(__file__), Path(words.__file__))}
    return hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()[:16]


def pairwise(dictionary: words.Words, sides: Sequence[words.Sentences], first: int, end: int) -> np.ndarray:
    """S [n, K, K], float16, of the sentences ``first`` to ``end`` of K sides: entry [n, i, j] has side i as reference
    and side j as hypothesis."""
    from natlab.kernels import sentence_bleu

    made = []
    for start in range(first, end, BATCH):
        stop = min(start + BATCH, end)
        # a group is one sentence's candidates
        sizes = [side.lengths[start:stop] for side in sides]
        flat = [np.split(side.flat(start, stop), np.cumsum(size)[:-1]) for side, size in zip(sides, sizes, strict=True)]
        group = np.concatenate([sentence for candidates in zip(*flat, strict=True) for sentence in candidates])
        tokens, lengths = words.padded(*dictionary.of(group))
        bleu = sentence_bleu(tokens, lengths, tokens, lengths, groups=stop - start)
        made.append(bleu.transpose(1, 2).numpy().astype(np.float16))
    return np.concatenate(made)


def _copied(split: str, data: Path, distilled: Sequence[Path], out: Path) -> list[words.Sentences]:
    """Copy a split's files into ``out``; the candidates' sentences, the raw ones last."""
    of_teacher = split if split == "train" else f"{split}_kd"
    origins = {f"cand{k}": folder / f"{of_teacher}.src-tgt.tgt" for k, folder in enumerate(distilled)}
    origins |= {side: data / f"{split}.src-tgt.{side}" for side in ("tgt", "src")}
    for side, origin in origins.items():
        for ending in ("bin", "idx"):
            shutil.copy(f"{origin}.{ending}", out / f"{split}.src-tgt.{side}.{ending}")
    sides = [words.Sentences(out / f"{split}.src-tgt.{side}") for side in origins if side != "src"]
    for folder, side in zip(distilled, sides, strict=False):
        if len(side) != len(sides[-1]):
            raise UserError(
                f"{folder}: {len(side)} targets of {split} for {len(sides[-1])} pairs of {data}; distil again"
            )
    return sides


def _write_bleu(dictionary: words.Words, sides: list[words.Sentences], parts: Path, path: Path) -> None:
    """Write a split's pairwise BLEU, by way of its parts, of which those that are there already are taken."""
    count = len(sides[-1])
    whole = np.lib.format.open_memmap(path, "w+", np.float16, (count, len(sides), len(sides)))
    for first in range(0, count, PART):
        part = parts / f"{path.name}.{first}"
        end = min(first + PART, count)
        if not part.exists():
            made = pairwise(dictionary, sides, first, end)
            with written_aside(part, "wb") as file:
                np.save(file, made)
        whole[first:end] = np.load(part)
    whole.flush()


def _gamma(folder: Path, text: Path, dataset: dict, dictionary: words.Words, candidates: list[str]) -> dict:
    """The content of ``gamma.json``: γ, how it was searched, and what other choices would cost."""
    from natlab.metrics.target_bleu import target_bleu

    split = next((split for split in ("valid", "test") if list(text.glob(f"{split}.ref*"))), None)
    if split is None:
        published = GAMMA["wmt14_ende"]
        alike = len(published) == len(candidates)
        note = "MPLE's for WMT14 En-De" if alike else "all candidates weigh the same"
        return {
            "candidates": candidates,
            "gamma": published if alike else [1.0] * len(candidates),
            "l_target": None,
            "grid": None,
            "note": f"no further references to search with: {note}",
        }
    streams = [
        [[words.word(token) for token in line.split()] for line in column]
        for column in references.tokenised(text, split, dataset)
    ]
    sides = [f"cand{k}" for k in range(len(candidates) - 1)] + ["tgt"]
    targets = [list(dictionary.sentences(words.Sentences(folder / f"{split}.src-tgt.{side}"))) for side in sides]
    real = np.stack([target_bleu(target, streams) for target in targets], axis=1)
    measured = ~np.isnan(real[:, 0])
    real, between = real[measured], np.load(folder / f"{split}.bleu.npy")[measured].astype(np.float64)
    found, tried = gamma.search(between, real)
    return {
        "candidates": candidates,
        "gamma": found.tolist(),
        "l_target": gamma.l_target(between, real, found),
        "grid": {"values": gamma.GRID, "search": "one weight at a time, from all 1 and from each alone"},
        "split": split,
        "sentences": len(real),
        "references": sum(bool(line) for column in streams for line in column),
        "unit": "BLEU (β = 1)",
        # around the result: L_target for each value of one weight, the others as found
        "l_target_by_weight": {name: list(values.values()) for name, values in zip(candidates, tried, strict=True)},
        "l_target_equal": gamma.l_target(between, real, np.ones(len(candidates))),
        "l_target_of_one": dict(zip(candidates, (-real.mean(0)).tolist(), strict=True)),
        "l_target_at_best": -float(real.max(1).mean()),
    }
