"""Graphs as they are shown: against all paths through them, enumerated; and the verb on a model of a tiny corpus."""

import argparse

import pytest
import torch
from tests import plain
from tests.decoding.kinds.test_graph import graph_of, paths
from tests.losses.objectives import canvas

from natlab.corpus.binarise import binarise
from natlab.decoding import decode
from natlab.errors import UserError
from natlab.files import read_json
from natlab.kernels import use
from natlab.measuring import graphs
from natlab.measuring.data import Data
from natlab.models.load import build, publish

SENTENCES = ["a b c", "c b", "a", "b b a c"]
SIZE = {"d_model": 16, "d_hidden": 16, "encoder_layers": 1, "decoder_layers": 1, "heads": 2, "dropout": 0.0}


@pytest.fixture(autouse=True)
def reference_kernels():
    with use("reference"):
        yield


def probability(path, links):
    found = 1.0
    for start, end in zip(path, path[1:], strict=False):
        found *= float(links[start, end].exp())
    return found


@pytest.mark.parametrize("seed", range(3))
def test_vertices_have_their_words_and_the_share_of_paths_that_come_by(seed, monkeypatch):
    monkeypatch.setattr(graphs, "SELDOM", 0)
    net, source = canvas.model("dag", factor=2, seed=seed), canvas.SOURCE[0]
    found = graphs.graph(net, source, str)
    links = graph_of(net, source[None]).links[0]
    log_probs = net.logits(net.decode(net.encoder(source[None]), torch.tensor([8]))).detach().log_softmax(2)[0]
    assert list(found["vertices"]) == list(range(8))
    for vertex, shown in found["vertices"].items():
        share = sum(probability(path, links) for path in paths(8) if vertex in path)
        assert shown["visited"] == pytest.approx(share, abs=1e-4)
        following = sorted(((float(links[vertex, other].exp()), other) for other in range(8)), reverse=True)[:3]
        assert [other for other, _ in shown["next"]] == [other for p, other in following if p >= 5e-5]
        assert [p for _, p in shown["next"]] == pytest.approx([p for p, _ in following if p >= 5e-5], abs=1e-4)
        if 0 < vertex < 7:
            inner = sorted(((float(log_probs[vertex, word].exp()), str(word)) for word in range(3, 8)), reverse=True)
            assert [word for word, _ in shown["words"]] == [word for _, word in inner[:3]]
            assert [p for _, p in shown["words"]] == pytest.approx([p for p, _ in inner[:3]], abs=1e-4)
    assert found["vertices"][0]["words"] == [["0", 1.0]] and found["vertices"][7]["words"] == [["2", 1.0]]
    assert found["vertices"][7]["next"] == []


def test_paths_are_those_that_decoding_takes():
    net, source = canvas.model("dag", factor=2), canvas.SOURCE[0]
    found = graphs.graph(net, source, str)
    assert set(found["paths"]) == {"lookahead", "joint_viterbi"}
    for strategy, path in found["paths"].items():
        assert path[0] == 0 and path[-1] == 7 and path == sorted(set(path))
        said = [found["vertices"][vertex]["words"][0][0] for vertex in path[1:-1]]
        once = [word for place, word in enumerate(said) if place == 0 or word != said[place - 1]]
        (target,) = decode(net, source[None], {"kind": "graph", "strategy": strategy})
        assert once == list(map(str, target.tolist()))


def test_what_hardly_any_path_comes_by_is_left_out_but_for_the_paths_kept(monkeypatch):
    monkeypatch.setattr(graphs, "SELDOM", 2)
    found = graphs.graph(canvas.model("dag", factor=2), canvas.SOURCE[0], str)
    assert sorted(found["vertices"]) == sorted({vertex for path in found["paths"].values() for vertex in path})


@pytest.fixture
def project(tmp_path):
    """A corpus of four sentences, a model with links and one without."""
    (tmp_path / "bpe").mkdir()
    for split in ("train", "valid", "test"):
        for side in ("src", "tgt"):
            (tmp_path / "bpe" / f"{split}.{side}").write_text("".join(f"{line}\n" for line in SENTENCES))
    binarise(True, tmp_path / "bpe", tmp_path / "bin")
    vocabulary = len(Data(tmp_path / "bin").source)
    words = {"source_vocabulary": vocabulary, "target_vocabulary": vocabulary, "joint_vocabulary": True}
    parts = {"lengths": {"name": "source", "factor": 3.0}}
    torch.manual_seed(0)
    for name, architecture in (("graph", {**parts, "links": True}), ("plain", parts)):
        publish(
            tmp_path / f"{name}.pt", build({"architecture": plain.architecture(**architecture), **SIZE, **words}), {}
        )
    return tmp_path


def verb(project, model, sentences):
    parser = argparse.ArgumentParser()
    graphs.add_arguments(parser)
    options = f"--model {project}/{model}.pt --data {project}/bin --sentences {sentences} --out {project}/graphs.json"
    graphs.run(parser.parse_args(options.split()))


@pytest.mark.parametrize(("asked", "count"), [(2, 2), (9, 4)])
def test_the_verb_writes_the_first_sentences_of_test_in_words(project, asked, count):
    verb(project, "graph", asked)
    found = read_json(project / "graphs.json")["sentences"]
    assert len(found) == count
    for graph, sentence in zip(found, SENTENCES, strict=False):
        length = 3 * (len(sentence.split()) + 1)
        assert graph["vertices"]["0"]["words"] == [["<s>", 1.0]]
        assert graph["vertices"][str(length - 1)]["words"] == [["</s>", 1.0]]
        inner = [vertex["words"] for number, vertex in graph["vertices"].items() if 0 < int(number) < length - 1]
        assert all(len(words) == 3 and not {word for word, _ in words} & {"<s>", "</s>", "<pad>"} for words in inner)


def test_a_model_without_links_is_refused(project):
    with pytest.raises(UserError) as refused:
        verb(project, "plain", 1)
    assert str(refused.value) == (
        f"{project}/plain.pt: has no links, so that it makes no graphs; name a model that has"
    )
    assert not (project / "graphs.json").exists()
