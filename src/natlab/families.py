"""The families of parts that systems are composed of, and which members each has, read without importing them (they
import torch, a configuration must not).

A family is a folder, a member one dataclass alone in a file of it. Its name in a configuration is the file's name, its
options are the dataclass' fields, and what they may be is those fields' types: bool, int, float, str, None,
``list[...]``, ``Literal[...]`` or ``Annotated[<number>, "> 0", "<= 1"]``, and unions of them. What a configuration does
not choose is a class variable, a trait: among them ``needs``, what a member needs, and ``offers``, what it offers to
others. So a new member is one file and one row in ``config/systems.yaml``.

A decoding's option may be tuned: ``{tuned: [...]}`` stands for that of the values under which a model translates its
validation set best (`natlab.measuring.tuning`).
"""

import ast
import functools
import importlib
import itertools
import operator
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

FOLDERS = {
    "target": "proxy/targets",
    "input": "proxy/inputs",
    "objective": "losses/objectives",
    "term": "losses/terms",
    "length": "models/lengths",
    "fill": "models/fills",
    "codebook": "models/codebooks",
    "encoder": "models/encoders",
    "decoding": "decoding/kinds",
    "score": "metrics/scores",
}
REQUIRED = object()  # the default of an option that has none: a configuration must give it
NAMES = {name: getattr(typing, name) for name in ("Annotated", "ClassVar", "Literal")}
TUNED = "tuned"
BOUNDS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


def member(value: str | Mapping[str, Any]) -> dict[str, Any]:
    """A member's name and options, from either way of writing it."""
    return {"name": value} if isinstance(value, str) else dict(value)


class Option(NamedTuple):
    """An option of a member: its default (``REQUIRED`` if it has none) and its type."""

    default: Any
    type: Any


def names(family: str) -> list[str]:
    """The names of all members of a family, sorted."""
    return sorted(path.stem for path in _folder(family).glob("*.py") if not path.stem.startswith("_"))


def options(family: str, name: str) -> dict[str, Option]:
    """The options of a member, in the order of its fields."""
    fields = _fields(family, name)
    return {field: option for field, option in fields.items() if typing.get_origin(option.type) is not typing.ClassVar}


def defaults(family: str, name: str) -> dict[str, Any]:
    """The options of a member that have a default, with it."""
    found = {option: default for option, (default, _) in options(family, name).items()}
    return {option: default for option, default in found.items() if default is not REQUIRED}


def trait(family: str, name: str, trait: str, default: Any = REQUIRED) -> Any:
    """A class variable of a member; ``default`` where it has none. KeyError without a default."""
    fields = _fields(family, name)
    return fields[trait].default if default is REQUIRED or trait in fields else default


def problem(option: Option, value: Any) -> str | None:
    """What is wrong with the value of an option, or None."""
    return None if _fits(option.type, value) else f"{value!r} is not allowed; allowed: {_allowed(option.type)}"


def tuned(options: Mapping[str, Any]) -> dict[str, list]:
    """The options that are tuned, with their values."""
    return {option: value[TUNED] for option, value in options.items() if isinstance(value, Mapping)}


def variants(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The options with every choice among the values of those that are tuned, in the values' order; as they are where
    none is."""
    values = tuned(options)
    return [{**options, **dict(zip(values, chosen, strict=True))} for chosen in itertools.product(*values.values())]


def module(family: str, name: str) -> str:
    """The module of a member."""
    return f"natlab.{FOLDERS[family].replace('/', '.')}.{name}"


def load(family: str, name: str, **given: Any) -> Any:
    """Import and construct a member. Raises KeyError for a name that is not there, TypeError for a wrong option."""
    cls = _dataclass(family, name).name
    return getattr(importlib.import_module(module(family, name)), cls)(**given)


def _fits(wanted: Any, value: Any) -> bool:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(each, value) for each in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin is typing.Annotated:
        kind, *bounds = arguments
        return _fits(kind, value) and all(BOUNDS[sign](value, float(limit)) for sign, limit in map(str.split, bounds))
    if origin is list:
        return isinstance(value, list) and all(_fits(arguments[0], each) for each in value)
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))


def _allowed(wanted: Any) -> str:
    """A type as a person would say it."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        return ", ".join(map(_allowed, arguments))
    if origin is typing.Literal:
        return ", ".join(map(str, arguments))
    if origin is typing.Annotated:
        return f"{_allowed(arguments[0])} {' and '.join(arguments[1:])}"
    if origin is list:
        return f"a list ({_allowed(arguments[0])})"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text", types.NoneType: "null"}
    return words[wanted]


@functools.cache
def _fields(family: str, name: str) -> dict[str, Option]:
    """The annotated names of a member's dataclass, class variables among them."""
    return {
        statement.target.id: Option(
            REQUIRED if statement.value is None else ast.literal_eval(statement.value),
            # our own source, which Python would evaluate alike on import
            eval(compile(ast.Expression(statement.annotation), name, "eval"), dict(NAMES)),
        )
        for statement in _dataclass(family, name).body
        if isinstance(statement, ast.AnnAssign)
    }


def _folder(family: str) -> Path:
    if family not in FOLDERS:
        raise ValueError(f"a family is one of {', '.join(FOLDERS)}, not {family}")
    return Path(__file__).parent / FOLDERS[family]


@functools.cache
def _dataclass(family: str, name: str) -> ast.ClassDef:
    """The one class decorated as a dataclass in a member's file."""
    if name not in names(family):
        raise KeyError(name)
    path = _folder(family) / f"{name}.py"
    found = [
        node
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(mark) for mark in node.decorator_list)
    ]
    if len(found) != 1:
        raise TypeError(f"{path}: a member's file holds one dataclass, this one {len(found)}")
    return found[0]
