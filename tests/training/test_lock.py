"""The lock on a folder of checkpoints."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from natlab import processes
from natlab.errors import UserError
from natlab.training import lock, train
from natlab.training.lock import Lock

HOLD = "import sys, time; from pathlib import Path; from natlab.training.lock import Lock\n\
with Lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"


@contextmanager
def another_process(folder):
    """A process that holds the folder's lock until it is killed."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(lock, "POLL", 0.01)


def test_a_second_process_waits_and_goes_on_when_the_first_is_killed(tmp_path, caplog):
    with another_process(tmp_path) as first:
        pauses = iter(range(1000))

        def pause():
            if next(pauses) == 5:
                first.send_signal(signal.SIGKILL)

        with Lock(tmp_path, pause) as second:
            assert json.loads((tmp_path / "lock").read_text()) == second.holder
    assert next(pauses) >= 6
    waiting, taking = (record.message for record in caplog.records)
    assert waiting.startswith(f"{tmp_path}: waiting for process {first.pid} on {socket.gethostname()}, since ")
    assert f"taking over from process {first.pid}" in taking and taking.endswith("which has died")
    assert not (tmp_path / "lock").exists()


def test_a_training_waits_for_the_lock_and_can_be_asked_to_end(arguments, spec, tmp_path, monkeypatch, caplog):
    args = arguments(spec(), tmp_path)
    folder = tmp_path / "checkpoints" / train.fingerprint(spec(), args.data)
    folder.mkdir(parents=True)
    with another_process(folder) as first:

        def asked(pause):
            os.kill(os.getpid(), signal.SIGTERM)
            pause()

        monkeypatch.setattr(train, "Lock", lambda folder, pause: Lock(folder, lambda: asked(pause)))
        with pytest.raises(SystemExit) as ended:
            train.run(args)
        assert ended.value.code == 75
        assert f"waiting for process {first.pid}" in caplog.text
        assert sorted(path.name for path in folder.iterdir()) == ["lock", "lock.guard"]  # nothing was touched


@pytest.mark.parametrize("silent, is_alive", [(processes.SILENCE - 60, True), (processes.SILENCE + 60, False)])
def test_a_holder_on_another_machine_is_dead_when_silent_for_long(silent, is_alive, tmp_path):
    holder = {"host": "elsewhere", "pid": os.getpid(), "birth": "1", "started": "2026-01-01", "job": "17"}
    (tmp_path / "lock").write_text(json.dumps(holder))
    then = time.time() - silent
    os.utime(tmp_path / "lock", (then, then))

    def pause():
        raise InterruptedError

    if is_alive:
        with pytest.raises(InterruptedError), Lock(tmp_path, pause):
            pass
        assert json.loads((tmp_path / "lock").read_text()) == holder
    else:
        with Lock(tmp_path, pause):
            pass


def test_a_lock_left_empty_by_a_full_disk_binds_nobody(tmp_path):
    (tmp_path / "lock").touch()
    with Lock(tmp_path):
        pass


def test_the_lock_shows_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT", 0.01)
    with Lock(tmp_path):
        os.utime(tmp_path / "lock", (0, 0))
        while (tmp_path / "lock").stat().st_mtime == 0:
            time.sleep(0.01)


def test_whoever_lost_the_lock_is_told_before_it_writes_and_leaves_the_others_lock_alone(tmp_path):
    with Lock(tmp_path) as lost:
        lock.check(tmp_path, lost.holder)
        other = {**lost.holder, "host": "elsewhere", "job": "17"}
        (tmp_path / "lock").write_text(json.dumps(other))
        with pytest.raises(UserError, match="the lock was taken from this process, now held by .* Slurm job 17"):
            lock.check(tmp_path, lost.holder)
    assert json.loads((tmp_path / "lock").read_text()) == other
