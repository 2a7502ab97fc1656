"""The architectures: what each offers to the parts of a system, of which parts it is made, and what a system of it says
beside them; read without importing torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Architecture:
    """One architecture; its model is the class ``model`` of the module of its name beside this one.

    description: for a person, what it cannot be asked for.
    offers: what its parts, and decodings, may need.
    parts: of which members of families it is made: by the key of `architecture` in a row the family and the default, or
    None where it may do without.
    options: further keys of `architecture`, with their defaults; None where one that is not given is not there.
    keys: of a row, that are for systems of it and not for those of every architecture.
    objective: the objective of a system that names none; None of one that learns without a member of that family.
    teaches: it is trained as the scale's teacher, else as its student, unless a row names another stage.
    starts: from which architectures' models its training may start.
    """

    model: str
    description: str
    offers: tuple[str, ...] = ()
    parts: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    objective: str | None = None
    teaches: bool = False
    starts: tuple[str, ...] = ()


ARCHITECTURES = {
    "nat": Architecture(
        "NonAutoregressiveTransformer",
        "predicts all tokens at once",
        offers=("parallel", "likelihood"),
        parts={"lengths": ("length", "difference"), "fill": ("fill", "copy"), "codebook": ("codebook", None)},
        options={"links": False, "deep_supervision": None},
        keys=("input", "objective", "terms", "start", "predictor"),
        objective="xe",
        starts=("nat", "multilingual"),
    ),
    "transformer": Architecture(
        "Transformer", "reads what it has written", offers=("autoregressive", "likelihood"), teaches=True
    ),
    "multilingual": Architecture(
        "MultilingualEncoder",
        "encodes sentences and writes none",
        offers=("both sides", "codes"),
        parts={"codebook": ("codebook", None), "encoder": ("encoder", None)},
        keys=("objective", "terms", "start"),
        objective="denoising",
        starts=("multilingual",),
    ),
}


def of(described: Mapping[str, Any]) -> Architecture:
    """That of a description with its ``name``."""
    return ARCHITECTURES[described["name"]]
