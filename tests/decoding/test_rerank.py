"""What a teacher thinks of targets."""

import pytest
import torch
from tests.decoding.models import log_probability, model_of, random_sources

from natlab.decoding import pad_right
from natlab.decoding.rerank import mean_log_probability
from natlab.models.transformer import Transformer


@pytest.mark.parametrize("seed", range(4))
def test_a_teacher_scores_all_targets_in_one_batch_as_it_scores_each(seed):
    teacher, sources = model_of(Transformer, seed, vocabulary=20), random_sources(3, 9, 20, seed)
    generator = torch.Generator().manual_seed(seed)
    targets = [torch.randint(4, 20, (n,), generator=generator) for n in (3, 0, 7, 1, 12, 5)]
    with torch.no_grad():
        expected = [
            log_probability(teacher, sources[row // 2][None], target.tolist()) / (len(target) + 1)
            for row, target in enumerate(targets)
        ]
    assert mean_log_probability(teacher, pad_right(sources, 1), targets).tolist() == pytest.approx(expected, rel=1e-4)
