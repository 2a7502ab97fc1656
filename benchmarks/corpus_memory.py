"""Peak memory of the corpus steps on generated pairs, at two sizes, and so how it grows with the corpus.

    python benchmarks/corpus_memory.py --pairs 500000 2000000

Words are drawn from Zipf's law with exponent 1.3, so that types grow with the text as they do in real corpora; a fifth
of the pairs are repeated. Each step is a process of its own with one worker; the peak is its maximum resident set. The
text is split at whitespace, since what Moses's rules and jieba's dictionary need does not depend on the corpus; and few
merges are learned, since learning needs most before the first.
"""

import argparse
import gzip
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
TOKENS, REPEATED, BATCH = 14, 0.2, 50_000
ROOT = Path(__file__).resolve().parents[1]


def word(rank: int) -> str:
    """A different word for every rank, frequent ones short."""
    letters = ""
    while rank:
        rank, syllable = divmod(rank - 1, len(SYLLABLES))
        letters += SYLLABLES[syllable]
    return letters


def sentences(draw: np.random.Generator, count: int) -> list[str]:
    ranks = draw.zipf(1.3, size=(count, TOKENS)).clip(max=10**9)
    return [" ".join(map(word, row)) + " ." for row in ranks.tolist()]


def generate(folder: Path, pairs: int) -> None:
    """Gzipped train, valid and test sides under ``folder/downloads``, and ``dataset.yaml``, which describes them."""
    files, splits = {}, {}
    for seed, (split, count) in enumerate({"train": pairs, "valid": 1000, "test": 1000}.items()):
        for side, language in enumerate(("en", "de")):
            url = f"https://example.org/{split}.{language}.gz"
            path = folder / "downloads" / "example.org" / f"{split}.{language}.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            repeat, draw = np.random.default_rng(seed), np.random.default_rng([seed, side])
            with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as file:
                for start in range(0, count, BATCH):
                    lines = sentences(draw, min(BATCH, count - start))
                    again = repeat.random(len(lines)) < REPEATED  # the same pairs on both sides
                    file.writelines(f"{lines[i // 2 if again[i] else i]}\n" for i in range(len(lines)))
            files[f"{split}_{language}"] = {"url": url, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        splits[split] = [{"src": f"{split}_en", "tgt": f"{split}_de"}]
    dataset = {
        "source": {"kind": "parallel", "files": files, "splits": splits},
        "languages": {"src": "en", "tgt": "de"},
        "clean": {"max_length": 250, "max_ratio": 1.5, "deduplicate": True},
        "tokenise": "none",
        "lowercase": False,
        "bpe": {"joint": True, "merges": 1000},
        "licence": "generated",
    }
    (folder / "dataset.yaml").write_text(yaml.safe_dump(dataset), encoding="utf-8")


def measure(verb: str, *arguments: str) -> tuple[float, float]:
    """(peak MB, seconds) of one verb."""
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "natlab.cli", verb, *arguments], cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"natlab {verb} failed")
    return usage.ru_maxrss / 1024, time.monotonic() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=[500_000, 2_000_000], help="corpus sizes to measure")
    args = parser.parse_args()
    for pairs in args.pairs:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            # in a process of its own: a step's peak would start from what this one holds
            generating = multiprocessing.Process(target=generate, args=(folder, pairs))
            generating.start()
            generating.join()
            config = str(folder / "dataset.yaml")
            text, tok, bpe, out = (str(folder / level) for level in ("text", "tok", "bpe", "bin"))
            steps = {
                "extract": ("--downloads", str(folder / "downloads"), "--out", text),
                "clean": ("--text", text, "--out", tok),
                "bpe": ("--tok", tok, "--out", bpe),
                "binarise": ("--bpe", bpe, "--out", out),
            }
            for verb, arguments in steps.items():
                peak, seconds = measure(verb, "--config", config, *arguments)
                print(
                    json.dumps({"pairs": pairs, "step": verb, "peak_mb": round(peak), "seconds": round(seconds)}),
                    flush=True,
                )
            train = json.loads(Path(tok, "stats.json").read_text())["splits"]["train"]
            print(json.dumps({"pairs": pairs, "kept": train["pairs_out"], "types": train["types"]}), flush=True)


if __name__ == "__main__":
    main()
