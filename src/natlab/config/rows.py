"""What a row of `config/systems.yaml` says, alone and with a scale. A row is the file's mapping, held to its schema."""

from collections.abc import Mapping
from typing import Any

from natlab.proxy import registry

AUTOREGRESSIVE = "transformer"
ROLES = ("teacher", "student")  # the stages that stand alone; others say what differs from these


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


def stages(scale: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The stages of a scale, by name."""
    return {**{name: scale[name] for name in (*ROLES, "finetune")}, **scale.get("stages", {})}


def stage(row: Mapping[str, Any]) -> str:
    """The name of the stage that it is trained in."""
    default = "teacher" if is_autoregressive(row) else "finetune" if "start" in row else "student"
    return row.get("stage", default)


def training(row: Mapping[str, Any], scale: Mapping[str, Any], dataset: str | None = None) -> dict[str, Any]:
    """How it is trained: as the scale says for its stage, or for this dataset, and as it says itself otherwise. A stage
    that the scale has not got, which it need not have for systems that it does not train, says nothing."""
    named, role = stage(row), ROLES[not is_autoregressive(row)]
    own = scale.get("datasets", {}).get(dataset, {})
    blocks = [stages(scale), own]
    said = [block.get(name, {}) for name in ([named] if named in ROLES else [role, named]) for block in blocks]
    found = {key: value for part in (*said, row.get("training", {})) for key, value in part.items()}
    found["updates"] = max(1, round(found["updates"] * found.pop("share", 1)))
    if "warmup_share" in found:
        found["warmup"] = round(found["updates"] * found.pop("warmup_share"))
    return found


def size(row: Mapping[str, Any], scale: Mapping[str, Any]) -> str:
    """The name of its size: the scale's for its role, or what stands at this scale for the one it names."""
    named = row.get("size")
    return training(row, scale)["size"] if named is None else scale.get("sizes", {}).get(named, named)
