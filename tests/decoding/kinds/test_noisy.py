"""Noisy parallel decoding of a vanilla NAT by itself."""

import torch
from tests import plain

from natlab.decoding import decode, decode_corpus, hypotheses_of_corpus
from natlab.models.transformer import Config

SOURCE = torch.tensor([[4, 5, 6, 2], [7, 2, 1, 1]])


def model(**parts):
    torch.manual_seed(3)
    return plain.nat(Config(16, 32, 1, 1, 2, 0.0, 12, 12, False), **parts).eval()


def test_without_noise_it_is_the_argmax():
    net = model()
    found, plainly = (decode(net, SOURCE, decoding) for decoding in ({"kind": "noisy", "sigma": 0}, {"kind": "argmax"}))
    assert all(map(torch.equal, found, plainly))
    assert all(len(found) == 1 for found in hypotheses_of_corpus(net, list(SOURCE[:1]), {"kind": "noisy", "sigma": 0}))


def test_noise_makes_distinct_targets_of_one_length_the_likeliest_of_its_own_pass_first():
    net, options = model(), {"kind": "noisy", "sigma": 2, "samples": 9}
    (found,) = hypotheses_of_corpus(net, list(SOURCE[:1]), options)
    said = [tuple(hypothesis.tokens.tolist()) for hypothesis in found]
    assert 1 < len(said) == len(set(said)) <= 9 and len({len(tokens) for tokens in said}) == 1
    scores = [hypothesis.score for hypothesis in found]
    assert scores == sorted(scores, reverse=True) and all(score < 0 for score in scores)
    assert torch.equal(decode(net, SOURCE[:1], options)[0], found[0].tokens)
    (others,) = hypotheses_of_corpus(net, list(SOURCE[:1]), options | {"seed": 2})
    assert [tuple(hypothesis.tokens.tolist()) for hypothesis in others] != said


def test_translations_do_not_depend_on_their_batch():
    net, options = model(blank=True), {"kind": "noisy", "sigma": 1.0, "deduplicate": True}
    sources = [torch.tensor([*range(3, 3 + n), 2]) for n in (1, 3, 8)]
    together = decode_corpus(net, sources, options)
    for source, found in zip(sources, together, strict=True):
        assert torch.equal(decode(net, source[None], options)[0], found)
        assert not found.eq(0).any() and len(found) == len(torch.unique_consecutive(found))
