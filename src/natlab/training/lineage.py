"""Which candidate supplied how many of dynamic KD's targets, by their length and over training."""

import json
from pathlib import Path

import torch
from torch import Tensor

from natlab.files import lines, write_json

LONGEST = (10, 20, 30, 40)  # tokens of the targets of each length bucket but the last, which has all longer ones


def shares(target: Tensor, candidates: Tensor, pad: int) -> Tensor:
    """How many of the targets T [B, T] each of ``candidates`` [B, K, T'] supplied, by length bucket: [K, 5].

    T is at most as wide as the candidates. A target that several candidates share counts for each, in equal parts.
    """
    target = torch.nn.functional.pad(target, (0, candidates.shape[2] - target.shape[1]), value=pad)
    same = candidates.eq(target[:, None]).all(2).double()
    lengths = target.ne(pad).sum(1)
    bucket = torch.bucketize(lengths, torch.tensor(LONGEST, device=lengths.device))
    return (same / same.sum(1, keepdim=True)).t() @ torch.nn.functional.one_hot(bucket, len(LONGEST) + 1).double()


def write(path: Path, curve: Path, candidates: list[str]) -> None:
    """Write a trained model's lineage from its curve: sentences by candidate and length bucket, in total and for each
    stretch of the training, which ends at an update."""
    reports = [json.loads(line) for line in lines(curve)]
    stretches = [report for report in reports if report["subset"] == "train" and "lineage" in report]
    bounds = [1, *(longest + 1 for longest in LONGEST)]
    lineage = {
        "candidates": candidates,
        "lengths": [*(f"{low}-{high}" for low, high in zip(bounds, LONGEST, strict=False)), f"{bounds[-1]}-"],
        "unit": "sentences; one that several candidates share counts for each, in equal parts",
        "total": torch.tensor([report["lineage"] for report in stretches]).sum(0).tolist() if stretches else [],
        "training": [{"num_updates": report["num_updates"], "sentences": report["lineage"]} for report in stretches],
    }
    write_json(path, lineage)
