"""Bundles of random models, by the way that `natlab export` goes."""

import torch

from natlab.corpus import subwords
from natlab.corpus.binarise import binarise
from natlab.corpus.bpe import learn
from natlab.export.verb import Place, export
from natlab.families import defaults
from natlab.models.load import build, publish

SOURCE = ["the low house", "a new lower house", "the newest house is low", "it is new here", "house by house"]
TARGET = ["das niedrige haus", "ein neues haus", "das neue haus ist niedrig", "es ist hier neu", "haus um haus"]
DATASET = {
    "languages": {"src": "en", "tgt": "de"},
    "tokenise": "moses",
    "lowercase": True,
    "bpe": {"joint": False, "merges": 20},
    "licence": "free",
}
NAT = {"name": "nat", "lengths": {"name": "difference"}, "fill": {"name": "copy"}}
ARGMAX = {"kind": "argmax", **defaults("decoding", "argmax")}
BEAM = {"kind": "beam", "beam": 2, "length_penalty": 1.0}
PLACE = Place("tiny", "small", "random", 1)


def corpus(folder, joint=False):
    """The subwords and the data folder of a corpus; returns both sides' numbers of symbols."""
    (folder / "tok").mkdir(parents=True)
    (folder / "bpe").mkdir()
    for side, of in (("src", SOURCE), ("tgt", TARGET)):
        (folder / "tok" / f"train.{side}").write_text("".join(f"{line}\n" for line in of))
        learn([folder / "tok" / f"train.{side}"], 20, folder / "bpe" / f"codes.{side}")
        segment = subwords.load_codes(folder / "bpe" / f"codes.{side}").segment
        for split in ("train", "valid", "test"):
            (folder / "bpe" / f"{split}.{side}").write_text("".join(f"{segment(line)}\n" for line in of))
    binarise(joint, folder / "bpe", folder / "bin")
    return [len((folder / "bin" / f"dict.{side}.txt").read_text().splitlines()) + 4 for side in ("src", "tgt")]


def trained(results, architecture=NAT, seed=1):
    """A random model where a trained one would lie; returns it."""
    sizes = corpus(results / "corpora" / PLACE.dataset)
    torch.manual_seed(seed)
    shape = dict(d_model=16, d_hidden=32, encoder_layers=1, decoder_layers=2, heads=4, dropout=0.0)
    vocabularies = dict(source_vocabulary=sizes[0], target_vocabulary=sizes[1], joint_vocabulary=False)
    model = build({"architecture": architecture, **shape, **vocabularies}).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data += 0.3 * torch.randn_like(parameter)
    publish(PLACE.under(results / "models") / "model.pt", model, {"fingerprint": "f00d", "spec": {}})
    return model


def bundle(folder, architecture=NAT, decoding=ARGMAX, precision="float32", dataset=DATASET, seed=1):
    """The folder of a bundle, and the model in it."""
    model = trained(folder / "results", architecture, seed)
    export(dataset, PLACE, "name", decoding, precision, folder / "results", folder / "bundle")
    return folder / "bundle", model
