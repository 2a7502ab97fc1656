"""One of several trainings at once: prints how many updates a second it makes while all of them train.

    python -m benchmarks.gpu.shared DATA SECONDS COUNT FOLDER SYSTEM

FOLDER/SYSTEM is its specification; there the COUNT of them say to each other that they train.
"""

import itertools
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.training import now, trainers
from natlab.files import read_json

FIRST = 3  # updates that do not count


def updates(trained) -> Iterator[float]:
    """When each update of a trainer was over, from epoch to epoch."""
    for epoch in itertools.count(1):
        batches = trained.get_train_iterator(epoch=epoch).next_epoch_itr(shuffle=True)
        trained.begin_epoch(epoch)
        for sample in batches:
            trained.train_step([sample])
            yield now()


def main() -> None:
    data, seconds, count, folder, system = (
        sys.argv[1],
        float(sys.argv[2]),
        int(sys.argv[3]),
        Path(sys.argv[4]),
        sys.argv[5],
    )
    logging.disable(logging.WARNING)
    [trained] = trainers(read_json(folder / system), data, ("natlab bf16",)).values()
    began, made = None, 0
    for number, at in enumerate(updates(trained)):
        if number == FIRST:
            (folder / f"training.{os.getpid()}").touch()
        if began is not None:
            made += 1
            if at - began > seconds:
                break
        elif number >= FIRST and len(list(folder.glob("training.*"))) == count:
            began = at
    print(made / (at - began))


if __name__ == "__main__":
    main()
