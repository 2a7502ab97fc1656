"""Batches whose predictions are given, so that what they cost can be worked out by hand and by enumeration."""

from types import SimpleNamespace

import pytest
import torch

from natlab.kernels import use
from natlab.losses.interface import Decoded
from natlab.models.transformer import Config, Seq2Seq

PAD = Config.pad


class Given:
    """A model whose states are its logits: the output layer is the identity."""

    token_loss, sentence_loss, likeliest = Seq2Seq.token_loss, Seq2Seq.sentence_loss, Seq2Seq.likeliest

    free = False  # a canvas as long as its target

    def __init__(self, vocabulary, dtype):
        self.config = SimpleNamespace(bos=0, pad=1, eos=2)
        self.embedding = SimpleNamespace(weight=torch.eye(vocabulary, dtype=dtype))


@pytest.fixture(scope="session")
def decoded():
    """A function: the batch of given logits [B, T, V] and targets (lists), of which some tokens are shown."""

    def made(logits, targets, shown=None):
        logits = torch.as_tensor(logits)
        lengths = torch.tensor([len(target) for target in targets])
        padded = torch.full((len(targets), int(lengths.max())), PAD)
        for row, target in zip(padded, targets, strict=True):
            row[: len(target)] = torch.tensor(target)
        revealed = None if shown is None else torch.as_tensor(shown)
        model = Given(logits.shape[2], logits.dtype)
        return Decoded(model, None, padded, lengths, lengths, None, revealed, logits, None)

    return made


@pytest.fixture(autouse=True)
def _kernels():
    with use("reference"):
        yield
