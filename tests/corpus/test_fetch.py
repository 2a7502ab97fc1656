"""Fetching from a real HTTP server on this machine, which can fail, stop halfway and resume."""

import gzip
import hashlib
import io
import re
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from natlab import cli
from natlab.corpus.fetch import UNVERIFIED, fetch
from natlab.corpus.text import read
from natlab.corpus.unpack import unpack
from natlab.errors import UserError

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves ``server.content`` under every path but /missing, with ``server.tag`` if it is not None; each request
    takes one of ``server.faults``, if any, and after it one of ``server.changes``, content and tag, if any."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        fault = self.server.faults.pop(0) if self.server.faults else None
        content, tag, asked = self.server.content, self.server.tag, self.headers.get("Range")
        if self.server.changes:
            self.server.content, self.server.tag = self.server.changes.pop(0)
        self.server.requests.append((self.path, asked))
        if self.path.startswith("/missing"):
            return self.send_error(404)
        if isinstance(fault, int):
            return self.send_error(fault)
        changed = self.headers.get("If-Range", tag) != tag and fault != "ignore condition"
        start = 0 if not asked or changed or fault == "ignore range" else int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
        if start and start >= len(content):
            return self.send_error(416)
        start -= 100 * (fault == "another offset")
        self.send_response(206 if start else 200)
        if start and fault != "no offset":
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if fault != "no length":
            self.send_header("Content-Length", str(len(content) - start))
        if tag:
            self.send_header("ETag", tag)
        self.end_headers()
        self.wfile.write(content[start : start + 3000] if fault in ("truncate", "no length") else content[start:])
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.content, running.tag, running.faults, running.changes, running.requests = CONTENT, '"1"', [], [], []
        running.url = f"http://127.0.0.1:{running.server_port}"
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


def get(server, out, checksum=SHA256, path="/data/file.bin", **options):
    fetch(server.url + path, checksum, out, **{"backoff": 0.001, **options})


def test_fetches_whole_file_and_leaves_nothing_else(server, tmp_path):
    get(server, tmp_path / "a" / "file.bin")
    assert (tmp_path / "a" / "file.bin").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["file.bin"]


def test_truncated_transfers_resume_where_they_stopped(server, tmp_path):
    server.faults = ["truncate", "truncate"]
    get(server, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=3000-", "bytes=6000-"]


def test_server_without_range_starts_over(server, tmp_path):
    server.faults = ["truncate", "ignore range"]
    get(server, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [500, 503, 429])
def test_passing_failure_is_retried(server, tmp_path, status):
    server.faults = [status]
    get(server, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_later_call_resumes_what_an_earlier_one_left(server, tmp_path):
    server.faults = ["truncate"] * 2
    with pytest.raises(UserError, match="not fetched in 2 attempts .*run again to resume"):
        get(server, tmp_path / "file.bin", attempts=2)
    assert not (tmp_path / "file.bin").exists()
    get(server, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.requests[-1][1] == "bytes=6000-"


def test_leftover_longer_than_the_file_is_fetched_anew(server, tmp_path):
    (tmp_path / ".file.bin.part").write_bytes(CONTENT * 2)
    get(server, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_missing_file_and_refusal_are_not_retried(server, tmp_path):
    with pytest.raises(
        UserError,
        match="/missing: no such file on the server; .* or put .* mirror .NATLAB_MIRROR. as 127.0.0.1:[0-9]+/missing",
    ):
        get(server, tmp_path / "file.bin", path="/missing")
    server.faults = [403]
    with pytest.raises(UserError, match="answers 403"):
        get(server, tmp_path / "file.bin")
    assert len(server.requests) == 2


def test_no_server(tmp_path):
    with pytest.raises(UserError, match="not fetched in 2 attempts"):
        fetch("http://127.0.0.1:9/file", SHA256, tmp_path / "file", attempts=2, backoff=0.001)


def test_a_mirror_that_lacks_the_file_is_named_with_what_it_lacks(tmp_path):
    """A mirror one folder too high, say, would else look like one that was never set."""
    with pytest.raises(UserError, match=f"NATLAB_MIRROR={tmp_path} has no 127.0.0.1:9/file$"):
        fetch("http://127.0.0.1:9/file", SHA256, tmp_path / "file", mirror=str(tmp_path), attempts=1, backoff=0.001)


def test_wrong_checksum_keeps_nothing(server, tmp_path):
    with pytest.raises(UserError, match=f"wrong checksum: sha256 {SHA256}.*{'0' * 64}"):
        get(server, tmp_path / "file.bin", checksum="0" * 64)
    assert not list(tmp_path.iterdir())


def test_unverified_checksum_is_recorded_and_then_binding(server, tmp_path):
    out = tmp_path / "file.bin"
    get(server, out, checksum=UNVERIFIED)
    assert (tmp_path / "file.bin.sha256").read_text().split() == [SHA256, "file.bin"]
    get(server, out, checksum=UNVERIFIED)
    server.content = CONTENT + b"changed"
    with pytest.raises(UserError, match="recorded at the first download"):
        get(server, out, checksum=UNVERIFIED)
    assert out.read_bytes() == CONTENT


def test_mirror_folder_is_asked_first(server, tmp_path):
    mirrored = tmp_path / "mirror" / server.url.removeprefix("http://") / "data" / "file.bin"
    mirrored.parent.mkdir(parents=True)
    mirrored.write_bytes(CONTENT)
    get(server, tmp_path / "file.bin", mirror=str(tmp_path / "mirror"))
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert not server.requests
    get(server, tmp_path / "other.bin", path="/data/other.bin", mirror=str(tmp_path / "mirror"))
    assert server.requests == [("/data/other.bin", None)]


def test_mirrored_file_must_have_the_checksum(server, tmp_path):
    mirrored = tmp_path / "mirror" / server.url.removeprefix("http://") / "data" / "file.bin"
    mirrored.parent.mkdir(parents=True)
    mirrored.write_bytes(CONTENT[:-1])
    with pytest.raises(UserError, match="mirror.*wrong checksum"):
        get(server, tmp_path / "file.bin", mirror=str(tmp_path / "mirror"))


def test_http_mirror_is_asked_first_and_may_lack_the_file(server, tmp_path):
    host = server.url.removeprefix("http://")
    get(server, tmp_path / "file.bin", mirror=server.url + "/mirror/")
    get(server, tmp_path / "other.bin", mirror=server.url + "/missing")
    assert [path for path, _ in server.requests] == [
        f"/mirror/{host}/data/file.bin",
        f"/missing/{host}/data/file.bin",
        "/data/file.bin",
    ]


def test_an_address_with_any_letters_is_asked_for_in_ascii(server, tmp_path):
    address = f"{server.url}/a&b(c)/'$;ü.txt"
    assert cli.main(["fetch", address, "--sha256", SHA256, "--out", str(tmp_path / "file")]) == 0
    assert server.requests == [("/a&b(c)/'$;%C3%BC.txt", None)] and (tmp_path / "file").read_bytes() == CONTENT


OTHER = bytes(reversed(CONTENT))


@pytest.mark.parametrize("tag", [None, 'W/"1"'])
def test_without_a_strong_tag_two_versions_are_not_joined(server, tmp_path, tag):
    server.tag, server.faults, server.changes = tag, ["truncate"], [(OTHER, tag)]
    get(server, tmp_path / "file.bin", checksum=UNVERIFIED)
    assert (tmp_path / "file.bin").read_bytes() == OTHER
    assert [asked for _, asked in server.requests] == [None, None]


@pytest.mark.parametrize("fault", [None, "ignore condition"])
def test_a_file_that_changes_meanwhile_is_fetched_anew(server, tmp_path, fault):
    server.faults, server.changes = ["truncate", fault], [(OTHER, '"2"')]
    get(server, tmp_path / "file.bin", checksum=UNVERIFIED)
    assert (tmp_path / "file.bin").read_bytes() == OTHER


@pytest.mark.parametrize("checksum", [SHA256, UNVERIFIED])
@pytest.mark.parametrize("fault", ["another offset", "no offset"])
def test_a_part_from_another_offset_is_not_joined(server, tmp_path, fault, checksum):
    server.faults = ["truncate", fault]
    get(server, tmp_path / "file.bin", checksum=checksum)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_known_file_whose_leftover_is_of_another_version_is_fetched_anew(server, tmp_path):
    (tmp_path / ".file.bin.part").write_bytes(OTHER[:3000])
    get(server, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    server.tag, server.faults, server.changes = None, ["truncate"], [(CONTENT, None)]
    server.content = OTHER
    get(server, tmp_path / "again.bin")
    assert (tmp_path / "again.bin").read_bytes() == CONTENT


PAGE = b"\n<!DOCTYPE html>\n<html><body>Please log in</body></html>"


def gzipped():
    return gzip.compress(CONTENT)


def archived(kind):
    made = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(made, "w") as archive:
            archive.writestr("a", CONTENT)
    else:
        with tarfile.open(fileobj=made, mode=kind) as archive:
            info = tarfile.TarInfo("a")
            info.size = len(CONTENT)
            archive.addfile(info, io.BytesIO(CONTENT))
    return made.getvalue()


REAL = {
    "file.gz": gzipped(),
    "file.tgz": archived("w:gz"),
    "file.tar.bz2": archived("w:bz2"),
    "file.tar.xz": archived("w:xz"),
    "file.tar": archived("w:"),
    "file.ZIP": archived("zip"),
    "file.txt": b"a sentence\n<html> is a tag\n",
    "file.html": PAGE,
    "download": archived("w:gz"),
}


@pytest.mark.parametrize("name", REAL)
def test_what_is_not_what_its_name_says_is_not_recorded_and_the_real_file_is_fetched_afterwards(server, tmp_path, name):
    for wrong in (PAGE, b"") if name != "file.html" else (b"",):
        server.content = wrong
        with pytest.raises(UserError, match=r"web page came|no whole|is empty"):
            get(server, tmp_path / name, checksum=UNVERIFIED, attempts=1, path=f"/{name}")
        assert not list(tmp_path.iterdir())
    server.content = REAL[name]
    get(server, tmp_path / name, checksum=UNVERIFIED, path=f"/{name}")
    assert (tmp_path / name).read_bytes() == REAL[name] and (tmp_path / f"{name}.sha256").exists()


@pytest.mark.parametrize("name", [name for name in REAL if name not in ("file.txt", "file.html", "download")])
def test_half_an_archive_whose_length_nobody_said_is_not_recorded(server, tmp_path, name):
    whole = REAL[name]
    server.content = whole[: len(whole) // 2]
    with pytest.raises(UserError, match="no whole"):
        get(server, tmp_path / name, checksum=UNVERIFIED, path=f"/{name}")
    assert not list(tmp_path.iterdir())


def test_the_page_that_came_is_named_where_the_checksum_is_known(server, tmp_path):
    server.content = PAGE
    with pytest.raises(UserError, match="a web page came instead"):
        get(server, tmp_path / "file.gz", path="/file.gz")


@pytest.mark.parametrize("name", ["file.tgz", "file.gz"])
def test_the_advice_about_a_damaged_file_leads_to_the_real_one(server, tmp_path, name):
    """Also where an earlier version of natlab has recorded what came first."""
    out, record = tmp_path / name, tmp_path / f"{name}.sha256"
    out.write_bytes(PAGE)
    record.write_text(f"{hashlib.sha256(PAGE).hexdigest()}  {name}\n")
    with pytest.raises(UserError, match="delete it, and its .sha256 if there is one beside it, and run again"):
        unpack(out, tmp_path / "out", ["a"]) if name.endswith("tgz") else list(read(out))
    out.unlink()
    server.content = REAL[name]
    with pytest.raises(UserError, match=f"delete {record} and run again"):
        get(server, out, checksum=UNVERIFIED, path=f"/{name}")
    record.unlink()
    get(server, out, checksum=UNVERIFIED, path=f"/{name}")
    assert out.read_bytes() == REAL[name]
