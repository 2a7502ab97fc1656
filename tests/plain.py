"""A plain non-autoregressive model and how it learns, but for the parts that a test names."""

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
