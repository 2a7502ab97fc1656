"""The candidates of dynamic KD beside the pairs of a fairseq data folder (MPLE, appendix F).

The folder has, beside the sources and the raw targets of a split, ``{split}.src-tgt.cand0`` … with what each teacher
makes of the sources, ``{split}.bleu.npy`` [N, K, K], entry [n, i, j] the sentence BLEU (0 to 100) of candidate j with
candidate i as its reference, the raw target being the last candidate, and ``gamma.json`` with the weights of the
references.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from fairseq.data import BaseWrapperDataset, FairseqDataset
from fairseq.data.data_utils import load_indexed_dataset
from torch import Tensor

from natlab.decoding import pad_right
from natlab.errors import UserError
from natlab.files import read_json


class Candidates:
    """The candidates of one split, read by the number of the sentence.

    ``names`` are the candidates that the specification has. UserError where the folder does not hold those.
    """

    def __init__(self, folder: str | Path, split: str, names: Sequence[str], pad: int):
        self.pad = pad
        prefix = Path(folder) / f"{split}.src-tgt"
        weights = read_json(Path(folder) / "gamma.json")
        if weights["candidates"] != list(names):
            raise UserError(
                f"{folder}: holds the candidates {', '.join(weights['candidates'])}, not {', '.join(names)}; "
                "make it with the rule `candidates`"
            )
        self.gamma = torch.tensor(weights["gamma"])
        self.bleu = np.load(f"{prefix.with_name(split)}.bleu.npy", mmap_mode="r")
        sides = [*(f"cand{k}" for k in range(len(names) - 1)), "tgt"]
        self.sides = [load_indexed_dataset(f"{prefix}.{side}", dataset_impl="mmap") for side in sides]
        counts = [len(self.bleu), *(0 if side is None else len(side) for side in self.sides)]
        if len(set(counts)) > 1:
            raise UserError(
                f"{folder}: sentences of {split}: {counts[0]} with BLEU, {', '.join(map(str, counts[1:]))} with the "
                "candidates; make it with the rule `candidates`"
            )

    def of(self, sentences: Sequence[int]) -> dict[str, Tensor]:
        """The fields of `natlab.proxy.interface.References` beside its tokens, of sentences by number, from 0."""
        tokens = pad_right([side[i][:-1].long() for i in sentences for side in self.sides], self.pad)
        return {
            "candidates": tokens.view(len(sentences), len(self.sides), -1),
            "bleu": torch.from_numpy(self.bleu[sentences].astype(np.float32)),
            "gamma": self.gamma,
        }


class WithCandidates(BaseWrapperDataset):
    """A data set of pairs whose batches have, under "candidates", what `Candidates.of` returns."""

    def __init__(self, pairs: FairseqDataset, candidates: Candidates):
        super().__init__(pairs)
        self.candidates = candidates

    def collater(self, samples):
        batch = self.dataset.collater(samples)
        return {**batch, "candidates": self.candidates.of(batch["id"].tolist())} if batch else batch
