"""The shipped configuration, and copies of it that a test may spoil."""

from pathlib import Path

import pytest
import yaml

from natlab import config
from natlab.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[2]
NPD = {"kind": "argmax", "length_candidates": 7}  # a decoding that a reranker makes NPD


def edit(project: Path, file: str, change) -> None:
    """Apply ``change`` to the value of a YAML file."""
    path = project / file
    value = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(yaml.safe_dump(value), encoding="utf-8")


def load(project: Path, run: str = "config/config.yaml") -> config.Run:
    settings = yaml.safe_load((project / run).read_text(encoding="utf-8"))
    return config.load(settings, run, project)


def refused(project: Path, file: str, change, *mentions: str, run: str = "config/config.yaml") -> None:
    """The changed file makes loading fail with one line that names the file and all of ``mentions``."""
    edit(project, file, change)
    with pytest.raises(UserError) as caught:
        load(project, run)
    message = str(caught.value)
    assert "\n" not in message
    for mention in (file, *mentions):
        assert mention in message


def row(name: str, **changes):
    """A change of a system's row."""
    return lambda value: value["systems"].setdefault(name, {}).update(changes)


def only(table, cells):
    """Leave a table one row and these cells."""
    columns = [{"key": key, "label": key, "cell": {"metric": "bleu_tok", **cell}} for key, cell in cells.items()]
    row = {"label": "WMT14 En-De", "cell": {"corpus": "wmt14_ende"}}
    for key in [key for key in table if key not in ("table", "paper", "title", "caption")]:
        del table[key]
    table.update(rows=[row], columns=columns)
