"""Where the files of the configuration lie below the project's folder, and how one of them is read."""

from pathlib import Path
from typing import Any

from natlab.corpus import dataset as dataset_files
from natlab.schema import read_yaml, validate

DEFAULT_RUN = "config/config.yaml"
SCHEMAS = Path("workflow/schemas")
PAPERS = Path("config/papers")
RUNS = Path("config/runs")
DATASETS = dataset_files.FOLDER


def read(root: Path, file: str, kind: str) -> Any:
    """The content of a configuration file, held to its kind's schema."""
    value = read_yaml(root / file, name=file)
    validate(value, root / SCHEMAS / f"{kind}.schema.yaml", file)
    return value


def read_dataset(root: Path, name: str) -> dict[str, Any]:
    """The content of a dataset's file."""
    return dataset_files.load(root / DATASETS / f"{name}.yaml", root / dataset_files.SCHEMA)


def stems(folder: Path) -> list[str]:
    """The names of a folder's YAML files, less their ending."""
    return sorted(path.stem for path in folder.glob("*.yaml"))
