"""Files that are either whole or absent, and their checksums."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from natlab.errors import UserError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # no room: on the disk, within the quota, for so large a file


@contextmanager
def room_for(path: str | Path) -> Iterator[None]:
    """Turn a full disk while ``path`` is written into UserError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause = error.__context__ if isinstance(error, RuntimeError) else error  # torch.save raises its own over it
        if isinstance(cause, OSError) and cause.errno in FULL:
            raise UserError(f"{path}: cannot be written: {os.strerror(cause.errno)}; make room, run again") from error
        raise


@contextmanager
def written_aside(path: str | Path, mode: str = "w") -> Iterator[IO]:
    """Open ``path`` for writing beside itself; it appears under its name only when the block ends without an error.

    UserError if the disk is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with room_for(path), open(aside, mode, **text) as file:
            yield file
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all."""
    with written_aside(path) as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
        file.write("\n")


def read_json(path: str | Path) -> Any:
    """The value of a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def sha256(path: str | Path) -> str:
    """The hexadecimal SHA-256 of a file's bytes, read as a stream."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lines(path: str | Path) -> Iterator[str]:
    """The lines of a UTF-8 file without their newline; only ``\\n`` ends a line (not U+2028 and the like)."""
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.rstrip("\n")
