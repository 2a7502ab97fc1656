"""Whether a process that left its name in a file still runs, on this machine or on another that shares the disk."""

import json
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

SILENCE = 300  # seconds without a sign of life after which a process on another machine is taken for dead


def birth(pid: int) -> str | None:
    """When a process of this machine started, in the kernel's ticks since boot; None if it does not run.

    The kernel uses a pid again; pid and birth together name a process. Without /proc, the pid has to do.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        with suppress(PermissionError):  # it runs, and is another user's
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return None
        return ""
    state, *rest = stat.rsplit(")", 1)[1].split()
    return None if state in "ZX" else rest[18]  # a zombie has ended; its parent has not asked yet


def alive(holder: Mapping[str, Any], silent: float) -> bool:
    """Whether a lock's holder lives, given for how many seconds it has shown no sign of it."""
    if holder["host"] == socket.gethostname():
        return birth(holder["pid"]) == holder["birth"]
    return silent < SILENCE


def held(lock: Path, silent: float) -> bool:
    """Whether the holder that a lock's file names lives, given for how many seconds it has shown no sign of it; False
    where there is no such file, or one that is being written."""
    try:
        return alive(json.loads(lock.read_text(encoding="utf-8")), silent)
    except (FileNotFoundError, json.JSONDecodeError):
        return False
