"""`natlab fetch`: one file from its public address, or from a mirror, checked and whole or absent.

The environment variable ``NATLAB_MIRROR`` names a folder or an HTTP address laid out as ``host/path``; a file found
there is taken instead of the network's, and must have the same checksum.
"""

import argparse
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path

from natlab.corpus.dataset import address
from natlab.errors import UserError
from natlab.files import sha256, written_aside

UNVERIFIED = "unverified"
TIMEOUT = 60  # seconds without a byte
BLOCK = 1 << 20
PASSING = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses worth another attempt


def fetch(
    url: str, checksum: str, out: str | Path, mirror: str | None = None, attempts: int = 5, backoff: float = 1.0
) -> None:
    """Fetch ``url`` to ``out``, from ``mirror`` when it has the file.

    ``checksum``: its SHA-256, or "unverified": then the first download's is recorded in ``<out>.sha256``, and any later
    download must have it. A broken download is resumed where it stopped (HTTP Range), up to ``attempts`` times with
    pauses of ``backoff``, 2, 4, … times as long (seconds); a verified one also across calls.

    Raises UserError: no such file, no answer, wrong checksum.
    """
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    record = out.with_name(out.name + ".sha256")
    part = out.with_name(f".{out.name}.part")
    expected = checksum
    if checksum == UNVERIFIED:
        expected = record.read_text().split()[0] if record.exists() else None
        part.unlink(missing_ok=True)  # nothing could tell a part of an older version
    source = _get(url, part, mirror, attempts, backoff)
    actual = sha256(part)
    if expected is not None and actual != expected:
        part.unlink()
        recorded = f"recorded at the first download in {record}" if checksum == UNVERIFIED else "the dataset file gives"
        raise UserError(
            f"{source}: wrong checksum: sha256 {actual}, {recorded}: {expected}; the file changed or is damaged"
        )
    if expected is None:
        with written_aside(record) as file:
            file.write(f"{actual}  {out.name}\n")
    os.replace(part, out)


def _get(url: str, part: Path, mirror: str | None, attempts: int, backoff: float) -> str:
    """Fill ``part`` from the mirror or the address; returns which one it was."""
    if mirror and "://" in mirror:
        mirrored = f"{mirror.rstrip('/')}/{address(url)}"
        if _download(mirrored, part, attempts, backoff):
            return mirrored
    elif mirror and (mirrored := Path(mirror) / address(url)).is_file():
        shutil.copyfile(mirrored, part)
        return str(mirrored)
    if not _download(url, part, attempts, backoff):
        raise UserError(f"{url}: no such file on the server; correct the address in the dataset file")
    return url


def _download(url: str, part: Path, attempts: int, backoff: float) -> bool:
    """Download to ``part``, resuming what is there; False when the server has no such file."""
    version = None  # the file's ETag: a resumed download must not join two versions
    for attempt in range(attempts):
        if attempt:
            time.sleep(backoff * 2 ** (attempt - 1))
        have = part.stat().st_size if part.exists() else 0
        headers = {"User-Agent": "natlab", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if version:
                headers["If-Range"] = version
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as answer:
                version = answer.headers.get("ETag")
                if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
                    have = 0
                length = answer.headers.get("Content-Length")
                with open(part, "ab" if have else "wb") as file:
                    while block := answer.read(BLOCK):
                        file.write(block)
                    got = file.tell() - have
            if length is None or got == int(length):
                return True
            problem = f"ended after {got} of {length} bytes"
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                return False
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink()  # whatever is there is not the beginning of this file
            elif error.code not in PASSING:
                raise UserError(f"{url}: the server answers {error.code} {error.reason}; put it in a mirror") from None
            problem = f"the server answers {error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            problem = str(error) or type(error).__name__
    raise UserError(f"{url}: not fetched in {attempts} attempts ({problem}); run again to resume, or set NATLAB_MIRROR")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", help="http(s) address of the file")
    parser.add_argument("--sha256", required=True, help='its SHA-256, or "unverified": record it at the first download')
    parser.add_argument("--out", required=True, help="where it goes")


def run(args: argparse.Namespace) -> None:
    fetch(args.url, args.sha256, args.out, mirror=os.environ.get("NATLAB_MIRROR"))
