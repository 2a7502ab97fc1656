"""The pack for a GPU, whole, on a CPU: what its stages leave, what a failure and a deadline stop, what comes back."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import psutil
import pytest
import torch
import yaml

from natlab.models.load import load
from natlab.schema import validate

REPOSITORY = Path(__file__).resolve().parents[2]
TRAINING = {
    "size": "table6_1", "updates": 20, "batch_tokens": 1000, "update_freq": 1, "lr": 0.005, "warmup": 5,
    "schedule": "inverse_sqrt", "label_smoothing": 0.0, "weight_decay": 0.0, "clip_norm": 0, "dropout": None,
    "precision": "fp32", "validate_every": 10, "average_best": 2,
}  # fmt: skip
SCALE = {
    "teacher": TRAINING, "student": TRAINING, "finetune": {"updates": 5, "warmup": 0},
    "distil": {"beam": 2, "batch_tokens": 1000, "shards": 1}, "latency": {"sentences": 3, "warmup": 1},
    "threads": 1, "gpus": 0,
}  # fmt: skip
RUN = {
    "run": "toy", "scale": "toy", "seeds": [1], "corpora": {"wmt14_ende": "toy"}, "tables": ["mple/table4"],
    "systems": ["transformer", "vanilla_kd", "glat_kd"], "tracking": {"backend": "none"},
}  # fmt: skip


def checkout(root: Path) -> Path:
    """A checkout without its history, all of its files new, with a run of seconds."""
    for name in ("benchmarks", "config", "profiles", "src", "tests/decoding", "tests/kernels", "workflow"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(REPOSITORY / name, root / name, ignore=ignored, copy_function=shutil.copyfile)
    for name in ("Snakefile", "pyproject.toml", "tests/conftest.py", "tests/plain.py"):
        shutil.copyfile(REPOSITORY / name, root / name)
    dataset = yaml.safe_load((root / "config/datasets/grammar_ende.yaml").read_text(encoding="utf-8"))
    dataset["source"].update(pairs=300, valid=20, test=20, references=1)
    for file, value in (("datasets/toy", dataset), ("scales/toy", SCALE), ("runs/toy", RUN)):
        (root / f"config/{file}.yaml").write_text(yaml.safe_dump(value), encoding="utf-8")
    return root


def tool(path: Path, does: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
    path.chmod(0o755)


def on_gpu(root: Path, *stages: str, **environment: str) -> subprocess.Popen:
    """The script at toy size, started. Of the tools, compute-sanitizer fails, and the compiler does not optimise."""
    tool(root / "bin/compute-sanitizer", "exit 9")
    tool(root / "bin/quick", 'exec c++ "$@" -O0')
    variables = {
        **{name: value for name, value in os.environ.items() if name not in ("OUT", "NATLAB_KERNELS")},
        **{"PATH": f"{root / 'bin'}:{os.environ['PATH']}", "PYTHON": sys.executable, "NVCC": "", "CXX": "quick"},
        **{"NATLAB_GPU_RUN": "config/runs/toy.yaml", "CUDA_VISIBLE_DEVICES": "", **environment},
    }
    command = ["bash", "benchmarks/on_gpu.sh", "--toy", *stages]
    return subprocess.Popen(command, cwd=root, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wheel(folder: Path) -> None:
    """A wheel that nothing else has brought."""
    folder.mkdir(parents=True)
    about = "carried-1.0.dist-info"
    with zipfile.ZipFile(folder / "carried-1.0-py3-none-any.whl", "w") as file:
        file.writestr("carried.py", "")
        file.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: carried\nVersion: 1.0\n")
        file.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{about}/RECORD", f"carried.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """(a checkout in which all stages have run, the script's exit status, what it said, its errors)."""
    root = checkout(tmp_path_factory.mktemp("gpu"))
    wheel(root / "build/gpu_pack/wheels")
    (root / "build/gpu_pack/commit").write_text("c0ffee\n", encoding="utf-8")
    script = on_gpu(root, "evidence", "install", "speed", "kernels")
    said = script.communicate()
    return root, script.returncode, *said


def found(root: Path) -> dict:
    return json.loads((root / "build/gpu/out/on_gpu.json").read_text(encoding="utf-8"))


def test_stages_run_in_their_order_and_one_that_fails_stops_none(measured):
    root, status, _, errors = measured
    steps = {(step["stage"], step["step"]): step["status"] for step in found(root)["steps"]}
    log = (root / "build/gpu/out/on_gpu.log").read_text(encoding="utf-8")
    assert list(dict.fromkeys(stage for stage, _ in steps)) == ["install", "kernels", "speed", "evidence"]
    assert steps.pop(("kernels", "sanitizer")) == "9"
    assert set(steps.values()) == {"0"}, log
    assert status == 1 and errors == ""


def test_the_table_comes_last_and_says_what_was_measured(measured):
    root, _, said, _ = measured
    table = said[said.index("no GPU; commit c0ffee; ") :]
    assert len(table.splitlines()) < 60
    for row in ("5 tests, 0 failures", "assign 64 x 16 x 16 ", "training table6_1, tokens/s", "latency glat_kd lpd3 b",
                "latency dat_raw dag_samples f", "shared cpu, updates/s +vanilla_raw ",
                "distillation, sentences/s", "transformer beam5 ", "kernels: sanitizer +failed \\(9\\)"):  # fmt: skip
        assert re.search(row, table), row
    assert "| GLAT + KD " in found(root)["tables"]["mple.table4"]


def test_what_is_measured_comes_back_in_few_files(measured):
    names = {path.name for path in (measured[0] / "build/gpu/out").iterdir()}
    assert names == {"on_gpu.json", "on_gpu.log", "costs.yaml", "corpora.tar.xz", "seed1.tar.xz"}


def test_wheels_are_installed_beside_what_python_has(measured):
    root = measured[0]
    python = root / "build/gpu/venv/bin/python"
    code = "import carried, torch, natlab; print(carried.__file__, torch.__file__, natlab.__file__)"
    carried, with_torch, natlab = subprocess.check_output([python, "-c", code], text=True, cwd="/").split()
    assert Path(carried).is_relative_to(root) and Path(natlab).is_relative_to(root)
    assert with_torch == torch.__file__


def test_its_figures_fit_into_the_table_of_costs(measured):
    table = yaml.safe_load((REPOSITORY / "config/costs.yaml").read_text(encoding="utf-8"))
    proposed = yaml.safe_load((measured[0] / "build/gpu/out/costs.yaml").read_text(encoding="utf-8"))
    for key, value in proposed.items():
        table[key] |= value
    validate(table, REPOSITORY / "workflow/schemas/costs.schema.yaml", "costs.yaml")
    assert table["devices"]["gpu"]["measured"] and table["devices"]["gpu"]["train_gflops"]["bf16"] > 0


def planned(root: Path, *arguments: str) -> set[tuple[str, ...]]:
    """(rule, system, seed) of the jobs that Snakemake would run until all is measured."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1"]
    command += ["--configfile", "config/runs/toy.yaml", *arguments, "--", "measured"]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
    jobs = re.findall(r"^(?:local)?rule (\w+):(.*?)^$", said.stdout + "\n", re.MULTILINE | re.DOTALL)
    return {
        (rule, *(found[1] for name in ("system", "seed") if (found := re.search(rf"\b{name}=(\w+)", text))))
        for rule, text in jobs
        if rule != "measured"
    }


def restored(out: Path, root: Path) -> Path:
    """A new checkout into which what came back has been unpacked."""
    checkout(root)
    command = [sys.executable, "-m", "benchmarks.gpu.pack", "--restore", str(out)]
    subprocess.run(command, cwd=root, check=True)
    return root


def test_what_was_whole_is_made_again_elsewhere_only_if_a_source_has_changed(measured, tmp_path):
    root = restored(measured[0] / "build/gpu/out", tmp_path)
    assert not list(root.glob("results/models/**/model.pt")) and not (root / "results/translations").exists()
    assert planned(root) == set()
    assert {job[-1] for job in planned(root, "--config", "seeds=[1,2]")} == {"2"}
    source = root / "src/natlab/proxy/targets/kd.py"
    source.write_text(f"{source.read_text(encoding='utf-8')}\n# changed\n", encoding="utf-8")
    again = planned(root)
    assert {("train", "vanilla_kd", "1"), ("train", "glat_kd", "1")} <= again
    assert not {rule for rule, *_ in again} & {"grammar", "clean", "bpe", "binarise"}


def test_told_to_end_it_packs_what_is_whole_and_the_next_call_goes_on(measured, tmp_path):
    """Students that would train for days. The teacher is still to choose among the candidates of one."""
    root = tmp_path / "first"
    shutil.copytree(measured[0], root, symlinks=True, ignore=shutil.ignore_patterns("out"))
    scale = yaml.safe_dump({**SCALE, "student": {**TRAINING, "updates": 10**6}})
    (root / "config/scales/toy.yaml").write_text(scale, encoding="utf-8")
    curves = "results/checkpoints/toy/toy/vanilla_kd/seed1/*/curve.jsonl"
    before = set(root.glob(curves))
    script = on_gpu(root, "evidence")
    while script.poll() is None and set(root.glob(curves)) == before:
        time.sleep(0.1)
    [limited] = psutil.Process(script.pid).children()
    limited.terminate()  # `timeout`, which ends Snakemake and its jobs as it does when the time is over
    script.communicate()
    log = (root / "results/logs/train/toy/toy/vanilla_kd/seed1.log").read_text(encoding="utf-8")
    assert "SIGTERM: saved at update" in log
    assert [(step["step"], step["status"]) for step in found(root)["steps"]][1:] == [
        ("pack", "0"),
        ("mple/table4", "0"),
    ]
    out = root / "build/gpu/out"
    assert {path.name for path in out.glob("*.xz")} == {"corpora.tar.xz", "seed1.tar.xz", "transformer.seed1.tar.xz"}
    other = restored(out, tmp_path / "second")
    (other / "config/scales/toy.yaml").write_text(scale, encoding="utf-8")
    left = {(rule, system, "1") for rule in ("train", "translate", "measure") for system in ("vanilla_kd", "glat_kd")}
    assert planned(other) == left
    model = "results/models/toy/toy/transformer/seed1/model.pt"
    whole, rounded = (load(folder / model)[0].state_dict() for folder in (root, other))
    for name, value in rounded.items():
        assert torch.equal(value, whole[name].bfloat16().float()), name


def test_when_its_time_is_over_it_ends(measured, tmp_path):
    root = tmp_path / "checkout"
    shutil.copytree(measured[0], root, symlinks=True, ignore=shutil.ignore_patterns("out"))
    on_gpu(root, "speed", "kernels", NATLAB_GPU_SECONDS="1").communicate()
    steps = {step["step"]: step["status"] for step in found(root)["steps"]}
    assert steps == {"tests": "124", "benchmarks": "124", "sanitizer": "9", "speed": "124"}


def test_without_a_gpu_it_refuses_to_measure(tmp_path):
    tool(tmp_path / "bin/nvidia-smi", "exit 9")
    path = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    said = subprocess.run(
        ["bash", REPOSITORY / "benchmarks/on_gpu.sh", "install"], capture_output=True, text=True, env=path
    )
    assert said.returncode == 2 and "there is no GPU here; --toy tries all of it on a CPU" in said.stdout


def test_a_stage_that_is_none_is_refused():
    said = subprocess.run(["bash", REPOSITORY / "benchmarks/on_gpu.sh", "--toy", "all"], capture_output=True, text=True)
    assert said.returncode == 2 and said.stdout.startswith("on_gpu.sh: 'all' is no stage; give some of: ")


def test_its_wheels_are_locked():
    names = (REPOSITORY / "benchmarks/gpu/requirements.txt").read_text(encoding="utf-8").splitlines()
    locked = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    assert all(f"\n{name}==" in locked for name in names if not name.startswith("#"))
