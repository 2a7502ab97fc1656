"""YAML files and their JSON Schemas: read, validate, complain in one line that names file, key and what is allowed."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from referencing import Registry, Resource

from natlab.errors import UserError


def read_yaml(path: str | Path, name: str | None = None) -> Any:
    """The value of a YAML file. ``name`` stands for the path in messages. Raises UserError when it cannot be read."""
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{name or path}: no such file; check its name") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{name or path}: not YAML: {' '.join(str(error).split())}") from None


def validate(value: Any, schema: Path, file: str, pointer: str = "") -> None:
    """Hold ``value``, the content of ``file``, to a schema file, or to a part of it (a JSON pointer, "#/$defs/…").

    A schema may refer to others of its folder by file name. Raises UserError for the most telling violation.
    """
    registry = Registry(retrieve=lambda uri: Resource.from_contents(read_yaml(schema.parent / uri)))
    validator = jsonschema.Draft202012Validator({"$ref": schema.name + pointer}, registry=registry)
    error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    if error is not None:
        raise UserError(f"{file}: {_sentence(error)}")


def known(file: str, key: str, name: Any, names: Iterable[str]) -> None:
    """Refuse ``name``, the value at ``key`` of ``file``, unless it is one of ``names``."""
    names = list(names)
    if name not in names:
        raise UserError(f"{file}: {key}: unknown name {name!r}; allowed: {', '.join(names) or 'none'}")


def _sentence(error: jsonschema.ValidationError) -> str:
    where = ".".join(map(str, error.absolute_path))
    at = f"{where}: " if where else ""
    if error.validator == "additionalProperties":
        allowed = error.schema.get("properties", {})
        unknown = ", ".join(key for key in error.instance if key not in allowed)
        return f"{at}unknown key {unknown}; allowed keys: {', '.join(allowed)}"
    if error.validator == "required":
        missing = ", ".join(key for key in error.validator_value if key not in error.instance)
        return f"{at}key {missing} is missing; add it"
    if error.validator == "enum":
        return f"{at}{error.instance!r} is not allowed; allowed: {', '.join(map(str, error.validator_value))}"
    meant = error.schema.get("description", "")
    return f"{at}{' '.join(error.message.split())}" + (f" ({' '.join(meant.split())})" if meant else "")
