"""Tatoeba's tables of pairs (``English <tab> other language [<tab> attribution]``), split by English sentence.

Sentences that differ only in case, spaces or punctuation count as one. Those whose hash with the seed is smallest are
held out, with all their translations, so the split depends on nothing but the seed and the table. A sentence of the
other language may translate several English ones: pairs of which one side is held out and the other is not are dropped,
so that neither side of a held out pair occurs in a smaller split (test before valid before train).

Of valid and test every source has one line: its first translation is the target, the others go to ``{split}.ref1``,
``.ref2``, …, with an empty line where a source has no more. The table is held in memory (some 0.5 kB a pair).
"""

from hashlib import sha256
from pathlib import Path
from typing import Any

from natlab.corpus.dataset import ENGLISH, SPLITS
from natlab.corpus.text import bare, read
from natlab.errors import UserError


def write(table: Path, dataset: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the splits of a table into ``folder``; returns {split: counts}.

    Raises UserError when a line has fewer than two columns, or nothing is left to train on.
    """
    source, languages = dataset["source"], dataset["languages"]
    pairs = _pairs(table)
    splits, dropped = split(pairs, source["valid"], source["test"], source["seed"])
    if not splits["train"]:
        raise UserError(
            f"{table}: holding out {source['valid']} + {source['test']} sentences leaves none; hold out fewer"
        )
    counts: dict[str, Any] = {name: {} for name in SPLITS}
    counts["train"] = {"pairs_in": len(pairs), "dropped": {"other side held out": dropped}}
    for name in SPLITS:
        rows = splits[name] if languages["src"] == ENGLISH else [(other, english) for english, other in splits[name]]
        if name == "train":
            columns = {"src": [src for src, _ in rows], "tgt": [tgt for _, tgt in rows]}
        else:
            columns = _columns(rows)
            counts[name]["references"] = len(rows)
        counts[name]["pairs_out"] = len(columns["src"])
        for suffix, lines in columns.items():
            (folder / f"{name}.{suffix}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return counts


def split(
    pairs: list[tuple[str, str]], valid: int, test: int, seed: int
) -> tuple[dict[str, list[tuple[str, str]]], int]:
    """({split: its (English, other) pairs in their order}, number of pairs dropped), holding out ``valid`` and ``test``
    English sentences."""
    keys = [(bare(english), bare(other)) for english, other in pairs]
    order = sorted({english for english, _ in keys}, key=lambda key: sha256(f"{seed}:{key}".encode()).digest())
    rank = dict.fromkeys(order[:test], 2) | dict.fromkeys(order[test : test + valid], 1)  # of English sentences
    other_rank: dict[str, int] = {}
    for english, other in keys:
        other_rank[other] = max(other_rank.get(other, 0), rank.get(english, 0))
    splits: dict[str, list[tuple[str, str]]] = {name: [] for name in SPLITS}
    for pair, (english, other) in zip(pairs, keys, strict=True):
        if other_rank[other] == rank.get(english, 0):
            splits[SPLITS[other_rank[other]]].append(pair)
    return splits, len(pairs) - sum(map(len, splits.values()))


def _pairs(table: Path) -> list[tuple[str, str]]:
    """The table's distinct pairs, in its order."""
    pairs: dict[tuple[str, str], None] = {}
    for number, line in enumerate(read(table), 1):
        columns = [" ".join(column.split()) for column in line.split("\t")]
        if len(columns) < 2 or not all(columns[:2]):
            raise UserError(f"{table}: line {number} is not 'English <tab> other language'; check the file")
        pairs[columns[0], columns[1]] = None
    return list(pairs)


def _columns(rows: list[tuple[str, str]]) -> dict[str, list[str]]:
    """(source, target) pairs as one line a source: {"src": …, "tgt": first targets, "ref1": second ones, …}."""
    targets: dict[str, list[str]] = {}
    for src, tgt in rows:
        targets.setdefault(src, []).append(tgt)
    most = max(map(len, targets.values()), default=1)
    names = ["tgt", *(f"ref{number}" for number in range(1, most))]
    columns = {name: [line[i] if i < len(line) else "" for line in targets.values()] for i, name in enumerate(names)}
    return {"src": list(targets), **columns}
