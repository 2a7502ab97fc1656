"""The validations of a training, at shares of it."""

from collections.abc import Mapping, Sequence

PERCENTS = tuple(range(0, 101, 10))  # of the updates that were made
# by how a value's name ends
UNITS = {"_loss": "bits/token", "_share": "", "_distance": "", "bleu": "BLEU", "score": ""}


def at_shares(curve: Sequence[Mapping[str, float]]) -> dict[str, dict]:
    """{"<value>/<percent>": {"value", "unit", "update"}} of the lines of a ``curve.jsonl``: the last validation until
    that share of the updates; at 0 the one before the first, which a training that starts from a model has."""
    validations = [line for line in curve if line["subset"] == "valid"]
    last = max((line["num_updates"] for line in curve), default=0)
    found = {}
    for percent in PERCENTS:
        until = [line for line in validations if 100 * line["num_updates"] <= percent * last]
        if not until or (percent and not until[-1]["num_updates"]):
            continue
        for name, value in until[-1].items():
            unit = next((unit for ending, unit in UNITS.items() if name.endswith(ending)), None)
            if unit is not None:
                found[f"{name}/{percent}"] = {"value": value, "unit": unit, "update": until[-1]["num_updates"]}
    return found
