"""YAML files and their JSON Schemas: read, validate, complain in one line that names file, key and what is allowed."""

import math
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from natlab.errors import UserError

# What a bare word is, if it is no text: YAML 1.2's core schema, numbers decimal and finite. YAML 1.1, PyYAML's, takes
# no, on, 1_000, 010, 1:30 and 2020-01-01 for something else, and 1e-4 for text.
WORDS = {
    "null": "~|null|Null|NULL|",
    "bool": "true|True|TRUE|false|False|FALSE",
    "int": "[-+]?[0-9]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
    "merge": "<<",
}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Reads bare words as above and keys as the text that stands there; each key once."""

    yaml_implicit_resolvers = {}
    yaml_constructors = {
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag in (None, *(f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "seq")))
    }

    def text(self, node: yaml.ScalarNode) -> str:
        # what YAML has by an escape only, which no table shows and no file that a job reads could hold as it stands
        if yaml.reader.Reader.NON_PRINTABLE.search(node.value):
            raise yaml.constructor.ConstructorError(
                None, None, "a text with a character that cannot be shown; leave it out", node.start_mark
            )
        return node.value

    def mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        keys = [key for key, _ in node.value]
        times = Counter(key.value for key in keys if isinstance(key, yaml.ScalarNode))
        for key in reversed(keys):
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key is a list or a mapping; give it a name", key.start_mark
                )
            if times[key.value] > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value} stands {times[key.value]} times; give it once", key.start_mark
                )
        self.flatten_mapping(node)
        return {self.text(key): self.construct_object(value, deep=True) for key, value in node.value}


for _tag, _pattern in WORDS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), None)
_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.mapping)
_Loader.add_constructor("tag:yaml.org,2002:str", _Loader.text)
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))
_Loader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: float(loader.construct_scalar(node)))


def read_yaml(path: str | Path, name: str | None = None) -> Any:
    """The value of a YAML file. ``name`` stands for the path in messages. Raises UserError when it cannot be read."""
    try:
        return parse_yaml(Path(path).read_text(encoding="utf-8"), str(name or path))
    except FileNotFoundError:
        raise UserError(f"{name or path}: no such file; check its name") from None
    except OSError as error:
        raise UserError(f"{name or path}: cannot be read ({error.strerror}); check it") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{name or path}: not UTF-8 ({error}); save it as UTF-8") from None


def parse_yaml(text: str, name: str) -> Any:
    """The value of YAML text, that of ``name`` in messages. Raises UserError when it is none."""
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UserError(f"{name}: not YAML: line {mark.line + 1}: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, KeyError) as error:  # the latter two: of a tag that does not suit its word
        raise UserError(f"{name}: not YAML: {' '.join(str(error).split())}") from None


def read_object(path: str | Path, name: str | None = None) -> dict[str, Any]:
    """The mapping that a YAML file holds, as `read_yaml`."""
    value = read_yaml(path, name)
    if not isinstance(value, dict):
        raise UserError(f"{name or path}: holds no keys with values; see config/README.md")
    return value


def bare(text: str) -> Any:
    """What a bare word of YAML stands for."""
    return yaml.load(text, _Loader) if any(re.fullmatch(word, text) for word in WORDS.values()) else text


def one_line(value: Any) -> Any:
    """The same value with every text in it on one line, as tables and figures show it."""
    if isinstance(value, dict):
        return {key: one_line(part) for key, part in value.items()}
    if isinstance(value, list):
        return [one_line(part) for part in value]
    return re.sub(r"[^\S\xa0\u202f]+", " ", value).strip() if isinstance(value, str) else value


def one_of(names: Iterable[str]) -> str:
    """A regular expression for exactly these names, as a wildcard's constraint."""
    return "|".join(map(re.escape, names)) or "(?!)"


# 1000.0 is a whole number to JSON, but not to range() nor in a path; an infinite number is one to Python only.
_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _, value: (
                isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            ),
        }
    ),
)


@cache
def _validator(schema: Path, pointer: str) -> jsonschema.protocols.Validator:
    @cache  # the registry keeps nothing of what it retrieves: each reference would read the file again
    def retrieve(uri: str) -> Resource:
        contents = read_object(schema.parent / uri)
        del contents["$schema"]  # jsonschema would take its own validator for it, not the one above
        return DRAFT202012.create_resource(contents)

    return _Validator({"$ref": schema.name + pointer}, registry=Registry(retrieve=retrieve))


def validate(value: Any, schema: Path, file: str, pointer: str = "") -> None:
    """Hold ``value``, the content of ``file``, to a schema file, or to a part of it (a JSON pointer, "#/$defs/…").

    A schema may refer to others of its folder by file name. Raises UserError for the most telling violation.
    """
    error = jsonschema.exceptions.best_match(_validator(schema.resolve(), pointer).iter_errors(value))
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
    said = " ".join(error.message.split())
    if error.validator_value == "string" and isinstance(error.instance, bool | int | float):
        said += "; write it in quotes"
    meant = " ".join(error.schema.get("description", "").split())
    return f"{at}{said}" + (f" ({meant})" if meant else "")
