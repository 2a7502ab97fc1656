"""`natlab fetch`: one file from its public address, or from a mirror, checked and whole or absent.

The environment variable ``NATLAB_MIRROR`` names a folder or an HTTP address laid out as ``host/path``; a file found
there is taken instead of the network's, and must have the same checksum.
"""

import argparse
import bz2
import gzip
import http.client
import lzma
import os
import re
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO

from natlab.corpus.dataset import address, request_url
from natlab.corpus.text import DAMAGED
from natlab.errors import UserError
from natlab.files import sha256, written_aside

UNVERIFIED = "unverified"
TIMEOUT = 60  # seconds without a byte
BLOCK = 1 << 20
RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")  # Content-Range: from, of how many
PASSING = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses worth another attempt


def fetch(
    url: str, checksum: str, out: str | Path, mirror: str | None = None, attempts: int = 5, backoff: float = 1.0
) -> None:
    """Fetch ``url`` to ``out``, from ``mirror`` when it has the file.

    ``checksum``: its SHA-256, or "unverified": then the first download's is recorded in ``<out>.sha256``, if it is what
    its name says, and any later download must have it. A broken download is tried up to ``attempts`` times with pauses
    of ``backoff``, 2, 4, … times as long (seconds); it is resumed where it stopped (HTTP Range) if the server tells
    versions of the file apart (ETag) or a checksum does, then also across calls.

    Raises UserError: no such file, no answer, wrong checksum, something else than the name says.
    """
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    record = out.with_name(out.name + ".sha256")
    part = out.with_name(f".{out.name}.part")
    expected = checksum
    if checksum == UNVERIFIED:
        expected = record.read_text(encoding="utf-8").split()[0] if record.exists() else None
        if expected is None:
            part.unlink(missing_ok=True)  # nothing could tell a part of an older version
    source, joined = _get(url, part, mirror, attempts, backoff, known=expected is not None)
    actual = sha256(part)
    if joined and expected not in (None, actual):  # of parts of two versions, perhaps
        part.unlink()
        source, _ = _get(url, part, mirror, attempts, backoff, known=False)
        actual = sha256(part)
    if actual != expected:
        if problem := _unlike(out.name, part):
            part.unlink()
            raise UserError(
                f"{source}: {problem}; correct the address, put the file in a mirror (NATLAB_MIRROR) as "
                f"{address(url)}, or give its sha256 in the dataset file if it is right"
            )
        if expected is not None:
            part.unlink()
            given, change = "the dataset file gives", "correct the dataset file"
            if checksum == UNVERIFIED:
                given, change = f"recorded at the first download in {record}", f"delete {record}"
            raise UserError(
                f"{source}: wrong checksum: sha256 {actual}, {given}: {expected}; if this one is right, {change} and "
                "run again"
            )
        with written_aside(record) as file:
            file.write(f"{actual}  {out.name}\n")
    os.replace(part, out)


def _unlike(name: str, path: Path) -> str | None:
    """Why a file cannot be what its name says: a web page, a notice or half an archive came instead; None if it can."""
    with open(path, "rb") as file:
        head = file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")) and not name.lower().endswith((".html", ".htm", ".xhtml")):
        return "a web page came instead of the file (a login, a notice?)"
    if not head:
        return "the file is empty"
    suffix = next((suffix for suffix in WHOLE if name.lower().endswith(suffix)), None)
    try:
        return WHOLE[suffix](path) if suffix else None
    except (*DAMAGED, OSError, RuntimeError) as error:
        return f"what came is no whole {suffix[1:]} file ({' '.join(str(error).split())})"


def _tested(path: Path) -> str | None:
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
        return damaged and f"what came is no whole zip file ({damaged} in it is damaged)"


def _listed(path: Path) -> None:
    with tarfile.open(path) as archive:
        archive.getmembers()


def _read(path: Path, opener: Callable[..., IO[bytes]]) -> None:
    with opener(path) as file:
        while file.read(BLOCK):
            pass


# how a file whose name ends so is tried to its end: an error, or what is returned, says that it is not whole
WHOLE = {
    **dict.fromkeys((".gz", ".tgz"), partial(_read, opener=gzip.open)),
    **dict.fromkeys((".bz2", ".tbz2"), partial(_read, opener=bz2.open)),
    **dict.fromkeys((".xz", ".txz"), partial(_read, opener=lzma.open)),
    ".tar": _listed,
    ".zip": _tested,
}


def _get(url: str, part: Path, mirror: str | None, attempts: int, backoff: float, known: bool) -> tuple[str, bool]:
    """Fill ``part`` from the mirror or the address; returns which one it was, and what `_download` does."""
    if mirror and "://" in mirror:
        mirrored = f"{mirror.rstrip('/')}/{address(url)}"
        joined = _download(mirrored, part, attempts, backoff, known)
        if joined is not None:
            return mirrored, joined
    elif mirror and (mirrored := Path(mirror) / address(url)).is_file():
        shutil.copyfile(mirrored, part)
        return str(mirrored), False
    try:
        joined = _download(url, part, attempts, backoff, known)
    except UserError as error:
        if not mirror:
            raise
        raise UserError(f"{error}; the mirror NATLAB_MIRROR={mirror} has no {address(url)}") from None
    if joined is None:
        raise UserError(
            f"{url}: no such file on the server; correct the address in the dataset file, or put the file in a mirror "
            f"(NATLAB_MIRROR) as {address(url)}"
        )
    return url, joined


def _download(url: str, part: Path, attempts: int, backoff: float, known: bool) -> bool | None:
    """Download to ``part``; returns whether it joins parts of several answers, or None where there is no such file.

    What is there is resumed if the file's checksum is ``known``, so that a wrong joint will be found, or if the server
    has given the file a strong ETag, which says that it is still the same.
    """
    version, joined = "", False
    for attempt in range(attempts):
        if attempt:
            time.sleep(backoff * 2 ** (attempt - 1))
        have = part.stat().st_size if part.exists() and (known or version) else 0
        headers = {"User-Agent": "natlab", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if version:
                headers["If-Range"] = version
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as answer:
                tag, length = answer.headers.get("ETag", ""), answer.headers.get("Content-Length")
                whole = None if length is None else int(length)
                if answer.status == http.HTTPStatus.PARTIAL_CONTENT:
                    sent = RANGE.match(answer.headers.get("Content-Range", ""))
                    if sent is None or int(sent[1]) != have or version and tag not in ("", version):
                        problem, version = "the server sent another part of the file than was asked for", ""
                        part.unlink(missing_ok=True)
                        continue
                    whole = None if sent[2] == "*" else int(sent[2])
                else:
                    have = 0
                joined = have > 0
                version = tag if tag.startswith('"') else ""  # one that begins with W/ does not promise equal bytes
                with open(part, "ab" if have else "wb") as file:
                    while block := answer.read(BLOCK):
                        file.write(block)
                    got = file.tell()
            if whole is None or got == whole:
                return joined
            problem = f"ended after {got} of {whole} bytes"
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                return None
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)  # whatever is there is not the beginning of this file
            elif error.code not in PASSING:
                raise UserError(
                    f"{url}: the server answers {error.code} {error.reason}; put the file in a mirror (NATLAB_MIRROR) "
                    f"as {address(url)}"
                ) from None
            problem = f"the server answers {error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            problem = str(error) or type(error).__name__
    again = "run again to resume" if known else "run again"
    raise UserError(
        f"{url}: not fetched in {attempts} attempts ({problem}); {again}, or name a mirror that has it (NATLAB_MIRROR)"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", help="http(s) address of the file")
    parser.add_argument("--sha256", required=True, help='its SHA-256, or "unverified": record it at the first download')
    parser.add_argument("--out", required=True, help="where it goes")


def run(args: argparse.Namespace) -> None:
    fetch(request_url(args.url), args.sha256, args.out, mirror=os.environ.get("NATLAB_MIRROR"))
