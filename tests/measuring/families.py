"""A random model of each family, and all that it says with which probability, by enumeration."""

import itertools
from collections import defaultdict
from math import exp

import torch
from tests import plain
from tests.decoding.models import log_probability, model_of

from natlab import families
from natlab.models.transformer import Transformer

VOCABULARY, WORDS = 6, (3, 4, 5)
SOURCES = torch.tensor([[4, 5, 2], [3, 2, 1]])
THREE = {"name": "absolute", "longest": 3, "read": "mean"}
GIVEN = {"name": "source", "factor": 1.75}  # 5 and 4 positions
NATS = {
    "vanilla": ("xe", {"lengths": THREE}),
    "cmlm": ("xe", {"lengths": {"name": "absolute", "longest": 3}, "fill": "mask"}),
    "oaxe": ("oaxe", {"lengths": THREE}),
    "axe": ("axe", {"lengths": THREE, "blank": True}),
    "ctc": ("ctc", {"lengths": GIVEN, "blank": True}),
    "codes": (
        "xe",
        {"lengths": THREE, "fill": {"name": "codes", "shown": 0.5}, "codebook": {"name": "random", "size": 5}},
    ),
    "dag": ("dag", {"lengths": GIVEN, "links": True}),
}
STRINGS = [target for length in (1, 2, 3) for target in itertools.product(WORDS, repeat=length)]


def made(family, seed=3):
    """(a model, its objective)."""
    if family == "autoregressive":
        return model_of(Transformer, seed, VOCABULARY), None
    objective, parts = NATS[family]
    return model_of(plain.nat, seed, VOCABULARY, **parts), families.load("objective", **plain.member(objective))


@torch.no_grad()
def said(family, model, source):
    """{string: Q} of what a model says of a source [S]: of a NAT all it says, of an autoregressive model `STRINGS`."""
    if family == "autoregressive":
        return {target: exp(log_probability(model, source[None], target)) for target in STRINGS}
    found = defaultdict(float)
    encoded = model.encoder(source[None])
    if model.free:
        canvases = [(1.0, int(model.lengths.likely(encoded, 1)))]
    else:
        canvases = [(p, length) for length, p in enumerate(model.lengths(encoded)[0].softmax(0).tolist(), 1)]
    for of_canvas, length in canvases:
        states = model.decode(encoded, torch.tensor([length]))
        probabilities = model.logits(states)[0].double().softmax(1)
        for path, of_path in _paths(model, states, length):
            p = torch.tensor([of_canvas * of_path], dtype=torch.double)
            for position in path:
                p = (p[:, None] * probabilities[position]).flatten()
            for raw, q in zip(itertools.product(range(VOCABULARY), repeat=len(path)), p.tolist(), strict=True):
                found[_target(family, raw)] += q
    return found


def _paths(model, states, length):
    """(positions that say something, the probability that these do)."""
    if model.links is None:
        return [(range(length), 1.0)]
    links = model.links(states, torch.tensor([length]))[0].double().exp()
    inner = range(1, length - 1)
    paths = [(0, *some, length - 1) for n in range(length - 1) for some in itertools.combinations(inner, n)]
    return [(path, float(torch.stack([links[a, b] for a, b in itertools.pairwise(path)]).prod())) for path in paths]


def _target(family, raw):
    """What a raw output means; a graph's is framed by bos and eos."""
    if family == "ctc":
        raw = [token for token, _ in itertools.groupby(raw)]
    if family in ("axe", "ctc"):
        return tuple(token for token in raw if token != 0)
    if family == "dag":
        return tuple(raw[1:-1]) if (raw[0], raw[-1]) == (0, 2) else ("no frame", *raw)
    return tuple(raw)
