"""A model whose predictions are given, so that proxies can be worked out by hand."""

from types import SimpleNamespace

import pytest
import torch

from natlab import families
from natlab.kernels import use
from natlab.models.transformer import Seq2Seq
from natlab.proxy.interface import Prediction


class Given:
    """Predicts ``logits`` [B, T, V] at the first positions, whatever the length; counts what it is asked to decode."""

    free = False  # a canvas as long as its target

    def __init__(self, logits):
        self.config = SimpleNamespace(bos=0, pad=1, eos=2, target_vocabulary=logits.shape[2])
        # states are the logits, the output layer is the identity
        self.states, self.embedding = logits, SimpleNamespace(weight=torch.eye(logits.shape[2]))
        self.device, self.decoded = logits.device, []

    def decode(self, source, lengths, memories):
        self.decoded += zip(source.rows.tolist(), lengths.tolist(), strict=True)
        return self.states[source.rows, : int(lengths.max())]

    def canvas(self, source_lengths, lengths):
        return lengths

    def likeliest(self, hidden, among=None, by_kernels=False):
        return Seq2Seq.likeliest(self, hidden, among, by_kernels)


class Rows:
    """A batch of sources, of which only the rows matter."""

    def __init__(self, rows):
        self.rows, self.lengths = rows, torch.ones(len(rows), dtype=torch.long)

    def chosen(self, rows):
        return Rows(self.rows[rows])


@pytest.fixture(scope="session")
def foreseen():
    """A function: the prediction under Z* with given logits [B, T, V], of a system with an objective."""

    def prediction(logits, progress=0.0, objective="xe", **options):
        made = families.load("objective", objective, **options)
        return Prediction(Given(logits), Rows(torch.arange(len(logits))), [], progress, made)

    return prediction


@pytest.fixture(scope="session")
def certain(foreseen):
    """A function: the prediction under Z* whose likeliest tokens are given, [B, T]."""

    def prediction(tokens, progress=0.0):
        return foreseen(5 * torch.nn.functional.one_hot(torch.as_tensor(tokens), 12).float(), progress)

    return prediction


@pytest.fixture(autouse=True)
def _kernels():
    with use("reference"):
        yield
