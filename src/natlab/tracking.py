"""Tracking of trainings with comet-ml: what it costs and what it breaks never reaches the training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

DEFAULTS = {"backend": "comet", "online": False}


class Tracker:
    """Where a training's metrics go: nowhere, with the backend `none`."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Note the metrics of one step (update). Never raises."""

    def end(self, metrics: Mapping[str, float] | None = None) -> None:
        """Note final metrics, if any, and finish this attempt. Never raises, never waits for more than 5 seconds."""


def start(
    settings: Mapping[str, Any], folder: str | Path, name: str, parameters: Mapping[str, Any], fingerprint: str
) -> Tracker:
    """A tracker of one attempt of the training whose checkpoints lie in ``folder``. Never raises.

    ``settings`` are the run's `tracking`; ``parameters`` may be nested (a training's spec).
    """
    return Tracker()
