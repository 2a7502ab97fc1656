"""The criterion: `natlab.losses.batch` in fairseq's terms."""

from dataclasses import dataclass
from math import log

import torch
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics

from natlab.losses.batch import batch_loss
from natlab.losses.interface import BITS
from natlab.training import lineage

SUM, COUNT = "sum of ", "count of "  # of a named value, in what is logged


@dataclass
class NatlabCriterionConfig(FairseqDataclass):
    """Nothing: the task's spec says it all."""


@register_criterion("natlab", dataclass=NatlabCriterionConfig)
class NatlabCriterion(FairseqCriterion):
    """Sums over a batch; the sample size is the number of predicted tokens, so accumulation weighs them alike."""

    def __init__(self, task):
        super().__init__(task)
        self.spec, self.method = task.spec, task.method

    def forward(self, model, sample, reduce=True):
        training = self.spec["training"]
        loss = batch_loss(
            model.net,
            sample["net_input"]["src_tokens"],
            sample["target"],
            self.method,
            progress=min(1.0, model.updates / training["updates"]),
            smoothing=training["label_smoothing"] if model.training else 0.0,
            candidates=sample.get("candidates"),
        )
        predicted = int(loss.predicted.sum())
        # An infinite loss can have finite gradients; it must not, so that all processes see it and skip the update.
        whole = torch.where(loss.loss.isfinite(), 1.0, torch.nan).detach() * loss.loss
        logging = {
            "loss": loss.loss.detach(),
            "ntokens": int(loss.tokens.sum()),
            "nsentences": len(sample["target"]),
            "sample_size": predicted,
        }
        for name, value in loss.values.items():
            key = f"{name}_loss" if value.unit == BITS else f"{name}_{value.unit}"
            logging |= {SUM + key: value.sums.sum(), COUNT + key: int(value.counts.sum())}
        if "candidates" in sample:
            supplied = lineage.shares(loss.proxied.target, sample["candidates"]["candidates"], model.net.config.pad)
            logging |= {f"lineage_{i}": count for i, count in enumerate(supplied.flatten().tolist())}
        return whole, predicted, logging

    @staticmethod
    def reduce_metrics(logging_outputs):
        def total(key):
            return sum(float(output[key]) for output in logging_outputs if key in output)

        size = total("sample_size")
        metrics.log_scalar("loss", total("loss") / max(1, size) / log(2), size, round=5)
        for key in dict.fromkeys(key for output in logging_outputs for key in output if key.startswith(SUM)):
            name = key.removeprefix(SUM)
            count = total(COUNT + name)
            unit = log(2) if name.endswith("_loss") else 1
            metrics.log_scalar(name, total(key) / max(1, count) / unit, count, round=5)
        counts = [key for key in logging_outputs[0] if key.startswith("lineage_")]
        for key in counts:
            metrics.log_scalar_sum(f"_{key}", sum(float(output[key]) for output in logging_outputs))
        if counts:
            buckets = len(lineage.LONGEST) + 1

            def table(meters):
                flat = [round(float(meters[f"_{key}"].sum), 3) for key in counts]
                return [flat[i : i + buckets] for i in range(0, len(flat), buckets)]

            metrics.log_derived("lineage", table)

    @staticmethod
    def logging_outputs_can_be_summed():
        return True
