"""The libraries, built once for all tests, and what to run the ops on."""

import fcntl
import io
import os
from contextlib import redirect_stderr
from pathlib import Path

import pytest
import torch

from natlab.kernels import build, levels, use
from natlab.kernels.build import LEVELS


@pytest.fixture(scope="session", autouse=True)
def kernels(tmp_path_factory) -> Path:
    """Builds the present sources once for all workers, without a warning; in $NATLAB_KERNELS where that is set.

    CUDA code is compiled where it can run; that it compiles is a test of its own.
    """
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    folder = Path(os.environ.get("NATLAB_KERNELS", shared / "kernels"))
    folder.mkdir(parents=True, exist_ok=True)
    with (
        pytest.MonkeyPatch.context() as environment,
        open(folder / ".lock", "w") as lock,
        redirect_stderr(io.StringIO()) as words,
    ):
        if not torch.cuda.is_available():
            environment.setenv("NVCC", "")
        fcntl.flock(lock, fcntl.LOCK_EX)
        build.build(folder, threads=os.cpu_count())
    assert words.getvalue() == ""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NATLAB_KERNELS", str(folder))
        yield folder


@pytest.fixture(scope="module", params=[*LEVELS, "cuda"])
def device(request):
    """A device for a test's tensors, "cpu" or "cuda"; on the CPU at each instruction level in turn."""
    if request.param == "cuda":
        if not torch.cuda.is_available():
            pytest.skip("there is no GPU")
        yield "cuda"
    else:
        if request.param not in levels():
            pytest.skip(f"this CPU has no {request.param}")
        with use(level=request.param):
            yield "cpu"
