"""Checkpoints from which a training resumes: each whole or absent, the damaged ones set aside, the old ones removed."""

import logging
import math
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from natlab.errors import UserError
from natlab.files import written_aside

KEPT = 2  # the newest checkpoints kept while training: should one be damaged, there is the one before

log = logging.getLogger(__name__)

Validations = Sequence[tuple[int, float]]  # (update, merit) of every validation so far, in order


def merit(values: Mapping[str, float], select: str) -> float:
    """How good a validation is, the higher the better: its score (BLEU, unless the dataset says another; of a system
    that translates nothing retrieval) or its negative loss, of distilled targets where there are any."""
    if select == "score":
        return values["score"] if "score" in values else values["bleu"]
    loss = values.get("kd_loss", values["loss"])
    return -loss if math.isfinite(loss) else -math.inf


def best_of(validations: Validations, count: int) -> list[int]:
    """The ``count`` updates of the highest merit, in order; of equal ones the latest."""
    ranked = sorted(validations, key=lambda validation: (validation[1], validation[0]), reverse=True)
    return sorted(update for update, _ in ranked[:count])


def validations_since_best(validations: Validations) -> int:
    """How many validations in a row have not bettered the best one: the early-stopping counter."""
    merits = [merit for _, merit in validations]
    return len(merits) - 1 - merits.index(max(merits)) if merits else 0


def read(path: Path) -> dict[str, Any] | None:
    """A checkpoint's content, tensors mapped from the file; None if the file is not whole."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:  # compares the checksum of every part, which torch.load does not
                return None
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # zipfile and torch raise many kinds for a damaged file
        return None


def content(path: Path) -> dict[str, Any]:
    """What `read` returns. UserError if the checkpoint is not whole."""
    state = read(path)
    if state is None:
        raise UserError(f"{path}: damaged since it was written; run again, and the training resumes before it")
    return state


class Checkpoints:
    """The checkpoints of one training, ``checkpoint_<update>.pt`` in its folder.

    Each holds all of the training's state (`fairseq.trainer.Trainer.state_dict`), with its validations in
    ``extra_state``. To resume from one, those that it ranks best are needed too, since the model is their mean:
    ``average`` is how many.
    """

    def __init__(self, folder: Path, average: int):
        self.folder, self.average = folder, average

    def path(self, update: int) -> Path:
        return self.folder / f"checkpoint_{update}.pt"

    def updates(self) -> list[int]:
        """The updates that have a checkpoint, the newest first."""
        matches = (re.fullmatch(r"checkpoint_(\d+)\.pt", path.name) for path in self.folder.iterdir())
        return sorted((int(match[1]) for match in matches if match), reverse=True)

    def save(self, state: dict[str, Any], update: int) -> None:
        """Write a checkpoint and remove those no longer needed. UserError if there is no room for it."""
        try:
            with written_aside(self.path(update), "wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())  # the name must not outlive a power cut that the content did not
        except UserError as error:
            last = f"{self.path(self.updates()[0]).name} is whole" if self.updates() else "none was written yet"
            raise UserError(f"{error}; of the checkpoints before it, {last}") from error
        self.prune(state["extra_state"]["validations"])

    def prune(self, validations: Validations, kept: int = KEPT) -> None:
        """Remove all checkpoints but the ``kept`` newest and those that they need."""
        needed = {update for newest in self.updates()[:kept] for update in self._needed(newest, validations)}
        for update in set(self.updates()) - needed:
            self.path(update).unlink()

    def latest(self) -> Path | None:
        """The checkpoint to resume from: the newest that is whole, and with it those it needs.

        Damaged ones are set aside as ``.damaged``. Newer ones than the one returned are removed, since the training
        will write them again; so is what a killed process left half written.
        """
        for part in self.folder.glob(".*.part"):
            part.unlink()
        whole = {}
        for update in self.updates():
            state = read(self.path(update))
            if state is None:
                self._set_aside(update)
            else:
                whole[update] = state["extra_state"]["validations"]
        complete = [update for update in whole if whole.keys() >= self._needed(update, whole[update])]
        if not whole:
            return None
        if not complete:
            log.warning("%s: checkpoints of the best validations are lost; the mean will be of fewer", self.folder)
        chosen = max(complete or whole)
        for update in whole:
            if update > chosen:
                self.path(update).unlink()
        return self.path(chosen)

    def finish(self) -> list[Path]:
        """The best checkpoints of a training that has ended, in order. All but these and the last are removed."""
        validations = content(self.path(self.updates()[0]))["extra_state"]["validations"]
        self.prune(validations, kept=1)
        return [self.path(update) for update in best_of(validations, self.average) if self.path(update).exists()]

    def _needed(self, update: int, validations: Validations) -> set[int]:
        """What resuming from an update takes: its checkpoint and the best ones until then."""
        return {update, *best_of([known for known in validations if known[0] <= update], self.average)}

    def _set_aside(self, update: int) -> None:
        path = self.path(update)
        aside = path.with_suffix(".damaged")
        path.replace(aside)
        log.warning("%s: truncated or damaged; set aside as %s", path, aside.name)
