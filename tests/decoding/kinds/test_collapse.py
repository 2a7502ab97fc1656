"""CTC's decoding."""

import itertools

import torch
from tests.losses.objectives import canvas

from natlab.decoding import decode, decode_corpus


def test_it_is_the_likeliest_alignment_collapsed():
    for seed in range(5):
        net = canvas.model("ctc", factor=2.5, seed=seed)
        source = net.encoder(canvas.SOURCE)
        lengths = [10, 5]
        probabilities = net.logits(net.decode(source, torch.tensor(lengths))).softmax(2)
        probabilities[:, :, [1, 2]] = 0  # no target holds padding or eos
        for b, found in enumerate(decode(net, canvas.SOURCE, {"kind": "collapse"})):
            best = probabilities[b, : lengths[b]].argmax(1).tolist()
            assert found.tolist() == [token for token, _ in itertools.groupby(best) if token != 0]


def test_translations_do_not_depend_on_their_batch():
    """Sources of one token and of many, too."""
    net = canvas.model("ctc", factor=3)
    sources = [torch.tensor([*range(3, 3 + n % 5), *[4] * (n - n % 5), 2]) for n in (1, 2, 7, 300)]
    together = decode_corpus(net, sources, {"kind": "collapse"}, max_tokens=100_000)
    for source, found in zip(sources, together, strict=True):
        (alone,) = decode(net, source[None], {"kind": "collapse"})
        assert torch.equal(alone, found)
