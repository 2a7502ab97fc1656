"""Which proxy targets and inputs there are, read without importing them (they import torch, a configuration must not).

A proxy is one dataclass alone in ``proxy/targets/<name>.py`` or ``proxy/inputs/<name>.py``; its name in a
configuration is the file's name, its options are the dataclass' fields. So a new proxy is one file and one row in
``config/systems.yaml``. The words: Huang et al. (2022), section 3.2, proxy target T and proxy input Z.
"""

import ast
import importlib
from pathlib import Path
from typing import Any

KINDS = ("targets", "inputs")
REQUIRED = object()  # the default of an option that has none: a configuration must give it


def names(kind: str) -> list[str]:
    """The names of all proxies of a kind ("targets" or "inputs"), sorted."""
    return sorted(path.stem for path in _folder(kind).glob("*.py") if not path.stem.startswith("_"))


def options(kind: str, name: str) -> dict[str, Any]:
    """The options of a proxy and their defaults (``REQUIRED`` where there is none), in the order of its fields."""
    return {field: default for field, (default, of_class) in _fields(kind, name).items() if not of_class}


def distilled(name: str) -> bool:
    """Whether a proxy target starts from what a teacher made of the sources: its class variable ``distilled``."""
    return _fields("targets", name)["distilled"][0]


def load(kind: str, name: str, **given: Any) -> Any:
    """Import and construct a proxy. Raises KeyError for a name that is not there, TypeError for a wrong option."""
    cls = _dataclass(kind, name).name
    module = importlib.import_module(f"natlab.proxy.{kind}.{name}")
    return getattr(module, cls)(**given)


def _fields(kind: str, name: str) -> dict[str, tuple[Any, bool]]:
    """{annotated name: (its literal default, whether it is a class variable)}."""
    return {
        statement.target.id: (
            REQUIRED if statement.value is None else ast.literal_eval(statement.value),
            "ClassVar" in ast.unparse(statement.annotation),
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
