"""What systems and decodings are called where they are shown: the file ``labels.yaml`` beside the papers' folders."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from natlab.papers.spec import SCHEMAS
from natlab.schema import one_line, read_yaml, validate

NAME = "labels.yaml"


@dataclass(frozen=True)
class Labels:
    """Labels by the names in ``config/systems.yaml``. What has none is shown by its name."""

    systems: Mapping[str, str] = field(default_factory=dict)
    decodings: Mapping[str, str] = field(default_factory=dict)

    def system(self, name: str) -> str:
        """A system's label."""
        return self.systems.get(name, name)

    def decoding(self, name: str) -> str:
        """A decoding's label."""
        return self.decodings.get(name, name)

    def output(self, system: str, decoding: str | None) -> str:
        """A system with its decoding, if it has one."""
        return self.system(system) if decoding is None else f"{self.system(system)} ({self.decoding(decoding)})"


UNLABELLED = Labels()


def load(papers: Path) -> Labels:
    """The labels below the folder of the papers' specs; none where it has no such file. UserError where it is not
    valid."""
    path = papers / NAME
    if not path.exists():
        return UNLABELLED
    labels = one_line(read_yaml(path))
    validate(labels, SCHEMAS / "labels.schema.yaml", str(path))
    return Labels(**labels)
