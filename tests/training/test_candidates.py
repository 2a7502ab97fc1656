"""The candidates of dynamic KD as training reads them, against the folder they were written to."""

import numpy as np
import pytest
import torch

from natlab import compat

compat.apply()

from natlab.errors import UserError  # noqa: E402
from natlab.measuring.data import Data  # noqa: E402
from natlab.training.candidates import Candidates, WithCandidates  # noqa: E402
from natlab.training.task import dictionaries, load_pairs  # noqa: E402

NAMES = ["one", "two", "raw"]


def test_sentences_have_their_candidates_their_bleu_and_the_weights(candidates, tmp_path):
    """In the fixture the first candidate is the raw target, the second says its first word twice."""
    bleu = np.arange(40 * 9, dtype=np.float16).reshape(40, 3, 3)
    for file in candidates.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    np.save(tmp_path / "valid.bleu.npy", bleu)
    found = Candidates(tmp_path, "valid", NAMES, 1).of([7, 0, 39])
    targets = [Data(candidates).targets("valid")[i].tolist()[:-1] for i in (7, 0, 39)]
    longest = 1 + max(map(len, targets))
    assert found["candidates"].shape == (3, 3, longest) and found["candidates"].dtype == torch.int64
    for rows, target in zip(found["candidates"].tolist(), targets, strict=True):
        for row, sentence in zip(rows, (target, target[:1] + target, target), strict=True):
            assert row == sentence + [1] * (longest - len(sentence))
    assert found["bleu"].dtype == torch.float32 and torch.equal(
        found["bleu"], torch.from_numpy(bleu[[7, 0, 39]]).float()
    )
    assert found["gamma"].tolist() == [1, 1, 2]


def test_a_folder_of_other_candidates_is_refused(candidates):
    with pytest.raises(UserError) as refused:
        Candidates(candidates, "valid", ["one", "raw"], 1)
    assert str(refused.value) == (
        f"{candidates}: holds the candidates one, two, raw, not one, raw; make it with the rule `candidates`"
    )


@pytest.mark.parametrize("missing", ["bleu", "cand1"])
def test_a_folder_that_lacks_sentences_is_refused(candidates, tmp_path, missing):
    for file in candidates.iterdir():
        if not file.name.startswith("valid.src-tgt.cand1") or missing == "bleu":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    if missing == "bleu":
        np.save(tmp_path / "valid.bleu.npy", np.load(candidates / "valid.bleu.npy")[:39])
    with pytest.raises(UserError) as refused:
        Candidates(tmp_path, "valid", NAMES, 1)
    counts = {"bleu": "39 with BLEU, 40, 40, 40", "cand1": "40 with BLEU, 40, 0, 40"}[missing]
    assert str(refused.value) == (
        f"{tmp_path}: sentences of valid: {counts} with the candidates; make it with the rule `candidates`"
    )


def test_batches_of_pairs_have_the_candidates_of_their_sentences(candidates):
    of = Candidates(candidates, "valid", NAMES, 1)
    pairs = WithCandidates(load_pairs(candidates, "valid", *dictionaries(candidates)), of)
    batch = pairs.collater([pairs[i] for i in (5, 30, 2)])
    expected = of.of(batch["id"].tolist())
    assert sorted(batch["id"].tolist()) == [2, 5, 30] and batch["candidates"].keys() == expected.keys()
    assert all(torch.equal(batch["candidates"][key], expected[key]) for key in expected)
    for row, target in zip(batch["candidates"]["candidates"][:, 2].tolist(), batch["target"].tolist(), strict=True):
        assert [t for t in row if t != 1] == [t for t in target if t not in (1, 2)]
    assert pairs.collater([]) == {}
