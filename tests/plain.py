"""A plain non-autoregressive model and how it learns, but for the parts that a test names."""

import itertools

from natlab import families
from natlab.losses.batch import Method
from natlab.models.nat import NonAutoregressiveTransformer
from natlab.models.validation import PLAIN


def member(given):
    """A member's name and options, from its name or from both."""
    return {"name": given} if isinstance(given, str) else given


def architecture(**parts):
    """A non-autoregressive architecture: ``lengths`` and ``fill`` each a member, `masking`, `blank`."""
    given = {key: part if isinstance(part, bool) else member(part) for key, part in parts.items()}
    return {**PLAIN["architecture"], **given}


def nat(config, **parts):
    """A model of that architecture with fresh parameters."""
    options = {key: part for key, part in architecture(**parts).items() if key != "name"}
    return NonAutoregressiveTransformer(config, **options)


def spec(terms=("length",), **parts):
    """How a system learns: its ``target``, ``input`` and ``objective`` each a member, and its ``terms``."""
    return {**PLAIN, **{key: member(part) for key, part in parts.items()}, "terms": list(map(member, terms))}


def method(**parts):
    """The same, ready to be called."""
    return Method.of(spec(**parts))


L_AL = ({"name": "sentence_codes", "weight": 1.0}, {"name": "commitment", "weight": 0.5})  # AEQA-NAT, equation 16


def multilingual(codebook=None, terms=(), **denoising):
    """How a multilingual encoder learns, with a ``codebook`` or without."""
    return {
        "architecture": {"name": "multilingual"} | ({} if codebook is None else {"codebook": member(codebook)}),
        "target": {"name": "raw"},
        "objective": {"name": "denoising", **denoising},
        "terms": list(map(member, terms)),
    }


def needed(family, name):
    """A member, with a number for each option that must be given."""
    options = families.options(family, name)
    return {"name": name} | {option: 3.0 for option in options if option not in families.defaults(family, name)}


def rows_of_all_members(lengths=("difference",)):
    """A row of `config/systems.yaml` for each target, input and objective, with links and with a masking head where
    they can learn."""
    made, parts = [], (families.names(family) for family in ("target", "input", "objective"))
    for target, input, objective, length in itertools.product(*parts, lengths):
        row = {
            "architecture": {"name": "nat", "lengths": needed("length", length)},
            "target": needed("target", target),
            "input": needed("input", input),
            "objective": needed("objective", objective),
        }
        row["architecture"] |= {"links": True} if objective == "dag" else {}
        row["architecture"] |= {"fill": "codes", "codebook": "moving"} if input == "codes" else {}
        head = "revealed tokens" in families.trait("input", input, "offers")
        head &= "target length" in families.trait("length", length, "offers")
        made.append(row | ({"predictor": "vanilla_raw"} if head else {}))
    return made
