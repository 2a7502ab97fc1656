"""How every training is validated and every model measured, whatever its own way; read without importing torch."""

from collections.abc import Mapping
from typing import Any

from natlab import families
from natlab.models import architectures

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


def decoding(spec: Mapping[str, Any]) -> dict[str, Any] | None:
    """How the training of a specification translates its validation set, whose score chooses its checkpoints; None of
    one that translates nothing."""
    if "autoregressive" in architectures.of(spec["architecture"]).offers:
        return {"kind": "beam", "beam": 1}
    kind = families.trait("objective", spec["objective"]["name"], "decoding", None)
    return None if kind is None else {"kind": kind}


def plain(spec: Mapping[str, Any]) -> dict[str, Any]:
    """How the model of a specification is measured on raw targets, nothing being revealed: by cross entropy; on a
    canvas on which no token has a place of its own, and without any canvas, by its objective."""
    architecture = spec["architecture"]
    made = {**PLAIN, "architecture": architecture}
    if "lengths" not in architecture:
        of = {key: made[key] for key in ("architecture", "target")}
        return {**of, "objective": spec["objective"], "terms": []} if "objective" in spec else made
    free = "free length" in families.trait("length", architecture["lengths"]["name"], "offers")
    return made | ({"objective": spec["objective"], "terms": []} if free else {})
