"""Which proxy targets and inputs there are, read without importing them (they import torch, a configuration must not).

A proxy is one dataclass alone in ``proxy/targets/<name>.py`` or ``proxy/inputs/<name>.py``; its name in a
configuration is the file's name, its options are the dataclass' fields, and what they may be is those fields' types:
bool, int, float, str, None, ``list[...]``, ``Literal[...]`` or ``Annotated[<number>, "> 0", "<= 1"]``, and unions of
them. So a new proxy is one file and one row in ``config/systems.yaml``. The words: Huang et al. (2022), section 3.2,
proxy target T and proxy input Z.
"""

import ast
import functools
import importlib
import operator
import types
import typing
from pathlib import Path
from typing import Any, NamedTuple

KINDS = ("targets", "inputs")
REQUIRED = object()  # the default of an option that has none: a configuration must give it
NAMES = {name: getattr(typing, name) for name in ("Annotated", "ClassVar", "Literal")}
BOUNDS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


class Option(NamedTuple):
    """An option of a proxy: its default (``REQUIRED`` if it has none) and its type."""

    default: Any
    type: Any


def names(kind: str) -> list[str]:
    """The names of all proxies of a kind ("targets" or "inputs"), sorted."""
    return sorted(path.stem for path in _folder(kind).glob("*.py") if not path.stem.startswith("_"))


def options(kind: str, name: str) -> dict[str, Option]:
    """The options of a proxy, in the order of its fields."""
    fields = _fields(kind, name)
    return {field: option for field, option in fields.items() if typing.get_origin(option.type) is not typing.ClassVar}


def trait(target: str, name: str) -> Any:
    """A class variable of a proxy target (`interface.ProxyTarget`): ``references``, ``blank`` or ``kernels``."""
    return _fields("targets", target)[name].default


def fixed(target: str) -> bool:
    """Whether a proxy target takes its references as they are, so that it suits any architecture."""
    return trait(target, "references") in ("raw", "distilled")


def problem(option: Option, value: Any) -> str | None:
    """What is wrong with the value of an option, or None."""
    return None if _fits(option.type, value) else f"{value!r} is not allowed; allowed: {_allowed(option.type)}"


def module(kind: str, name: str) -> str:
    """The module of a proxy."""
    return f"natlab.proxy.{kind}.{name}"


def load(kind: str, name: str, **given: Any) -> Any:
    """Import and construct a proxy. Raises KeyError for a name that is not there, TypeError for a wrong option."""
    cls = _dataclass(kind, name).name
    return getattr(importlib.import_module(module(kind, name)), cls)(**given)


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
def _fields(kind: str, name: str) -> dict[str, Option]:
    """The annotated names of a proxy's dataclass, class variables among them."""
    return {
        statement.target.id: Option(
            REQUIRED if statement.value is None else ast.literal_eval(statement.value),
            # our own source, which Python would evaluate alike on import
            eval(compile(ast.Expression(statement.annotation), name, "eval"), dict(NAMES)),
        )
        for statement in _dataclass(kind, name).body
        if isinstance(statement, ast.AnnAssign)
    }


def _folder(kind: str) -> Path:
    if kind not in KINDS:
        raise ValueError(f"a proxy is one of {', '.join(KINDS)}, not {kind}")
    return Path(__file__).parent / kind


def _dataclass(kind: str, name: str) -> ast.ClassDef:
    """The one class decorated as a dataclass in a proxy's file."""
    if name not in names(kind):
        raise KeyError(name)
    path = _folder(kind) / f"{name}.py"
    found = [
        node
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(mark) for mark in node.decorator_list)
    ]
    if len(found) != 1:
        raise TypeError(f"{path}: a proxy's file holds one dataclass, this one {len(found)}")
    return found[0]
