"""One process at a time in a folder of checkpoints, on one machine or on several that share its disk.

The lock is a file that says who holds it; a thread touches it as long as its process lives. A holder that was killed
leaves it behind: on the same machine its process is gone, on another it has been silent for too long.
"""

import fcntl
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from natlab.errors import UserError
from natlab.files import read_json, write_json
from natlab.processes import alive, birth

HEARTBEAT = 20  # seconds between two signs of life
POLL = 1  # seconds between two looks at a lock that somebody else holds

log = logging.getLogger(__name__)


def holder_of_this_process() -> dict:
    """What this process writes into a lock: host, pid, birth, when it took the lock, and its Slurm job's id."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "birth": birth(os.getpid()),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "job": os.environ.get("SLURM_JOB_ID"),
    }


def named(holder: dict) -> str:
    """A holder as a person would look for it."""
    job = f", Slurm job {holder['job']}" if holder.get("job") else ""
    return f"process {holder['pid']} on {holder['host']}{job}, since {holder['started']}"


def check(folder: Path, holder: dict) -> None:
    """Raise UserError unless ``holder`` holds the folder's lock: before anything is written there."""
    found = _read(folder / "lock")
    if found != holder:
        who = named(found) if found else "nobody"
        raise UserError(f"{folder}: the lock was taken from this process, now held by {who}; end one of the two")


class Lock:
    """A folder's lock, as a context manager: entering waits until it is free, and says for whom.

    ``pause`` is called now and then while waiting, and may end that by an exception. ``holder`` is what the file holds.
    """

    def __init__(self, folder: Path, pause: Callable[[], None] = lambda: None):
        self.folder, self.path = folder, folder / "lock"
        self.pause = pause
        self.holder = holder_of_this_process()
        self._released = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="lock", daemon=True)

    def __enter__(self) -> "Lock":
        waited_for = None
        while (other := self._take()) is not None:
            if other != waited_for:
                log.warning("%s: waiting for %s, which trains the same model", self.folder, named(other))
                waited_for = other
            self.pause()
            time.sleep(POLL)
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._heart.join()
        if _read(self.path) == self.holder:
            self.path.unlink()

    def _take(self) -> dict | None:
        """Take the lock unless somebody alive holds it: then who."""
        # Two that find the same dead holder must not both take over. A flock ends with its process, but some shared
        # disks know it on one machine only or not at all: so it guards this moment, and the file all the training.
        with open(self.folder / "lock.guard", "wb") as guard:
            with suppress(OSError):
                fcntl.flock(guard, fcntl.LOCK_EX)
            other = _read(self.path)
            if other is not None:
                os.utime(guard.fileno())  # the disk's clock, which the lock's time is of: machines' clocks differ
                silent = os.fstat(guard.fileno()).st_mtime - self.path.stat().st_mtime
                if alive(other, silent):
                    return other
                log.warning("%s: taking over from %s, which has died", self.folder, named(other))
            write_json(self.path, self.holder)
        return None

    def _beat(self) -> None:
        while not self._released.wait(HEARTBEAT):
            with suppress(OSError):
                if _read(self.path) == self.holder:
                    os.utime(self.path)


def _read(path: Path) -> dict | None:
    """A lock's holder; None where there is no lock, or one that a full disk or a crash left empty."""
    try:
        return read_json(path)
    except (FileNotFoundError, json.JSONDecodeError):
        return None
