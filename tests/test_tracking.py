"""Tracking: whole archives whatever happens to a training, comet-ml's own format, and failures that cost nothing."""

import gzip
import json
import logging
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from natlab import tracking
from natlab.files import read_json

COMET, ONLINE = {"backend": "comet", "online": False}, {"backend": "comet", "online": True}
KEY = "aKeyThatMustAppearNowhere0123456789"
PARAMETERS = {"seed": 1, "architecture": {"name": "nat"}, "training": {"lr": 0.5, "dropout": None, "flags": [1, 2]}}
IDENTITY = ("copy/tiny/glat/seed1", PARAMETERS, "0123abcd")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    """No key, no network and nothing of the user's own comet-ml configuration, unless a test gives them."""
    for name in [name for name in os.environ if name.startswith("COMET_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COMET_CONFIG", os.devnull)
    monkeypatch.setenv("COMET_URL_OVERRIDE", "http://127.0.0.1:9/clientlib/")


def opened(folder):
    """(about, messages) of the one archive of the experiment in ``folder``."""
    [path] = (folder / "comet").glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        messages = [json.loads(line) for line in archive.read("messages.json").splitlines()]
        return json.loads(archive.read("experiment.json")), messages


def metrics(folder):
    """{(metric, step): value} in the archive; no point may stand there twice."""
    found = [message["payload"]["metric"] for message in opened(folder)[1] if message["type"] == "metric_msg"]
    by_step = {(metric["metricName"], metric["step"]): metric["metricValue"] for metric in found}
    assert len(by_step) == len(found)
    return by_step


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_an_archive_holds_the_parameters_the_fingerprint_and_all_that_was_logged(tmp_path, caplog):
    tracker = tracking.start(COMET, tmp_path, *IDENTITY)
    tracker.log({"train/loss": 5, "train/lr": 0.001}, step=10)
    tracker.log({"valid/bleu": float("nan")}, step=10)
    tracker.end({"bleu": 20.5})
    about, messages = opened(tmp_path)
    others = {m["payload"]["key"]: m["payload"]["value"] for m in messages if m["type"] == "log_other"}
    parameters = [m["payload"]["param"] for m in messages if m["type"] == "parameter_msg"]
    assert about["offline_id"] == read_json(tmp_path / "experiment.json")["key"]
    assert others == {"Name": "copy/tiny/glat/seed1", "fingerprint": "0123abcd"}
    assert {p["paramName"]: p["paramValue"] for p in parameters} == {
        "seed": 1, "architecture.name": "nat", "training.lr": 0.5, "training.dropout": None, "training.flags": "[1, 2]"
    }  # fmt: skip
    found = metrics(tmp_path)
    assert (found["train/loss", 10], found["valid/bleu", 10], found["bleu", None]) == (5, "NaN", 20.5)
    assert found["system/peak_memory_gb", 10] > 0 and ("system/cores", 10) in found
    assert not warnings(caplog)


def test_the_archive_is_what_comet_ml_itself_would_write(tmp_path):
    tracker = tracking.start(COMET, tmp_path, *IDENTITY)
    tracker.log({"train/loss": 5.0}, step=10)
    tracker.log({"train/loss": float("inf")}, step=20)
    tracker.end()
    program = """
import json, sys
import comet_ml
from natlab import tracking
about = json.loads(sys.argv[1])
off = dict.fromkeys("log_code log_graph parse_args log_git_metadata log_env_details auto_output_logging".split(), False)
experiment = comet_ml.start(
    online=False, mode="get_or_create", experiment_key=about["key"], project_name="natlab",
    experiment_config=comet_ml.ExperimentConfig(offline_directory=sys.argv[2], name=about["name"], **off))
experiment.log_other("fingerprint", about["fingerprint"])
experiment.log_parameters(tracking._flat(about["parameters"]))
experiment.log_metric("train/loss", 5.0, step=10)
experiment.log_metric("train/loss", float("inf"), step=20)
experiment.end()
"""
    about = (tmp_path / "experiment.json").read_text()
    command = [sys.executable, "-c", program, about, str(tmp_path / "its" / "comet")]
    (tmp_path / "its").mkdir()
    subprocess.run(command, env=os.environ | tracking.QUIET, check=True)

    def comparable(folder, leave_out=()):
        about, messages = opened(folder)
        for message in messages:
            message["payload"].pop("message_id")
            message["payload"].pop("local_timestamp", None)
        kept = sorted(json.dumps(m, sort_keys=True) for m in messages if not any(word in str(m) for word in leave_out))
        return {key: value for key, value in about.items() if not key.endswith("_time")}, kept

    (about, messages), (its_about, its_messages) = (
        comparable(tmp_path, ["system/"]),
        comparable(tmp_path / "its", ["offline_experiment", "curr_step", "duration"]),
    )
    assert about.items() <= its_about.items()
    assert messages == its_messages


def test_attempts_killed_and_resumed_are_one_experiment_in_one_archive(tmp_path):
    program = """
import os, signal, sys
from natlab import tracking
tracker = tracking.start({"backend": "comet"}, sys.argv[1], "first", {"seed": 1}, "0123abcd")
for step in range(1, 8):
    tracker.log({"train/loss": 100 - step}, step)
assert "comet_ml" not in sys.modules
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)])
    assert killed.returncode == -signal.SIGKILL
    with open(tmp_path / "comet" / "metrics.jsonl", "a") as file:
        file.write('{"time": 17000')  # the line at which it was killed
    key = read_json(tmp_path / "experiment.json")["key"]
    tracker = tracking.start(COMET, tmp_path, *IDENTITY)  # resumes from the checkpoint of step 5
    assert metrics(tmp_path)["train/loss", 7] == 93  # the killed attempt's archive, before this one ends
    for step in range(6, 11):
        tracker.log({"train/loss": 200 - step}, step)
    tracker.end()
    assert opened(tmp_path)[0]["offline_id"] == key
    loss = {step: value for (name, step), value in metrics(tmp_path).items() if name == "train/loss"}
    assert loss == {**{step: 100 - step for step in range(1, 6)}, **{step: 200 - step for step in range(6, 11)}}


def test_without_a_backend_nothing_is_written(tmp_path):
    tracker = tracking.start({"backend": "none", "online": True}, tmp_path, *IDENTITY)
    tracker.log({"train/loss": 5}, step=10)
    tracker.end({"bleu": 20.5})
    assert not list(tmp_path.iterdir())


def test_measurements_are_added_only_where_there_is_an_experiment(tmp_path):
    tracking.resume(COMET, tmp_path).end({"bleu": 20.5})
    assert not list(tmp_path.iterdir())
    tracking.start(COMET, tmp_path, *IDENTITY).end()
    tracking.resume(COMET, tmp_path).end({"bleu": 20.5})
    tracking.resume(COMET, tmp_path).end({"bleu": 21.5})  # measured again
    assert metrics(tmp_path)["bleu", None] == 21.5


def test_a_full_disk_is_one_warning(tmp_path, caplog):
    tracker = tracking.start(COMET, tmp_path, *IDENTITY)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        for step in range(3):
            tracker.log({"train/loss": 5}, step)
        tracker.end({"bleu": 20.5})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    [warning] = warnings(caplog)
    assert "File too large" in warning and "metrics.jsonl" in warning
    assert opened(tmp_path)  # the archive there was is still whole


@pytest.mark.parametrize("spoilt", ["experiment.json", "comet"])
def test_a_folder_that_cannot_be_used_is_one_warning(tmp_path, caplog, spoilt):
    (tmp_path / spoilt).write_text("{")
    tracker = tracking.start(COMET, tmp_path, *IDENTITY)
    tracker.log({"train/loss": 5}, step=1)
    tracker.end()
    assert len(warnings(caplog)) == 1


@pytest.fixture
def comet(monkeypatch):
    """A server that stands in for comet-ml's; ``comet.status`` is what it answers, ``comet.calls`` what it was told."""

    class Server(ThreadingHTTPServer):
        status, calls, silent = 200, [], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            self.server.calls.append((self.path, json.loads(body or "null")))
            if self.server.status is None:  # it never answers
                self.server.silent.wait()
            welcome = {"runId": "run", "project_id": "project", "focusUrl": "http://127.0.0.1/", "name": "name"}
            welcome |= {"is_alive_beat_duration_millis": 1000, "gpu_monitor_interval_millis": 1000}
            content = json.dumps(welcome if self.server.status == 200 else {"msg": f"{KEY} is no key"}).encode()
            self.send_response(self.server.status or 500)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, *_):
            pass

    server = Server(("127.0.0.1", 0), Handler)
    server.calls = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("COMET_URL_OVERRIDE", f"http://127.0.0.1:{server.server_port}/clientlib/")
    monkeypatch.setenv("COMET_API_KEY", KEY)
    monkeypatch.setattr(tracking, "PATIENCE", 120)  # this machine may be slow, and what is sent is the point
    yield server
    server.silent.set()
    server.shutdown()
    server.server_close()


def sent(comet):
    """Every metric that the server was told: (name, step, value), in order."""
    told = [body for path, body in comet.calls if path.endswith("/experiment/metric")]
    points = [value for body in told for value in body["values"]]
    found = [(point["metricName"], point["step"], point["metricValue"]) for point in points]
    return [point for point in found if point[0].startswith(("train/", "valid/"))]


def test_online_attempts_are_sent_as_one_experiment_and_archived_too(tmp_path, comet, caplog):
    tracker = tracking.start(ONLINE, tmp_path, *IDENTITY)
    tracker.log({"train/loss": 5}, step=10)
    tracker.end()
    tracker = tracking.start(ONLINE, tmp_path, *IDENTITY)
    tracker.log({"train/loss": 4}, step=20)
    tracker.end()
    assert not warnings(caplog)
    assert [(name, step, float(value)) for name, step, value in sent(comet)] == [
        ("train/loss", 10, 5.0), ("train/loss", 20, 4.0)
    ]  # fmt: skip
    started = {body["experimentKey"] for path, body in comet.calls if path.endswith("/logger/add/run")}
    assert started == {read_json(tmp_path / "experiment.json")["key"]}
    assert metrics(tmp_path)["train/loss", 20] == 4
    assert_nowhere(tmp_path, caplog)


def test_comet_ml_uploads_the_archive_of_several_attempts(tmp_path, comet):
    for step in (10, 20):
        tracker = tracking.start(COMET, tmp_path, *IDENTITY)
        tracker.log({"train/loss": 15 - step}, step)
        tracker.end()
    [archive] = (tmp_path / "comet").glob("*.zip")
    command = [sys.executable, "-m", "comet_ml.scripts.comet_upload", str(archive)]
    upload = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "uploaded experiments: 1" in upload.stdout + upload.stderr
    assert [(step, float(value)) for _, step, value in sent(comet)] == [(10, 5.0), (20, -5.0)]


def assert_nowhere(folder, caplog):
    """The key is in no file of the folder, nor within its archive, nor in the log."""
    assert KEY not in caplog.text
    for path in folder.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path
    assert KEY not in json.dumps(opened(folder))


def test_a_wrong_key_is_one_warning_while_the_training_runs_without_the_key(tmp_path, comet, caplog):
    comet.status = 401
    tracker = tracking.start(ONLINE, tmp_path, *IDENTITY)
    tracker.sender.wait()
    tracker.log({"train/loss": 5}, step=10)
    [warning] = warnings(caplog)
    tracker.end()
    assert warnings(caplog) == [warning]
    assert "check COMET_API_KEY and the network" in warning and "\n" not in warning
    assert comet.calls and metrics(tmp_path)["train/loss", 10] == 5
    assert_nowhere(tmp_path, caplog)


def test_no_key_is_one_warning(tmp_path, comet, caplog, monkeypatch):
    monkeypatch.delenv("COMET_API_KEY")
    tracking.start(ONLINE, tmp_path, *IDENTITY).end()
    [warning] = warnings(caplog)
    assert "set COMET_API_KEY" in warning and not comet.calls


@pytest.mark.parametrize("network", ["none", "silent"])
def test_without_a_network_a_training_ends_without_waiting_for_it(tmp_path, comet, caplog, monkeypatch, network):
    comet.status = None
    if network == "none":
        monkeypatch.setenv("COMET_URL_OVERRIDE", "http://127.0.0.1:9/clientlib/")
    monkeypatch.setattr(tracking, "PATIENCE", 0.1)
    tracker = tracking.start(ONLINE, tmp_path, *IDENTITY)
    sender = tracker.sender
    tracker.log({"train/loss": 5}, step=10)
    tracker.end()
    assert sender.poll() is None  # it was not waited for
    assert len(warnings(caplog)) == 1 and "did not finish" in warnings(caplog)[0]
    assert metrics(tmp_path)["train/loss", 10] == 5
    sender.kill()
    sender.communicate()


def test_the_sending_process_outlives_sigterm_and_ends_with_a_killed_training(tmp_path, comet):
    program = f"""
import os, signal, sys
from natlab import tracking
tracker = tracking.start({ONLINE}, sys.argv[1], "first", {{"seed": 1}}, "0123abcd")
tracker.log({{"train/loss": 5}}, 10)
print(tracker.sender.pid, flush=True)
sys.stdin.read()
"""
    pipe = subprocess.PIPE
    training = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdin=pipe, stdout=pipe, text=True)
    sender = int(training.stdout.readline())
    while not comet.calls:
        assert training.poll() is None
        time.sleep(0.05)
    os.kill(sender, signal.SIGTERM)
    training.kill()
    training.communicate()
    fate = os.pidfd_open(sender) if os.path.exists(f"/proc/{sender}") else None
    if fate is not None:
        assert select.select([fate], [], [], 120)[0], "the sending process goes on without its training"
    assert ("train/loss", 10) in [(name, step) for name, step, _ in sent(comet)]
