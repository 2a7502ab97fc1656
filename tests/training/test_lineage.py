"""Which candidate supplied how many targets."""

import json

import pytest
import torch

from natlab.training import lineage


def test_each_target_counts_for_the_candidates_it_came_from_in_its_length_bucket():
    longer = torch.full((11,), 4)
    candidates = torch.full((3, 3, 11), 1)
    candidates[0, :, :2] = torch.tensor([[4, 5], [6, 7], [4, 5]])  # two are the same
    candidates[1, 1] = longer
    candidates[1, 0, :1] = candidates[1, 2, :1] = 4
    candidates[2, :, :3] = torch.tensor([[4, 5, 1], [4, 5, 6], [7, 8, 9]])
    target = torch.full((3, 11), 1)
    target[0, :2], target[1], target[2, :3] = torch.tensor([4, 5]), longer, torch.tensor([7, 8, 9])
    expected = [[0.5, 0, 0, 0, 0], [0, 1, 0, 0, 0], [1.5, 0, 0, 0, 0]]
    assert lineage.shares(target, candidates, 1).tolist() == expected
    short = target[[0, 2], :3]  # T is only as wide as its longest
    assert lineage.shares(short, candidates[[0, 2]], 1).sum().item() == 2


def test_a_lineage_has_the_total_and_each_stretch_of_training(tmp_path):
    reports = [
        {"subset": "train", "num_updates": 10, "loss": 1.0, "lineage": [[1.5, 0], [0.5, 2]]},
        {"subset": "valid", "num_updates": 10, "lineage": [[9, 9], [9, 9]]},
        {"subset": "train", "num_updates": 20, "lineage": [[1, 0], [1, 1]]},
    ]
    (tmp_path / "curve.jsonl").write_text("".join(json.dumps(report) + "\n" for report in reports))
    lineage.write(tmp_path / "lineage.json", tmp_path / "curve.jsonl", ["one", "raw"])
    found = json.loads((tmp_path / "lineage.json").read_text())
    assert found["total"] == [[2.5, 0], [1.5, 3]]
    assert found["training"][1] == {"num_updates": 20, "sentences": [[1, 0], [1, 1]]}
    assert found["lengths"] == pytest.approx(["1-10", "11-20", "21-30", "31-40", "41-"])
