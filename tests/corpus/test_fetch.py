"""Fetching from a real HTTP server on this machine, which can fail, stop halfway and resume."""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from natlab.corpus.fetch import UNVERIFIED, fetch
from natlab.errors import UserError

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves ``server.content`` under every path but /missing; each request takes one of ``server.faults``, if any."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        fault = self.server.faults.pop(0) if self.server.faults else None
        content, asked = self.server.content, self.headers.get("Range")
        self.server.requests.append((self.path, asked))
        if self.path.startswith("/missing"):
            return self.send_error(404)
        if isinstance(fault, int):
            return self.send_error(fault)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and fault != "ignore range" else 0
        if start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(content[start:] if fault != "truncate" else content[start : start + 3000])
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.content, running.faults, running.requests = CONTENT, [], []
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
    with pytest.raises(UserError, match="/missing: no such file on the server"):
        get(server, tmp_path / "file.bin", path="/missing")
    server.faults = [403]
    with pytest.raises(UserError, match="answers 403"):
        get(server, tmp_path / "file.bin")
    assert len(server.requests) == 2


def test_no_server(tmp_path):
    with pytest.raises(UserError, match="not fetched in 2 attempts"):
        fetch("http://127.0.0.1:9/file", SHA256, tmp_path / "file", attempts=2, backoff=0.001)


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
