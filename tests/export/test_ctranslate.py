"""What an autoregressive model says by CTranslate2, against what it says by itself."""

import pytest
import torch
from tests.decoding.models import model_of, random_sources

from natlab.bundles import engines
from natlab.bundles.engines import ctranslate2
from natlab.bundles.manifest import Manifest
from natlab.decoding import decode, pad_right
from natlab.export import ctranslate
from natlab.export.ctranslate import convert
from natlab.models.transformer import Transformer

V = 40
LIKELY = 6.0  # what is added to the logit of a sentence's end, so that it comes
ROOM = 50  # tokens that a target may have more than its source
CONFIGS = [{}, {"activation": "gelu", "learned_positions": 80, "scale_embeddings": False}]


def manifest(beam, length_penalty=1.0, precision="float32"):
    return Manifest.plain(
        "ctranslate2", precision, {"kind": "beam", "beam": beam, "length_penalty": length_penalty}, False
    )


def ending(seed, config):
    """A random model whose sentences end."""
    net = model_of(Transformer, seed, V, config=config)
    eos = net.embedding.weight.data[net.config.eos]
    net.layers[-1].feed_forward_norm.bias.data += LIKELY * eos / eos.square().sum()
    return net


@pytest.mark.parametrize("config", CONFIGS)
def test_greedy_search_says_what_the_model_says(tmp_path, config):
    """Where it ends before its limit, at which CTranslate2 does not let it end."""
    of, compared = manifest(1), 0
    sources = random_sources(24, 12, V, seed=5)
    for seed in range(4):
        net = ending(seed, config)
        convert(net, tmp_path / str(seed) / "model", "float32")
        engine = engines.start(of, tmp_path / str(seed), threads=1)
        found = engine([source.tolist() for source in sources])
        for source, target, said in zip(sources, decode(net, pad_right(sources, 1), of.decoding), found, strict=True):
            if len(target) < len(source) + ROOM:
                assert said.tokens == target.tolist() and said.positions == len(target)
                compared += 1
    assert compared > 50


@pytest.mark.parametrize(("beam", "length_penalty"), [(5, 1.0), (4, 0.6)])
@torch.inference_mode()
def test_what_a_beam_finds_has_the_models_log_probability(tmp_path, beam, length_penalty):
    """But for the symbols that cannot come, padding and an end at the beginning, which CTranslate2 leaves out of the
    sum of all: of trained models these have none, so that they say the same by both."""
    net = ending(1, {})
    sources = random_sources(12, 12, V, seed=5)
    convert(net, tmp_path / "model", "float32")
    engine = engines.start(manifest(beam, length_penalty), tmp_path, threads=1)
    checked = 0
    for source, said in zip(sources, engine([source.tolist() for source in sources]), strict=True):
        if len(said.tokens) < len(source):
            target = torch.tensor([*said.tokens, net.config.eos])
            logits = net.logits(net(source[None], torch.tensor([[net.config.eos, *said.tokens]])))[0]
            logits[:, net.config.pad] = -torch.inf
            logits[0, net.config.eos] = -torch.inf
            each = logits.log_softmax(1).gather(1, target[:, None])
            assert said.score == pytest.approx(each.mean().item(), rel=1e-4)
            checked += 1
    assert checked > 6


def test_whole_numbers_of_eight_bits_are_smaller_and_say_nearly_the_same(tmp_path):
    net = ending(2, {})
    sources = [source.tolist() for source in random_sources(24, 12, V, seed=5)]
    found = {}
    for precision in ("float32", "int8"):
        convert(net, tmp_path / precision / "model", precision)
        found[precision] = engines.start(manifest(1, precision=precision), tmp_path / precision, threads=1)(sources)
    size = {precision: (tmp_path / precision / "model" / "model.bin").stat().st_size for precision in found}
    assert size["int8"] < size["float32"]
    convert(net, tmp_path / "again" / "model", "float32")  # the model is as it was
    assert engines.start(manifest(1), tmp_path / "again", threads=1)(sources) == found["float32"]
    same = sum(a.tokens[0] == b.tokens[0] for a, b in zip(*found.values(), strict=True))
    assert same > 18


def test_sources_longer_than_the_models_positions_are_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(ctranslate2, "READ", 10)
    monkeypatch.setattr(ctranslate, "LONGEST", 60)
    net = ending(1, {})
    convert(net, tmp_path / "model", "float32")
    engine = engines.start(manifest(1), tmp_path, threads=1)
    long = [5, 6, 7] * 30
    (cut,), (short,) = engine([[*long, 2]]), engine([[*long[:9], 2]])
    assert cut == short
