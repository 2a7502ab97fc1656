"""The slurm profile as it is shipped, on a real Slurm of one node that tests/slurm/slurm starts."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from natlab.files import lines, read_json

SCRIPT = Path(__file__).resolve().parents[1] / "slurm/slurm"
TOOLS = ("munged", "slurmctld", "slurmd", "sbatch")
MISSING = [tool for tool in TOOLS if shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING),
    reason=f"no Slurm here: {', '.join(MISSING)} not found; apt-get install slurmctld slurmd slurm-client munge",
)
PATIENCE = 1200  # seconds until a run that comes to no end is given up
# While the transformer, which nothing waits for, runs out of its time, the other one goes down the street.
TARGETS = ("models", "results/measurements/small/test/vanilla_raw/seed1")
UPDATES, EVERY = 120, 20
TRAINING = {
    "size": "table6_1", "updates": UPDATES, "batch_tokens": 1000, "update_freq": 1, "lr": 0.005, "warmup": 10,
    "schedule": "inverse_sqrt", "label_smoothing": 0.0, "weight_decay": 0.0, "clip_norm": 0, "dropout": None,
    "precision": "fp32", "validate_every": EVERY, "average_best": 2,
}  # fmt: skip
# Slurm's names of the jobs
TRANSFORMER, VANILLA = (f"rule_train_wildcards_small_test_{system}_1" for system in ("transformer", "vanilla_raw"))
TRANSLATE, MEASURE = (f"rule_{rule}_wildcards_small_test_vanilla_raw_1" for rule in ("translate", "measure"))


class Smoke:
    """A run whose two trainings Slurm interrupts: one by scancel, one by its time limit."""

    def __init__(self, project, slurm: Path):
        self.project, self.slurm = project, slurm
        # Every variable of a Slurm around the tests would be taken for this one's.
        outer = {
            name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH", "NATLAB"))
        }
        path = os.pathsep.join([str(slurm / "bin"), str(Path(sys.executable).parent), outer["PATH"]])
        # The copy's own code: whoever edits the code during these minutes would change what the trainings are.
        own = {"PATH": path, "PYTHONPATH": str(project.root / "src"), "SLURM_CONF": str(slurm / "slurm.conf")}
        self.environment = {**outer, **own, "OMP_NUM_THREADS": "1"}
        self.visible: dict[str, str] = {}

    def ask(self, *command: str) -> str:
        return subprocess.run(command, env=self.environment, text=True, check=True, capture_output=True).stdout

    def trainer(self, system: str) -> dict | None:
        """Who trains a system, once its first checkpoint is there; None before."""
        for folder in self.project.root.glob(f"results/checkpoints/small/test/{system}/seed1/*"):
            if any(folder.glob("checkpoint_*.pt")):
                assert not (folder / "finished.json").exists(), "the training was faster than this test"
                return read_json(folder / "lock")
        return None

    def gpus_of(self, process: int) -> str:
        """What its starter let a process see."""
        variables = Path(f"/proc/{process}/environ").read_text(encoding="utf-8").split("\0")
        return dict(variable.split("=", 1) for variable in variables if "=" in variable)["CUDA_VISIBLE_DEVICES"]

    def run(self) -> None:
        """The corpora on this machine, the rest through Slurm."""
        corpora = self.project.snakemake("corpora")
        assert corpora.returncode == 0, corpora.stdout
        command = [
            *"-m snakemake --workflow-profile slurm --slurm-init-seconds-before-status-checks 2".split(),
            *TARGETS,
        ]
        said = self.project.root / "snakemake.txt"
        with open(said, "w", encoding="utf-8") as output:
            snakemake = subprocess.Popen(
                [sys.executable, *command],
                cwd=self.project.root,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self.interrupt(snakemake)
            snakemake.wait(PATIENCE)
        finally:
            snakemake.kill()
        self.said = said.read_text(encoding="utf-8")
        assert snakemake.returncode == 0, self.said

    def interrupt(self, snakemake: subprocess.Popen) -> None:
        """Once each training has a checkpoint, cancel one and let the other one run out of time."""
        waiting = {"vanilla_raw", "transformer"}
        while waiting and snakemake.poll() is None:
            time.sleep(0.05)
            for system in sorted(waiting):
                trainer = self.trainer(system)
                if trainer is None:
                    continue
                waiting.remove(system)
                self.visible[system] = self.gpus_of(trainer["pid"])
                if system == "vanilla_raw":
                    self.ask("scancel", trainer["job"])
                else:  # It stands still until its time is over: Slurm wakes a job up before it ends it.
                    os.kill(trainer["pid"], signal.SIGSTOP)

    def jobs(self) -> dict[str, list[dict]]:
        """{rule and wildcards: Slurm's record of each attempt, in order}."""
        found: dict[str, list[dict]] = {}
        for line in self.ask("scontrol", "--oneliner", "show", "job").splitlines():
            record = dict(re.findall(r"(\S+?)=(\S*)", line))
            found.setdefault(record["Comment"], []).append(record)
        return found


@pytest.fixture(scope="module")
def smoke(tmp_path_factory, copy_of_workflow):
    project = copy_of_workflow(tmp_path_factory.mktemp("smoke"))
    (project.root / "bin" / "natlab").unlink()
    config = project.root / "config"

    def write(file, value):
        (config / file).write_text(yaml.safe_dump(value), encoding="utf-8")

    dataset = yaml.safe_load((config / "datasets/grammar_ende.yaml").read_text(encoding="utf-8"))
    dataset["source"].update(pairs=300, valid=20, test=20, references=1)
    write("datasets/small.yaml", dataset)
    write(
        "scales/test.yaml",
        {
            "teacher": TRAINING, "student": TRAINING, "finetune": {},
            "distil": {"beam": 2, "batch_tokens": 1000, "shards": 2},
            "latency": {"sentences": 3, "warmup": 1}, "threads": 1, "gpus": 1,
        },
    )  # fmt: skip
    write(
        "config.yaml",
        {
            "run": "smoke", "scale": "test", "seeds": [1], "corpora": {"wmt14_ende": "small"},
            "tables": ["mple/table1"], "systems": ["transformer", "vanilla_raw"], "tracking": {"backend": "none"},
        },
    )  # fmt: skip
    # A site's edit: one training's first attempt may run a minute, all others ten.
    short = "1 if wildcards.system == 'transformer' and attempt == 1 else 10"
    project.edit("profiles/slurm/profile.yaml", "runtime: 1440", f"runtime: {short}")

    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([SCRIPT, "start", folder], check=True)
    try:
        smoke = Smoke(project, folder)
        smoke.run()
        yield smoke
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=True)


def test_the_run_is_complete_and_slurm_knows_its_jobs(smoke):
    for system in ("transformer", "vanilla_raw"):
        assert (smoke.project.root / f"results/models/small/test/{system}/seed1/model.pt").exists()
    measured = read_json(smoke.project.root / TARGETS[1] / "argmax.test.json")
    assert measured["sentences"] == 20
    jobs = smoke.jobs()
    assert set(jobs) == {TRANSFORMER, VANILLA, TRANSLATE, MEASURE}
    assert {attempts[-1]["JobState"] for attempts in jobs.values()} == {"COMPLETED"}
    # Slurm's lasting record: a line for each job that ended
    recorded = dict(re.search(r"JobId=(\d+) .*JobState=(\S+)", line).groups() for line in lines(smoke.slurm / "jobs"))
    assert recorded == {attempt["JobId"]: attempt["JobState"] for attempts in jobs.values() for attempt in attempts}


def test_jobs_that_ask_for_a_gpu_get_their_own(smoke):
    jobs = smoke.jobs()
    for job, asked in (
        (TRANSFORMER, "gres:gpu:1"),
        (VANILLA, "gres:gpu:1"),
        (TRANSLATE, "gres:gpu:1"),
        (MEASURE, None),
    ):
        assert {attempt.get("TresPerJob") for attempt in jobs[job]} == {asked}
    assert set(smoke.visible.values()) == {"0", "1"}  # of the two trainings, which ran side by side


def test_the_profile_says_memory_time_and_threads(smoke):
    train, measure = (smoke.jobs()[job][0] for job in (TRANSFORMER, MEASURE))
    assert (train["MinMemoryNode"], train["TimeLimit"], train["NumCPUs"]) == ("16000M", "00:01:00", "1")
    assert (measure["MinMemoryNode"], measure["TimeLimit"], measure["NumCPUs"]) == ("8000M", "04:00:00", "1")


@pytest.mark.parametrize(
    "system, job, ended", [("vanilla_raw", VANILLA, "CANCELLED"), ("transformer", TRANSFORMER, "TIMEOUT")]
)
def test_a_training_that_slurm_ends_saves_and_its_next_attempt_goes_on_from_there(smoke, system, job, ended):
    assert smoke.jobs()[job][0]["JobState"] == ended
    [folder] = smoke.project.root.glob(f"results/checkpoints/small/test/{system}/seed1/*")
    log = (smoke.project.root / f"results/logs/train/small/test/{system}/seed1.log").read_text(encoding="utf-8")
    resumed = int(re.search(rf"resuming from \S*/{folder.name}/checkpoint_(\d+)\.pt", log).group(1))
    assert EVERY <= resumed < UPDATES
    # The log of the first attempt is gone, but Snakemake has shown it.
    assert f"SIGTERM: saved at update {resumed} of {UPDATES}" in smoke.said
    curve = [json.loads(line) for line in lines(folder / "curve.jsonl")]
    assert [row["num_updates"] for row in curve if row["subset"] == "valid"] == list(range(EVERY, UPDATES + 1, EVERY))
