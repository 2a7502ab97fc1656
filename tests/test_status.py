"""`natlab status`: from a record, curves, locks and logs to where each job stands; nothing runs here."""

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import asdict

import pytest

from natlab import cli, jobs, status
from natlab.jobs import Job
from natlab.processes import birth

NOW = 1_000_000.0
DEAD = 2**22 + 1  # above the kernel's largest process id
CHECKPOINTS = "results/checkpoints/d/s/glat/seed1"
LOG = "results/logs/train/d/s/glat/seed1.log"
MODEL = "results/models/d/s/glat/seed1"
TRAIN = Job(
    number=2,
    rule="train",
    wildcards={"dataset": "d", "scale": "s", "system": "glat", "seed": "1"},
    output=[f"{MODEL}/model.pt", f"{MODEL}/curve.jsonl"],
    log=[LOG],
    after=[1],
    checkpoints=CHECKPOINTS,
)
BIN = Job(
    number=1, rule="binarise", wildcards={"dataset": "d"}, output=["results/corpora/d/bin"], log=["b.log"], after=[]
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path, text, when=NOW):
    """A file with a content and a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.utime(path, (when, when))


def record(folder, *events, run="r", pid=None, host=None, planned=(BIN, TRAIN)):
    """A run's record; events are (seconds after NOW, what, job) or ("ended", success)."""
    pid = os.getpid() if pid is None else pid
    kept = {"run": run, "started": NOW, "host": host or socket.gethostname(), "pid": pid, "birth": birth(os.getpid())}
    write(
        folder / f"results/runs/{run}/jobs.json",
        json.dumps({**kept, "log": None, "jobs": [asdict(job) for job in planned]}),
    )
    lines = [
        {"time": NOW, "event": "ended", "success": event[1]}
        if event[0] == "ended"
        else {"time": NOW + event[0], "event": event[1], "job": event[2]}
        for event in events
    ]
    write(folder / f"results/runs/{run}/events.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    return jobs.read(run)


def training(folder, curve, when=NOW + 100, fingerprint="f1", updates=1000, holder=None):
    """A checkpoints folder in the middle of a training; curve: (update, wall, BLEU or None)."""
    lines = [
        {"subset": "train", "num_updates": update, "wall": wall, "wps": 5000.0}
        if bleu is None
        else {"subset": "valid", "num_updates": update, "bleu": bleu}
        for update, wall, bleu in curve
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    write(folder / CHECKPOINTS / fingerprint / "curve.jsonl", text, when)
    write(folder / CHECKPOINTS / fingerprint / "spec.json", json.dumps({"training": {"updates": updates}}), when)
    if holder is not None:
        write(folder / CHECKPOINTS / fingerprint / "lock", json.dumps(holder), when)


def standing(found, number, now=NOW + 110):
    return {standing.job.number: standing for standing in status.standings(found, now=now)}[number]


# ---- states


def test_waiting_done_and_not_needed(folder):
    found = record(folder, (0, "started", 1), (1, "finished", 1))
    assert (standing(found, 1).state, standing(found, 2).state) == ("done", "waiting")
    not_needed = Job(**{**asdict(BIN), "todo": False})
    assert standing(record(folder, planned=(not_needed, TRAIN)), 1).state == "done"


def test_a_running_training_says_how_far_it_is_and_when_it_ends(folder):
    found = record(folder, (0, "started", 2))
    write(folder / LOG, "", NOW)
    training(folder, [(100, 50.0, None), (200, 100.0, None), (200, None, 12.5), (300, 150.0, None)])
    running = standing(found, 2)
    assert running.state == "running"
    assert (running.progress.update, running.progress.updates) == (300, 1000)
    assert (running.progress.tokens_per_second, running.progress.bleu) == (5000.0, 12.5)
    assert running.progress.left == pytest.approx(700 * 0.5 - 10), "the curve is 10 s old"
    said = status.line(running, bars=False, now=NOW + 110)
    for part in ("running", "train", "d glat seed 1", "300/1000 updates", "5,000 tokens/s", "BLEU 12.50", "(6 min)"):
        assert part in said
    assert "[###.........] 300/1000 updates  ETA " in status.line(running, bars=True, now=NOW)


def test_the_speed_is_the_newest_intervals_and_a_resumed_clock_starts_anew(folder):
    found = record(folder, (0, "started", 2))
    write(folder / LOG, "", NOW)
    slow = [(update, update * 10.0, None) for update in range(10, 210, 10)]
    resumed = [(200 + update, update * 1.0, None) for update in range(10, 210, 10)]
    training(folder, slow + resumed, updates=500)
    progress = standing(found, 2).progress
    assert progress.left == pytest.approx((500 - 400) * 1.0 - 10)
    assert progress.seconds == pytest.approx(2000 + 200)


def test_the_folder_written_to_is_this_attempts(folder):
    found = record(folder, (0, "started", 2))
    write(folder / LOG, "", NOW)
    training(folder, [(900, 1.0, None)], when=NOW - 5000, fingerprint="of_an_older_configuration")
    assert standing(found, 2).progress is None, "nothing of this attempt is there yet"
    training(folder, [(10, 1.0, None)], when=NOW + 109)
    progress = standing(found, 2).progress
    assert (progress.update, progress.left) == (10, pytest.approx(98.0))


def test_a_finished_training_keeps_its_figures(folder):
    found = record(folder, (0, "started", 2), (500, "finished", 2), ("ended", True))
    write(
        folder / MODEL / "curve.jsonl",
        '{"subset": "train", "num_updates": 1000, "wall": 480.0, "wps": 5000.0}\n'
        '{"subset": "valid", "num_updates": 1000, "bleu": 24.1}\n',
    )
    done = standing(found, 2)
    assert done.state == "done"
    assert status.line(done, False, NOW).endswith("1000 updates  BLEU 24.10  5,000 tokens/s  in 8 min")


def test_a_job_of_a_cluster_is_queued_until_it_opens_its_log(folder):
    found = record(folder, (0, "started", 2))
    assert standing(found, 2).state == "queued"
    write(folder / LOG, "", NOW + 40)
    assert standing(found, 2).state == "running"


def test_a_failed_job_shows_the_end_of_its_log(folder, capsys):
    record(folder, (0, "started", 2), (1, "failed", 2), (2, "started", 2), (9, "failed", 2), ("ended", False))
    write(folder / LOG, "".join(f"line {number}\n" for number in range(20)) + "natlab train: out of luck\n")
    cli.main(["status", "r", "--log-lines", "2"])
    said = capsys.readouterr().out
    assert "failed" in said and "attempt 2" in said and "ended, not all done" in said
    assert f"    {LOG}:\n    | line 19\n    | natlab train: out of luck\n" in said
    assert "line 18" not in said


def test_a_restarted_job_runs_again(folder):
    found = record(folder, (0, "started", 2), (1, "failed", 2), (2, "started", 2))
    write(folder / LOG, "", NOW + 2)
    again = standing(found, 2)
    assert (again.state, again.attempt) == ("running", 2)


def test_after_a_kill_of_snakemake_only_a_held_lock_or_an_output_speaks_for_a_job(folder):
    found = record(folder, (0, "started", 2), pid=DEAD)
    write(folder / LOG, "", NOW)
    assert found.alive is False and "stopped" in status.head(found)
    dead = {"host": socket.gethostname(), "pid": DEAD, "birth": "1", "started": "", "job": None}
    training(folder, [(10, 1.0, None), (20, 2.0, None)], holder=dead)
    interrupted = standing(found, 2)
    assert interrupted.state == "interrupted" and interrupted.progress.left is None
    assert "20/1000 updates" in status.line(interrupted, False, NOW)
    training(folder, [(10, 1.0, None)], holder=dead | {"pid": os.getpid(), "birth": birth(os.getpid())})
    assert standing(found, 2).state == "running"
    for name in ("model.pt", "curve.jsonl"):
        write(folder / MODEL / name, "", NOW + 50)
    assert standing(found, 2).state == "done"


def test_on_another_machine_the_record_is_believed(folder):
    found = record(folder, (0, "started", 2), pid=DEAD, host="elsewhere")
    write(folder / LOG, "", NOW)
    training(folder, [(10, 1.0, None)])
    assert found.alive is None and "on elsewhere" in status.head(found)
    assert standing(found, 2).state == "running"
    silent = status.line(standing(found, 2, now=NOW + 700), False, NOW + 700)
    assert "silent for 10 min" in silent


def test_half_a_line_is_no_line(folder):
    record(folder, (0, "started", 2))
    with open("results/runs/r/events.jsonl", "a", encoding="utf-8") as file:
        file.write('{"time": 1, "event": "fini')
    write(folder / LOG, "", NOW)
    training(folder, [(10, 1.0, None)])
    with open(folder / CHECKPOINTS / "f1/curve.jsonl", "a", encoding="utf-8") as file:
        file.write('{"subset": "tra')
    os.utime(folder / CHECKPOINTS / "f1/curve.jsonl", (NOW + 100, NOW + 100))
    assert standing(jobs.read("r"), 2).progress.update == 10


# ---- the verb


def test_which_run_is_meant(folder, capsys):
    record(folder, ("ended", True), run="older")
    os.utime("results/runs/older/jobs.json", (NOW - 9, NOW - 9))
    record(folder, ("ended", True), run="newer")
    for arguments, name in (([], "newer"), (["older"], "older")):
        assert cli.main(["status", *arguments]) == 0
        assert capsys.readouterr().out.startswith(f"{name}: started ")
    write(folder / "older.yaml", "run: older\n")
    assert cli.main(["status", "older.yaml"]) == 0
    assert capsys.readouterr().out.startswith("older: ")


@pytest.mark.parametrize(
    ("arguments", "mentions"),
    [
        ([], ["results/runs", "no run", "snakemake"]),
        (["nowhere"], ["nowhere", "never started", "preflight"]),
        (["nowhere.yaml"], ["nowhere.yaml: no such file"]),
        (["other.yaml"], ["other.yaml", "no key run"]),
    ],
)
def test_what_was_never_started_is_refused_in_one_line(folder, capsys, arguments, mentions):
    write(folder / "other.yaml", "scale: demo\n")
    assert cli.main(["status", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for mention in mentions:
        assert mention in said


def test_watching_without_a_terminal_says_what_changes_and_ends_with_the_run(folder, capsys, monkeypatch):
    record(folder, (0, "started", 1))
    write(folder / "b.log", "", NOW)
    first_done = (0, "started", 1), (5, "finished", 1)
    later = [
        lambda: None,
        lambda: record(folder, *first_done),
        lambda: record(folder, *first_done, (5, "started", 2), (6, "failed", 2), ("ended", False)),
    ]
    monkeypatch.setattr(time, "sleep", lambda seconds: later.pop(0)())
    write(folder / LOG, "out of luck\n", NOW)
    assert cli.main(["status", "r", "--watch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "2 jobs: 1 running, 1 waiting" and lines[-1] == "2 jobs: 1 done, 1 failed"
    told = [line.split()[1:3] for line in lines if line[2:3] == ":"]
    assert told == [["running", "binarise"], ["done", "binarise"], ["failed", "train"]]
    assert "    | out of luck" in lines and not any("\x1b" in line for line in lines)


def test_a_small_terminal_leaves_out_what_needs_no_attention(folder):
    many = [Job(**{**asdict(BIN), "number": number}) for number in range(10, 60)]
    found = record(folder, (0, "started", 2), (1, "failed", 2), planned=(*many, TRAIN))
    lines = status.report(found, folder, bars=True, log_lines=3, height=20)
    assert len(lines) < 20 and lines[1].endswith("51 jobs: 1 failed, 50 waiting")
    assert any(line.startswith("failed") for line in lines) and not any(line.startswith("waiting") for line in lines)


def test_a_reader_may_stop_early(folder):
    record(folder, ("ended", True), planned=[Job(**{**asdict(BIN), "number": number}) for number in range(3000)])
    verb = f"{sys.executable} -m natlab.cli status r"
    result = subprocess.run(f"{verb} | head -1", shell=True, capture_output=True, text=True)
    assert result.stdout.startswith("r: started") and result.stderr == ""


def test_neither_torch_nor_fairseq_nor_snakemake_is_needed():
    names = "('torch', 'fairseq', 'snakemake')"
    program = f"import sys, natlab.status; sys.exit(any(name in sys.modules for name in {names}))"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (600, "10 min"), (7500, "2 h 05"), (864000, "10 days")]
)
def test_durations_in_words(seconds, words):
    assert status.duration(seconds) == words
