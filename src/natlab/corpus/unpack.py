"""Members of an archive (zip, tar, tgz, …) as files of a folder, and nothing outside that folder."""

import posixpath
import shutil
import stat
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

from natlab.corpus.text import AGAIN, DAMAGED
from natlab.errors import UserError


def unpack(archive: str | Path, folder: str | Path, members: Iterable[str]) -> dict[str, Path]:
    """Write the named members of ``archive`` under ``folder``; returns {member: its file}.

    Only regular files are ever written, and no link is followed. The whole archive is refused when any entry is named,
    or any link points, outside the folder. Raises UserError for that, for a damaged archive, and for a member that is
    not there.
    """
    wanted = {member: _normal(member) for member in members}
    found: dict[str, Path] = {}
    try:
        for name, target, opener in _entries(Path(archive)):
            if _leaves(name) or _leaves(target):
                raise UserError(f"{archive}: entry {name!r} points outside its folder; do not trust this archive")
            if (member := _normal(name)) in wanted.values() and opener is not None:
                found[member] = Path(folder) / member
                found[member].parent.mkdir(parents=True, exist_ok=True)
                with opener() as file, open(found[member], "wb") as out:
                    shutil.copyfileobj(file, out)
    except FileNotFoundError:
        raise UserError(f"{archive}: no such file; fetch it first") from None
    except (*DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's, not the archive's
        raise UserError(f"{archive}: damaged or truncated archive ({' '.join(str(error).split())}); {AGAIN}") from None
    except RuntimeError as error:  # zipfile's, of a password or a compression that it does not know
        raise UserError(f"{archive}: cannot be read ({error}); pack its files anew and put that in a mirror") from None
    if missing := sorted(member for member, name in wanted.items() if name not in found):
        raise UserError(f"{archive}: has no file {', '.join(missing)}; correct the member's name in the dataset file")
    return {member: found[name] for member, name in wanted.items()}


def _normal(name: str) -> str:
    """An entry's name as a dataset file gives it: without ``./``, with ``/`` (some zips have ``\\``), letters composed
    (macOS takes them apart)."""
    return unicodedata.normalize("NFC", posixpath.normpath(name.replace("\\", "/")))


def _leaves(name: str) -> bool:
    normal = _normal(name)
    return normal.startswith("/") or normal == ".." or normal.startswith("../") or normal[1:2] == ":"


def _entries(archive: Path) -> Iterator[tuple[str, str, Callable[[], IO[bytes]] | None]]:
    """(name, what a link points to, how to open its bytes) of every entry, in one pass.

    Both paths are from the archive's root, and the same unless the entry is a link; only regular files can be opened.
    """
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if stat.S_ISLNK(info.external_attr >> 16):
                    link = opened.read(info).decode("utf-8", "replace")
                    yield info.filename, posixpath.join(posixpath.dirname(info.filename), link), None
                else:
                    yield info.filename, info.filename, None if info.is_dir() else partial(opened.open, info)
    else:
        with tarfile.open(archive) as opened:
            for info in opened:
                target = info.linkname if info.islnk() else info.name
                if info.issym():
                    target = posixpath.join(posixpath.dirname(info.name), info.linkname)
                yield info.name, target, partial(opened.extractfile, info) if info.isreg() else None
