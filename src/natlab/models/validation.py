"""How every training is validated and every model measured, whatever its own way; read without importing torch."""

from collections.abc import Mapping
from typing import Any

from natlab import families

# By what checkpoints, and options that are tuned, are chosen where a specification names nothing else.
BLEU = {"name": "bleu_tok", "options": {}, "value": "bleu_tok", "language": ""}
# What a NAT is measured with besides its own specification: cross entropy of raw targets, nothing being revealed.
PLAIN = {
    "architecture": {"name": "nat", "lengths": {"name": "difference"}, "fill": {"name": "copy"}},
    "target": {"name": "raw"},
    "input": {"name": "vanilla"},
    "objective": {"name": "xe"},
    "terms": [{"name": "length"}],
}


def decoding(spec: Mapping[str, Any]) -> dict[str, Any]:
    """How the training of a specification translates its validation set, whose score chooses its checkpoints."""
    if spec["architecture"]["name"] == "transformer":
        return {"kind": "beam", "beam": 1}
    return {"kind": families.trait("objective", spec["objective"]["name"], "decoding")}


def plain(spec: Mapping[str, Any]) -> dict[str, Any]:
    """How the model of a specification is measured on raw targets, nothing being revealed: by cross entropy; on a
    canvas on which no token has a place of its own, by its objective."""
    architecture = spec["architecture"]
    made = {**PLAIN, "architecture": architecture}
    if architecture["name"] == "transformer":
        return made
    free = "free length" in families.trait("length", architecture["lengths"]["name"], "offers")
    return made | ({"objective": spec["objective"], "terms": []} if free else {})
