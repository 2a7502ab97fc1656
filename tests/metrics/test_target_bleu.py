import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from natlab.kernels import use
from natlab.metrics import target_bleu

tokens = st.lists(st.integers(1, 5), max_size=7)
METRIC = BLEU(tokenize="none", smooth_method="exp", effective_order=True)


@pytest.fixture(autouse=True, scope="module")
def reference_kernels():
    with use("reference"):
        yield


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(tokens, min_size=n, max_size=n), min_size=1, max_size=4)))
def test_the_mean_over_references_is_sacrebleus(columns):
    targets, *references = columns
    found = target_bleu.target_bleu(targets, references)
    for n, target in enumerate(targets):
        scores = [
            METRIC.sentence_score(" ".join(map(str, target)), [" ".join(map(str, column[n]))]).score
            for column in references
            if column[n]
        ]
        if scores:
            assert found[n] == pytest.approx(sum(scores) / len(scores))
        else:
            assert np.isnan(found[n])


def test_batches_change_nothing(monkeypatch):
    sentences = [[1, 2, 3], [2, 2], [1, 3, 3, 4]] * 3
    expected = target_bleu.sentence_scores(sentences, sentences[1:] + sentences[:1])
    monkeypatch.setattr(target_bleu, "BATCH", 2)
    assert target_bleu.sentence_scores(sentences, sentences[1:] + sentences[:1]).tolist() == expected.tolist()
