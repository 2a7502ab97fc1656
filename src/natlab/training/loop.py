"""The training loop: fairseq's trainer, update by update, from a checkpoint to the last update.

fairseq's own loop dies of the first loss that is not finite, forgets its early-stopping counter and overwrites its last
checkpoint in place. Here all state lies in the checkpoint: resumed anywhere, a training takes the same steps.
"""

import copy
import dataclasses
import json
import logging
import math
import os
import time
from pathlib import Path
from typing import Any

import numpy
import torch
from fairseq import options, tasks, utils
from fairseq.data.iterators import GroupedIterator
from fairseq.dataclass.configs import FairseqConfig
from fairseq.dataclass.utils import merge_with_parent
from fairseq.distributed import utils as distributed_utils
from fairseq.logging import metrics
from fairseq.optim.lr_scheduler import LR_SCHEDULER_DATACLASS_REGISTRY
from fairseq.trainer import Trainer
from omegaconf import OmegaConf

from natlab.errors import UserError
from natlab.losses.batch import unaided
from natlab.training import lock
from natlab.training.curve import Curve
from natlab.training.interruption import Interruption
from natlab.training.resume import Checkpoints, merit, validations_since_best

REPORTS = 5  # of training between two validations

log = logging.getLogger(__name__)


class NotFinite(Exception):
    """The gradient of an update is not finite."""


class CheckedTrainer(Trainer):
    """fairseq's trainer, but it leaves the parameters alone where the gradient is not finite, and its checkpoints hold
    no settings: the spec stands beside them."""

    def state_dict(self):
        return {**super().state_dict(), "cfg": None}

    def _set_seed(self):
        """fairseq's seed of the next update. On a CPU not for GPUs, too: torch would note that down, stack and all, for
        the day that it finds some, a millisecond and some kilobytes an update."""
        if self.cuda:
            super()._set_seed()
        else:
            torch.default_generator.manual_seed(self.cfg.common.seed + self.get_num_updates())

    def clip_grad_norm(self, clip_norm):
        norm = super().clip_grad_norm(clip_norm)
        if not torch.isfinite(norm):  # the same in all processes: their gradients have been added up
            raise NotFinite
        return norm


def settings(arguments: list[str]) -> FairseqConfig:
    """fairseq's settings for the command line of `fairseq-train`: what `convert_namespace_to_omegaconf` makes of it, as
    plain dataclasses. Hydra takes more than a second to compose them, and omegaconf 4 ms an update to read them."""
    parsed = options.parse_args_and_arch(options.get_training_parser(), arguments)
    made = FairseqConfig()
    for section in dataclasses.fields(made):
        default = getattr(made, section.name)
        setattr(made, section.name, default.from_namespace(parsed) if dataclasses.is_dataclass(default) else parsed)
    # the conversion from text of what may refer to another setting is left to omegaconf
    schedule = LR_SCHEDULER_DATACLASS_REGISTRY[parsed.lr_scheduler]()
    given = {name: value for name, value in vars(parsed).items() if hasattr(schedule, name)}
    made.lr_scheduler = merge_with_parent(schedule, OmegaConf.create({**given, "_name": parsed.lr_scheduler}))
    return made


def train(arguments: list[str], **state: Any) -> None:
    """Train by the command line of `fairseq-train`, as one of several processes if torch's launcher started it.

    ``state`` is what `Training` takes.
    """
    config = settings(arguments)
    if config.distributed_training.distributed_world_size > 1:
        distributed_utils.call_main(config, lambda config: Training(config, **state).run())
    else:
        Training(config, **state).run()


class Training:
    """One training, or one process' part of it.

    config: fairseq's; checkpoints, curve: where its state and reports go; resume: the checkpoint to go on from;
    holder: who holds the folder's lock; interruption: what may ask it to end; skip_limit: how many updates it may skip
    because their loss or gradient is not finite.
    """

    def __init__(
        self,
        config: Any,
        checkpoints: Checkpoints,
        curve: Curve,
        resume: Path | None,
        holder: dict,
        interruption: Interruption,
        skip_limit: int,
    ):
        self.checkpoints, self.curve, self.holder = checkpoints, curve, holder
        self.interruption, self.skip_limit = interruption, skip_limit
        metrics.reset()
        numpy.random.seed(config.common.seed)
        utils.set_torch_seed(config.common.seed)
        task = tasks.setup_task(config.task)
        model, criterion = task.build_model(config.model), task.build_criterion(config.criterion)
        self.config, self.spec = config, task.spec["training"]
        # whether checkpoints are chosen by the loss of what a teacher makes of the validation sources
        self.by_teacher = self.spec.get("select") == "loss" and "teacher" in task.spec["target"]
        for split in ("valid", *(["valid_kd"] if self.by_teacher else [])):
            task.load_dataset(split)
        self.trainer = CheckedTrainer(config, task, model, criterion)
        self.world = self.trainer.data_parallel_world_size
        self.saving = 0.0  # seconds that the slowest save took
        self.validations: list[tuple[int, float]] = []
        self.skipped = 0
        self.position = {"epoch": 1, "iterations_in_epoch": 0, "version": 2, "shuffle": True}
        if model.continues:  # it has the other model's parameters until a checkpoint replaces them
            self.learn_of_start(task)
        if resume:
            extra = self.trainer.load_checkpoint(str(resume))
            self.position = extra["train_iterator"]
            self.validations, self.skipped = extra["validations"], extra["skipped"]
            metrics.load_state_dict(extra["metrics"])  # which the trainer does not do at the start of an epoch
            log.info("resuming from %s", resume)
        self.batches = self.trainer.get_train_iterator(self.position["epoch"])
        own = self.position["iterations_in_epoch"] // self.world  # a position counts the batches of all processes
        self.batches.load_state_dict({**self.position, "iterations_in_epoch": own})
        if self.trainer.is_data_parallel_master:
            self.curve.cut(self.updates, self.validated)

    def learn_of_start(self, task: Any) -> None:
        """Give terms what they ask of the model that this training starts from (`natlab.losses.interface.Term`), and an
        input that asks for it that model."""
        if task.method and hasattr(task.method.input, "started_from"):
            task.method.input.started_from = copy.deepcopy(self.trainer.model.net).eval()
        asked = [timed.term for timed in task.method.terms if hasattr(timed.term, "of_start")] if task.method else []
        asked = [term for term in asked if getattr(term, term.of_start) is None]
        if not asked:
            return
        self.trainer.model.eval()
        nats, tokens = 0.0, 0
        for sample in self.trainer.get_valid_iterator("valid").next_epoch_itr(shuffle=False, set_dataset_epoch=False):
            if not sample:  # the other processes have one more
                continue
            sample, _ = self.trainer._prepare_sample(sample)
            source, candidates = sample["net_input"]["src_tokens"], sample.get("candidates")
            cost, lengths = unaided(self.trainer.model.net, source, sample["target"], task.method, candidates)
            possible = cost.isfinite()
            nats, tokens = nats + float(cost[possible].sum()), tokens + int(lengths[possible].sum())
        found = self.gathered((nats, tokens))
        bits = sum(nats for nats, _ in found) / max(1, sum(tokens for _, tokens in found)) / math.log(2)
        for term in asked:
            setattr(term, term.of_start, bits)
        log.info("the model to start from costs %.3f bits a token on the validation set", bits)

    @property
    def updates(self) -> int:
        return self.trainer.get_num_updates()

    @property
    def validated(self) -> bool:
        """Whether the validation after the last update has been done."""
        return bool(self.validations) and self.validations[-1][0] == self.updates

    @property
    def over(self) -> bool:
        patience = self.spec.get("patience")
        stale = patience is not None and validations_since_best(self.validations) >= patience
        return self.updates >= self.spec["updates"] or stale

    def run(self) -> None:
        """Train to the end. Saves and exits with status 75 (EX_TEMPFAIL) if asked to end before."""
        self.validate_if_due()  # the checkpoint may have been saved before its validation
        if self.config.task.start and not self.updates:  # what it starts from, which the curve begins with
            self.report("valid", self.validate())
        while not self.over:
            epoch = self.batches.next_epoch_itr(shuffle=True)
            self.trainer.begin_epoch(self.batches.epoch)
            for samples in GroupedIterator(epoch, self.config.optimization.update_freq[0]):
                self.end_if_asked()
                if self.update(samples):
                    self.report_if_due()
                    self.validate_if_due()
                if self.over:
                    return
            self.trainer.lr_step(self.batches.epoch)
            self.batches = self.trainer.get_train_iterator(self.batches.next_epoch_idx, load_dataset=False)

    def update(self, samples: list[dict]) -> bool:
        """One update from the gradients of several batches; False if it was skipped."""
        # Where batches run out, fairseq fills up with empty ones; one after full ones would undo their count of tokens.
        samples = [sample for sample in samples if sample] or samples
        try:
            with metrics.aggregate("train_inner"):
                self.trainer.train_step(samples)
            made = True
        except NotFinite:
            self.skip(samples)
            made = False
        self.position = self.batches.state_dict()
        self.position["iterations_in_epoch"] *= self.world
        return made

    def skip(self, samples: list[dict]) -> None:
        """Count an update that is not made, and name its sentences; UserError when there have been too many."""
        self.skipped += 1
        sentences = sorted(identity for found in self.gathered(self.offenders(samples)) for identity in found)
        what = (
            f"update {self.updates + 1}: loss or gradient is not finite in the batch of the training sentences "
            f"{', '.join(map(str, sentences))} (ids, from 0)"
        )
        if self.skipped > self.skip_limit:
            kept = [self.checkpoints.path(update).name for update in self.checkpoints.updates()[:1]]
            raise UserError(
                f"{self.checkpoints.folder}: {what}; {self.skip_limit} updates were skipped before it; lower the "
                f"learning rate, mend the sentences or raise skip_limit (last good: {''.join(kept) or 'none'})"
            )
        if self.trainer.is_data_parallel_master:
            log.warning("%s; skipped (%d of %d allowed)", what, self.skipped, self.skip_limit)

    @torch.no_grad()
    def offenders(self, samples: list[dict]) -> list[int]:
        """The sentences of the batches whose loss is not finite; of all if only a gradient is not."""
        self.trainer._set_seed()  # the same dropout again
        broken = []
        for sample in samples:
            prepared, empty = self.trainer._prepare_sample(sample)
            loss, _, _ = self.trainer.criterion(self.trainer.model, prepared)
            if not empty and not torch.isfinite(loss):
                broken.append(sample)
        everywhere = sum(self.gathered(len(broken)))
        return [int(identity) for sample in (broken if everywhere else samples) if sample for identity in sample["id"]]

    def report_if_due(self) -> None:
        if self.updates % max(1, self.spec["validate_every"] // REPORTS) == 0:
            self.report("train", metrics.get_smoothed_values("train_inner"))
            metrics.reset_meters("train_inner")

    def validate_if_due(self) -> None:
        due = self.updates > 0 and (self.updates % self.spec["validate_every"] == 0 or self.over)
        if not due or self.validated:
            return
        values = self.validate()
        self.validations.append((self.updates, merit(values, self.spec.get("select", "score"))))
        self.report("valid", values)
        self.save()

    def validate(self) -> dict[str, float]:
        """Loss and BLEU on the validation set, or what the task finds instead, and, where checkpoints are chosen by it,
        the loss of its distilled targets."""
        values = self.validate_on("valid")
        values |= self.trainer.task.found(self.trainer.model.net, "valid")
        if self.by_teacher:
            values["kd_loss"] = self.validate_on("valid_kd")["loss"]
        return values

    def validate_on(self, split: str) -> dict[str, float]:
        """What a split gives, with the same random numbers each time."""
        self.trainer.task.validating = split
        utils.set_torch_seed(self.config.dataset.fixed_validation_seed)
        self.trainer.model.set_num_updates(self.updates)
        samples = self.trainer.get_valid_iterator(split).next_epoch_itr(shuffle=False, set_dataset_epoch=False)
        with metrics.aggregate(new_root=True) as reported:
            for sample in samples:
                self.end_if_asked()
                self.trainer.valid_step(sample)
        return reported.get_smoothed_values()

    def report(self, subset: str, values: dict[str, float]) -> None:
        if self.trainer.is_data_parallel_master:
            values = {**values, "wall": round(float(self.trainer.cumulative_training_time()), 1)}
            self.curve.report(subset, self.updates, values)
            shown = {
                key: value
                for key, value in values.items()
                if key in ("bleu", "wps") or key.endswith(("loss", "_share"))
            }
            log.info("update %d of %d, %s: %s", self.updates, self.spec["updates"], subset, json.dumps(shown))

    def save(self) -> None:
        """Write a checkpoint, from the first of several processes."""
        if not self.trainer.is_data_parallel_master:
            return
        lock.check(self.checkpoints.folder, self.holder)
        self.trainer.consolidate_optimizer()
        state = self.trainer.state_dict()
        state["extra_state"].update(train_iterator=self.position, validations=self.validations, skipped=self.skipped)
        start = time.monotonic()
        self.checkpoints.save(utils.move_to_cpu(state), self.updates)
        self.saving = max(self.saving, time.monotonic() - start)

    def end_if_asked(self) -> None:
        """Save and exit if this process or another one of the training was asked to end."""
        reason = self.interruption.reason(self.saving)
        asked = reason is not None
        if self.world > 1:
            flag = torch.tensor(int(asked), device=self.trainer.device)
            torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
            asked = bool(flag)
        if not asked:
            return
        if self.updates:
            self.save()
        if self.trainer.is_data_parallel_master:
            why = reason or "another process was asked to end"
            log.warning("%s: saved at update %d of %d; run again to go on", why, self.updates, self.spec["updates"])
        raise SystemExit(os.EX_TEMPFAIL)

    def gathered(self, value: Any) -> list[Any]:
        """What each process has for ``value``."""
        if self.world == 1:
            return [value]
        values = [None] * self.world
        torch.distributed.all_gather_object(values, value)
        return values
