"""What the jobs of a run took, over all its starts."""

import json

import pytest

from natlab import jobs
from natlab.files import write_json
from natlab.jobs import Spent

# jobs of a start: their numbers are that start's own
BPE = {"rule": "bpe", "wildcards": {"dataset": "ds"}}
TRAIN = {"rule": "train", "wildcards": {"system": "kd", "seed": "1"}}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "results/runs/r"


def start(folder, planned, *events):
    """A start of the run, as `jobs.begin` writes it: jobs by number, and (time, event, job) or a line as it stands."""
    jobs.write_spent(jobs.spent(folder), folder)
    listed = [{"threads": 2, "gpus": 0} | job | {"number": number} for number, job in planned.items()]
    write_json(folder / jobs.JOBS, {"run": "r", "jobs": listed})
    lines = [
        event if isinstance(event, str) else json.dumps(dict(zip(("time", "event", "job"), event, strict=True))) + "\n"
        for event in events
    ]
    (folder / jobs.EVENTS).write_text("".join(lines), encoding="utf-8")


def of(job, started, ended, threads=2, gpus=0):
    return Spent(**job, started=started, ended=ended, threads=threads, gpus=gpus)


def test_what_each_job_took_that_ended_well_in_the_order_of_their_ends(folder):
    planned = {3: BPE, 4: TRAIN | {"gpus": 1, "threads": 8}, 5: TRAIN | {"wildcards": {"system": "at"}}}
    start(
        folder, planned,
        (10.0, "started", 4), (11.0, "started", 3), (11.5, "started", 5), (12.0, "finished", 3), (13.0, "failed", 5),
        (30.0, "finished", 4),
    )  # fmt: skip
    assert jobs.spent(folder) == [of(BPE, 11, 12), of(TRAIN, 10, 30, threads=8, gpus=1)]


def test_hours_are_of_the_clock():
    assert of(BPE, 1000, 1000 + 5400).hours == 1.5


def test_earlier_starts_are_kept_whatever_numbers_jobs_have_there(folder):
    start(folder, {1: BPE}, (1.0, "started", 1), (2.0, "finished", 1))
    start(folder, {1: TRAIN}, (5.0, "started", 1), (9.0, "finished", 1))
    start(folder, {})
    assert jobs.spent(folder) == [of(BPE, 1, 2), of(TRAIN, 5, 9)]


def test_of_a_job_that_ran_again_its_last_time_counts(folder):
    start(folder, {1: BPE}, (1.0, "started", 1), (2.0, "finished", 1))
    start(folder, {7: BPE}, (10.0, "started", 7), (15.0, "finished", 7))
    assert jobs.spent(folder) == [of(BPE, 10, 15)]
    # also where its wildcards are named in another order
    start(folder, {1: TRAIN}, (20.0, "started", 1), (21.0, "finished", 1))
    again = TRAIN | {"wildcards": dict(reversed(TRAIN["wildcards"].items()))}
    start(folder, {1: again}, (30.0, "started", 1), (32.0, "finished", 1))
    assert jobs.spent(folder) == [of(BPE, 10, 15), of(TRAIN, 30, 32)]


def test_a_job_that_was_started_again_took_its_last_attempt(folder):
    events = [(1.0, "started", 1), (5.0, "failed", 1), (6.0, "started", 1), (8.0, "finished", 1)]
    start(folder, {1: TRAIN}, *events)
    assert jobs.spent(folder) == [of(TRAIN, 6, 8)]


def test_an_interrupted_start_keeps_what_had_ended_and_what_ended_before(folder):
    start(folder, {1: BPE, 2: TRAIN}, (1.0, "started", 1), (2.0, "finished", 1), (3.0, "started", 2))
    assert jobs.spent(folder) == [of(BPE, 1, 2)]
    # interrupted again before anything has ended: nothing is counted twice
    start(folder, {1: TRAIN}, (10.0, "started", 1), '{"time": 11.0, "event": "ended", "success": false}\n')
    assert jobs.spent(folder) == [of(BPE, 1, 2)]
    start(folder, {1: TRAIN}, (20.0, "started", 1), (25.0, "finished", 1))
    assert jobs.spent(folder) == [of(BPE, 1, 2), of(TRAIN, 20, 25)]


def test_half_a_line_is_no_line(folder):
    start(folder, {1: BPE, 2: TRAIN}, (1.0, "started", 1), (2.0, "finished", 1), '{"time": 3.0, "event": "fini')
    assert jobs.spent(folder) == [of(BPE, 1, 2)]
    start(folder, {1: TRAIN}, (5.0, "started", 1), (6.0, "finished", 1))
    with open(folder / jobs.SPENT, "a", encoding="utf-8") as file:
        file.write('{"rule": "tra')
    assert jobs.spent(folder) == [of(BPE, 1, 2), of(TRAIN, 5, 6)]


def test_an_end_whose_start_is_not_known_takes_no_time(folder):
    start(folder, {1: BPE}, (2.0, "finished", 1))
    assert jobs.spent(folder) == []


def test_a_run_that_was_never_started_took_nothing(folder):
    assert jobs.spent(folder) == []


def test_what_was_written_is_read_without_the_rest_of_the_record(folder, tmp_path):
    """As a report keeps it."""
    known = [of(BPE, 1, 2), of(TRAIN | {"wildcards": {"system": "ä"}}, 2.25, 9.5, gpus=2)]
    jobs.write_spent(known, tmp_path / "kept")
    assert jobs.spent(tmp_path / "kept") == known
    assert (tmp_path / "kept" / jobs.SPENT).read_text("utf-8") == "".join(map(jobs.line, known))
    assert "ä" in jobs.line(known[1])


def test_the_record_lies_below_the_results():
    assert f"results/{jobs.folder('r')}" == str(jobs.RUNS / "r")
