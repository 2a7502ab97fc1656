"""What a row of `config/systems.yaml` says, alone and with a scale. A row is the file's mapping, held to its schema."""

from collections.abc import Mapping
from typing import Any

from natlab.proxy import registry

AUTOREGRESSIVE = "transformer"


def is_autoregressive(row: Mapping[str, Any]) -> bool:
    return row["architecture"] == AUTOREGRESSIVE


def proxy(value: str | Mapping[str, Any]) -> dict[str, Any]:
    """A proxy's name and options, from either way of writing it."""
    return {"name": value} if isinstance(value, str) else dict(value)


def target(row: Mapping[str, Any]) -> str:
    """The name of its proxy target."""
    return proxy(row["target"])["name"]


def chooses(row: Mapping[str, Any]) -> bool:
    """Whether it chooses its target among candidates."""
    return registry.trait(target(row), "references") == "candidates"


def runs_kernels(row: Mapping[str, Any]) -> bool:
    """Whether choosing its targets runs `natlab.kernels`."""
    return not is_autoregressive(row) and registry.trait(target(row), "kernels")


def parallel(row: Mapping[str, Any]) -> dict[str, Any]:
    """What only a non-autoregressive system has."""
    own = {"input": proxy(row["input"]), "canvas": row.get("canvas", "copy")}
    if "start" in row:
        own["start"] = row["start"]
    if "predictor" in row:  # which one predicts the tokens makes no difference to the training
        own["predictor"] = True
    return own


def training(row: Mapping[str, Any], scale: Mapping[str, Any], dataset: str | None = None) -> dict[str, Any]:
    """How it is trained: as the scale says for its role, or for this dataset, and as it says itself otherwise."""
    roles = ["teacher"] if is_autoregressive(row) else ["student", "finetune"][: 1 + ("start" in row)]
    own = scale.get("datasets", {}).get(dataset, {})
    said = [part for role in roles for part in (scale[role], own.get(role, {}))]
    found = {key: value for part in (*said, row.get("training", {})) for key, value in part.items()}
    found["updates"] = max(1, round(found["updates"] * found.pop("share", 1)))
    if "warmup_share" in found:
        found["warmup"] = round(found["updates"] * found.pop("warmup_share"))
    return found


def size(row: Mapping[str, Any], scale: Mapping[str, Any]) -> str:
    """The name of its size: the scale's for its role, or what stands at this scale for the one it names."""
    named = row.get("size")
    return training(row, scale)["size"] if named is None else scale.get("sizes", {}).get(named, named)
