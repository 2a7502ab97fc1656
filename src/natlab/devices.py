"""A machine's jobs share its GPUs: a job claims its own by lock files and sees no others.

Snakemake limits how many jobs ask for GPUs at once, but tells none of them which to use. Rules state how many a job
asks for in the variable ``NATLAB_GPUS``, and every verb claims them before it starts. Inside a job of Slurm, which has
given it its GPUs, nothing is claimed.

Jobs may also share a GPU: with ``NATLAB_JOBS_PER_GPU`` each GPU takes so many of them. One that does not share waits
for all that do, and they for it.
"""

import fcntl
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from natlab.errors import UserError

ASKED, VISIBLE, SHARING = "NATLAB_GPUS", "CUDA_VISIBLE_DEVICES", "NATLAB_JOBS_PER_GPU"


def claim(alone: bool = False) -> None:
    """Leave this process, and those it starts, as many GPUs visible as ``NATLAB_GPUS`` says, held by no other job or,
    unless it must be ``alone``, by fewer than ``NATLAB_JOBS_PER_GPU`` says.

    Waits until so many are free; they are this process's until it ends, however it ends. 0 hides all GPUs. Without
    ``NATLAB_GPUS``, and where Slurm has left no more visible than that, ``CUDA_VISIBLE_DEVICES`` stays what it is.
    Must be called before CUDA starts. Raises UserError where fewer GPUs are visible than asked for.
    """
    # Taken out: what this process starts has its GPUs already.
    asked = os.environ.pop(ASKED, None)
    if asked is None:
        return
    if not asked.isdecimal():
        raise UserError(f"{ASKED}: '{asked}' is no number of GPUs; give 0, 1, 2, ...")
    jobs = os.environ.get(SHARING, "1")
    if not jobs.isdecimal() or not int(jobs):
        raise UserError(f"{SHARING}: '{jobs}' is no number of jobs; give 1, 2, ..., or leave it unset for 1")
    count, devices, jobs = int(asked), visible(), 1 if alone else int(jobs)
    if count > len(devices):
        raise UserError(
            f"{ASKED}: the job takes {count}, and {len(devices)} are visible here; run it where there are more, "
            "or take a scale of fewer gpus"
        )
    if count and count == len(devices) and "SLURM_JOB_ID" in os.environ:
        return
    os.environ[VISIBLE] = ",".join(_locked(devices, count, jobs))


def visible() -> list[str]:
    """The GPUs that CUDA would show this process: what ``CUDA_VISIBLE_DEVICES`` names or, without it, their numbers."""
    chosen = os.environ.get(VISIBLE)
    if chosen is not None:
        names = (name.strip() for name in chosen.split(","))
        # CUDA heeds nothing from the first name on that is no device
        return list(takewhile(lambda name: name not in ("", "-1", "NoDevFiles"), names))
    try:
        command = ["nvidia-smi", "--list-gpus"]
        listing = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace").stdout
    except OSError:
        return []
    return [str(number) for number, _ in enumerate(line for line in listing.splitlines() if line.startswith("GPU "))]


def _locked(devices: list[str], count: int, jobs: int) -> list[str]:
    """The first ``count`` of ``devices`` with the fewest jobs, at most ``jobs`` each, locked until this process ends;
    waits until there are so many."""
    said = False
    while True:
        held: dict[str, list[int]] = {}
        for slot in range(jobs):
            for device in devices:
                if len(held) < count and device not in held and (locks := _lock(device, slot, jobs)) is not None:
                    held[device] = locks
        if len(held) == count:
            return [device for device in devices if device in held]
        # Two jobs that each hold what the other lacks would wait for ever.
        for lock in (lock for locks in held.values() for lock in locks):
            os.close(lock)
        if not said:
            print(f"waiting until {count} of the GPUs {', '.join(devices)} are free", file=sys.stderr, flush=True)
            said = True
        time.sleep(1 + random.random())


def _lock(device: str, slot: int, jobs: int) -> list[int] | None:
    """The open locks of one of a device's places for jobs, or None where another process holds it; the kernel frees
    them when their holder ends. Jobs that share a device hold it together, each with a place of its own."""
    name = f"natlab-gpu-{device.replace('/', '-')}"
    whole = _held(f"{name}.lock", fcntl.LOCK_EX if jobs == 1 else fcntl.LOCK_SH)
    if whole is None or jobs == 1:
        return None if whole is None else [whole]
    place = _held(f"{name}.{slot}.lock", fcntl.LOCK_EX)
    if place is None:
        os.close(whole)
        return None
    return [whole, place]


def _held(name: str, kind: int) -> int | None:
    """An open lock file, held exclusively or with others (``kind``), or None where another process' lock forbids it.

    All users of the machine share the file: whoever makes it lets everybody read it, whatever the umask. UserError
    where somebody else's may not be read.
    """
    path = Path(tempfile.gettempdir()) / name
    if not path.exists():
        handle, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.fchmod(handle, 0o644)
        os.close(handle)
        with suppress(FileExistsError):
            os.link(made, path)  # with its mode, or not at all
        os.unlink(made)
    try:
        lock = os.open(path, os.O_RDONLY)
    except PermissionError:
        raise UserError(
            f"{path}: another user's, who lets nobody read it; have it removed, or its mode set to 644"
        ) from None
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
