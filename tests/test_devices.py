"""GPUs are claimed by lock files alone, so all of it is tested without a GPU."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from natlab import cli, devices
from natlab.errors import UserError

# Claims, says what it sees, and stays until its input ends.
JOB = "import os, sys; from natlab import devices; devices.claim(alone='ALONE' in os.environ)\n" \
    "print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); sys.stdin.read()"  # fmt: skip


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine of its own: its lock files, no Slurm, and no GPU but those a test names."""
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    for name in ("NATLAB_GPUS", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@contextmanager
def job(asked: int, visible: str, **more: str):
    """A process that claims ``asked`` of the visible GPUs."""
    environment = {**os.environ, "NATLAB_GPUS": str(asked), "CUDA_VISIBLE_DEVICES": visible, **more}
    command = [sys.executable, "-c", JOB]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def test_each_job_gets_its_own_gpu_and_the_next_waits_until_one_is_killed():
    with job(1, "0,1,2") as first, job(2, "0,1,2") as second:
        seen = [set(process.stdout.readline().strip().split(",")) for process in (first, second)]
        assert sorted(map(len, seen)) == [1, 2] and seen[0] | seen[1] == {"0", "1", "2"}
        with job(1, "0,1,2") as third:
            assert third.stderr.readline() == "waiting until 1 of the GPUs 0, 1, 2 are free\n"
            os.kill(first.pid, signal.SIGKILL)
            assert {third.stdout.readline().strip()} == seen[0]


def test_a_job_that_lacks_one_holds_none_while_it_waits():
    with job(1, "0,1") as first:
        first.stdout.readline()
        with job(2, "0,1") as second:
            second.stderr.readline()
            with job(1, "0,1") as third:
                assert third.stdout.readline().strip() in {"0", "1"}


def test_jobs_that_share_fill_gpus_evenly_and_then_wait():
    two = {"NATLAB_JOBS_PER_GPU": "2"}
    with job(1, "0,1", **two) as first:
        assert first.stdout.readline().strip() == "0"
        with job(2, "0,1", **two) as second, job(1, "0,1", **two) as third:
            assert second.stdout.readline().strip() == "0,1"
            assert third.stdout.readline().strip() == "1"
            with job(1, "0,1", **two) as fourth:
                assert fourth.stderr.readline() == "waiting until 1 of the GPUs 0, 1 are free\n"
                os.kill(third.pid, signal.SIGKILL)
                assert fourth.stdout.readline().strip() == "1"


@pytest.mark.parametrize("alone", [{"NATLAB_JOBS_PER_GPU": "1"}, {"NATLAB_JOBS_PER_GPU": "3", "ALONE": "1"}])
@pytest.mark.parametrize("first", [True, False])
def test_a_job_that_does_not_share_is_alone_on_its_gpu(alone, first):
    jobs = [alone, {"NATLAB_JOBS_PER_GPU": "3"}]
    with job(1, "0", **jobs[not first]) as holder:
        assert holder.stdout.readline().strip() == "0"
        with job(1, "0", **jobs[first]) as waiting:
            assert waiting.stderr.readline() == "waiting until 1 of the GPUs 0 are free\n"
            os.kill(holder.pid, signal.SIGKILL)
            assert waiting.stdout.readline().strip() == "0"


def test_a_lock_of_a_user_with_another_umask_can_be_read_by_all(monkeypatch, machine):
    umask = os.umask(0o077)
    try:
        assert claim(monkeypatch, "1", CUDA_VISIBLE_DEVICES="x") == "x"
    finally:
        os.umask(umask)
    locks = list(machine.iterdir())
    assert locks and all(path.stat().st_mode & 0o777 == 0o644 for path in locks)


def test_a_lock_that_may_not_be_read_is_one_line(monkeypatch, machine):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    (machine / "natlab-gpu-0.lock").write_text("")
    monkeypatch.setattr(devices.os, "open", refused)
    with pytest.raises(UserError, match="natlab-gpu-0.lock: another user's, who lets nobody read it; have it removed"):
        claim(monkeypatch, "1", CUDA_VISIBLE_DEVICES="0")


def claim(monkeypatch, asked: str, **environment: str) -> str:
    for name, value in {**environment, "NATLAB_GPUS": asked}.items():
        monkeypatch.setenv(name, value)
    devices.claim()
    assert "NATLAB_GPUS" not in os.environ  # what the job starts claims no more
    return os.environ["CUDA_VISIBLE_DEVICES"]


@pytest.mark.parametrize("chosen", ["1", "2,3", "GPU-5c7a,MIG-GPU-5c7a/1/0"])
def test_what_slurm_chose_is_left_alone(monkeypatch, machine, chosen):
    count = str(len(chosen.split(",")))
    assert claim(monkeypatch, count, CUDA_VISIBLE_DEVICES=chosen, SLURM_JOB_ID="7") == chosen
    assert list(machine.iterdir()) == []  # another job's GPU may have the same number under Slurm


def test_jobs_of_one_machine_inside_an_allocation_of_slurm_share_it_out(monkeypatch):
    with job(1, "4,6") as first:
        taken = first.stdout.readline().strip()
        got = claim(monkeypatch, "1", CUDA_VISIBLE_DEVICES="4,6", SLURM_JOB_ID="7")
        assert {got, taken} == {"4", "6"}


def test_a_job_that_asks_for_none_sees_none(monkeypatch):
    assert claim(monkeypatch, "0", CUDA_VISIBLE_DEVICES="0,1") == ""
    assert claim(monkeypatch, "0", CUDA_VISIBLE_DEVICES="0,1", SLURM_JOB_ID="7") == ""


def test_who_asks_for_nothing_sees_what_there_is(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    devices.claim()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"


@pytest.mark.parametrize("names", ["-1", "NoDevFiles", "", " "])
def test_names_of_no_device_are_none(monkeypatch, names):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", names)
    assert devices.visible() == []


def test_the_machines_gpus_are_counted_where_nobody_chose(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices.visible() == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\necho 'GPU 0: A (UUID: GPU-1)'\necho '  MIG 1g.10gb Device 0: (UUID: MIG-1)'\n"
        "echo 'GPU 1: A (UUID: GPU-2)'\n",
        encoding="utf-8",
    )
    tool.chmod(0o755)
    assert devices.visible() == ["0", "1"]


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ("2", "the job takes 2, and 1 are visible here"),
        ("one", "'one' is no number of GPUs"),
        ("-1", "'-1' is no number"),
    ],
)
def test_what_cannot_be_given_is_refused_before_the_verb_starts(monkeypatch, capsys, asked, complaint):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("NATLAB_GPUS", asked)
    assert cli.main(["show", "absent.md"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("natlab show: NATLAB_GPUS: ") and complaint in line


@pytest.mark.parametrize("jobs", ["0", "-1", "many"])
def test_a_number_of_sharing_jobs_that_is_none_is_refused(monkeypatch, jobs):
    with pytest.raises(UserError, match="NATLAB_JOBS_PER_GPU: '.*' is no number of jobs"):
        claim(monkeypatch, "1", CUDA_VISIBLE_DEVICES="0", NATLAB_JOBS_PER_GPU=jobs)


def test_refusals_are_user_errors(monkeypatch):
    with pytest.raises(UserError, match="run it where there are more"):
        claim(monkeypatch, "1")
