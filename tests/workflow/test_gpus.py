"""What the rules tell jobs of GPUs, and Snakemake of how many they take."""

import re

import pytest


@pytest.mark.parametrize("machine, training", [(1, 1), (4, 2)])
def test_gpu_jobs_claim_what_they_take_and_no_shell_stays_before_natlab(fresh, machine, training):
    """A shell would die of the signal that ends a Slurm job, and natlab with it, before it has saved."""
    fresh.edit("config/scales/demo.yaml", "gpus: 0", "gpus: 2")
    for _ in ("teacher", "student"):
        fresh.edit("config/scales/demo.yaml", "update_freq: 1", "update_freq: 2")
    result = fresh.snakemake("--dry-run", "--printshellcmds", "--resources", f"gpu={machine}")
    assert result.returncode == 0, result.stdout
    asked = {}
    for block in re.split(r"\n(?:local)?rule ", result.stdout)[1:]:
        if gpus := re.search(r"gpu=(\d)", block):
            command = block.split("Shell command: ")[1]
            assert re.match(rf"OMP_NUM_THREADS=\d+ NATLAB_GPUS={gpus.group(1)} exec natlab ", command), command
            asked[block.partition(":")[0]] = int(gpus.group(1))
    assert asked == {"train": training, "distil": 1, "translate": 1, "latency": 1, "graphs": 1}
