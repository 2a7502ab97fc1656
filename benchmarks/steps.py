"""Steps of several systems on the same batches, in turn, by natlab's trainer."""

import copy
import itertools
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.dynamic import now
from benchmarks.training import trainer
from natlab.files import write_json


def milliseconds(specs: Mapping[str, Mapping[str, Any]], data: str, settle: int, updates: int) -> dict[str, float]:
    """The median of milliseconds a step (of CPU time without a GPU) of each of ``specs``, training specifications of
    systems with the same parameters or, where ``settle`` is 0, any. The first is trained for ``settle`` updates, from
    where all go on."""
    from natlab.training.train import fairseq_arguments

    trained = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, spec in specs.items():
            write_json(Path(folder) / "spec.json", spec)
            trained[name] = trainer(fairseq_arguments(dict(spec), data, Path(folder)), natlab=True)
            trained[name].begin_epoch(1)
        first = next(iter(trained.values()))
        batches = first.get_train_iterator(epoch=1).next_epoch_itr(shuffle=True)
        samples = list(itertools.islice(batches, settle + updates))
    for sample in samples[:settle]:
        first.train_step([copy.copy(sample)])
    if settle:
        for one in trained.values():
            one.model.load_state_dict(first.model.state_dict())
    seconds: dict[str, list[float]] = {name: [] for name in trained}
    for sample in samples[settle:]:
        for name, one in trained.items():
            start = now()
            one.train_step([copy.copy(sample)])
            seconds[name].append(now() - start)
    return {name: 1000 * statistics.median(spent) for name, spent in seconds.items()}


def measured(spent: Mapping[str, float], over: str, updates: int) -> dict[str, Any]:
    """What is printed of them: with the ratios to ``over``'s."""
    return {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "updates": updates,
        "ms_per_step": dict(spent),
        f"over_{over}": {name: each / spent[over] for name, each in spent.items()},
    }
