"""Auxiliary models, which a decoding or a loss takes besides the system's own, as a command line names them."""

from collections.abc import Sequence

from natlab.errors import UserError


def auxiliary(given: Sequence[str], option: str = "--auxiliary") -> dict[str, str]:
    """{system: its model.pt} of arguments SYSTEM=MODEL. UserError for one of another form."""
    pairs = [pair.partition("=") for pair in given]
    for system, equals, path in pairs:
        if not (system and equals and path):
            raise UserError(f"{option}: '{system}{equals}{path}' is not SYSTEM=MODEL; name a system and its model.pt")
    return {system: path for system, _, path in pairs}
