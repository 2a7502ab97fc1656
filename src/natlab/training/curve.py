"""A training's curve: what it reports of training and validation, one JSON object a line, in the order of updates."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from natlab.files import lines, room_for, written_aside
from natlab.tracking import Tracker

KEYS = ("loss", "bleu", "score", "lr", "wps", "train_wall", "wall")
NAMED = ("_loss", "_share", "_distance")  # how a loss' or a term's own values end, whatever they are called


class Curve:
    """``curve.jsonl``, and its copy in the tracker."""

    def __init__(self, path: Path, tracker: Tracker):
        self.path, self.tracker = path, tracker

    def cut(self, update: int, validated: bool) -> None:
        """Drop what was reported after an update to which training has gone back, and a line half written.

        ``validated``: whether the update's own validation stays.
        """
        kept = []
        for line in lines(self.path) if self.path.exists() else ():
            try:
                report = json.loads(line)
            except json.JSONDecodeError:
                continue
            if report["num_updates"] < update or (
                report["num_updates"] == update and (validated or report["subset"] != "valid")
            ):
                kept.append(line)
        with written_aside(self.path) as file:
            file.writelines(line + "\n" for line in kept)

    def report(self, subset: str, update: int, values: Mapping[str, Any]) -> None:
        """Append a line: the known ones of ``values`` (losses in bits a token, shares, wps in tokens/s, walls in
        seconds), and dynamic KD's lineage (`lineage.shares`), which is not tracked."""
        known = {key: float(value) for key, value in values.items() if key in KEYS or key.endswith(NAMED)}
        shares = {key: values[key] for key in ("lineage",) if key in values}
        with room_for(self.path), open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"subset": subset, "num_updates": update, **known, **shares}) + "\n")
        self.tracker.log({f"{subset}/{key}": value for key, value in known.items()}, update)
