"""Small models with a canvas as long as the source times a factor, in float64, and what they predict."""

import torch
from tests import plain

from natlab import families
from natlab.losses.batch import Method, proxied, references_of
from natlab.losses.interface import Decoded
from natlab.models.graph import Graph
from natlab.models.transformer import Config

CONFIG = Config(8, 16, 1, 1, 2, 0.0, 8, 8, False)
SOURCE = torch.tensor([[4, 5, 6, 2], [7, 2, 1, 1]])
TARGET = torch.tensor([[5, 5, 7, 2], [4, 2, 1, 1]])  # canvases of 4 and 2 vertices a factor


def model(objective, factor=1.0, seed=0, **parts):
    torch.manual_seed(seed)
    parts |= {"blank": objective == "ctc", "links": objective == "dag"}
    return plain.nat(CONFIG, lengths={"name": "source", "factor": factor}, **parts).double().eval()


def coded(shown, factor=2.0, seed=0):
    """A graph's model on a canvas of codes of which it shows this share: whatever that is, with the same parameters."""
    return model("dag", factor, seed, fill={"name": "codes", "shown": shown}, codebook={"name": "random", "size": 5})


def coded_graph(share, factor=2.0, seed=0):
    """The graph of such a model: with no code and with all of them by hand, else as its own share says."""
    net = coded(share, factor, seed)
    source = net.encoder(SOURCE)
    if 0 < share < 1:
        return Graph.of(net, source)
    lengths = net.lengths.likely(source, 1)[:, 0]
    inside = torch.arange(int(lengths.max())) < lengths[:, None]
    states = net.decode(source, lengths, kept=inside if share else torch.zeros_like(inside))
    return Graph.of_states(net, states, lengths, net.links(states, lengths))


def method(objective, input="vanilla", **options):
    spec = plain.spec(terms=(), input=input)
    architecture = spec["architecture"] | {"lengths": {"name": "source", "factor": 1.0}}
    return Method.of(spec | {"architecture": architecture, "objective": {"name": objective, **options}})


def prediction(net, objective, source=SOURCE, target=TARGET):
    """The prediction under Z* of a model, and T."""
    made = proxied(net, source, references_of(net, target, {}), method(objective), 0.0)
    return made.prediction, made.target


def decoded(net, objective, revealed=None, source=SOURCE, target=TARGET):
    """The batch as an objective meets it, where it may be that positions are ``revealed``."""
    made = proxied(net, source, references_of(net, target, {}), method(objective), 0.0)
    aligned = None
    if revealed is not None:
        aligned = families.load("objective", objective).align(made.target, made.prediction)
    shown = None if aligned is None else aligned.shown
    states = net.decode(made.encoded, made.canvas, revealed, shown, made.memories)
    return Decoded(
        net, made.encoded, made.target, made.lengths, made.canvas, aligned, revealed, states, made.prediction
    )
