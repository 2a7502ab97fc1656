"""For all tests: no property-based test fails for being slow, since how slow it is depends on the machine's load."""

import json
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings

from natlab import sources

settings.register_profile("natlab", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("natlab")

# runs a verb's module and says which of natlab's modules that has imported
RUN = """
import argparse, importlib, json, sys
importlib.import_module(sys.argv[1]).run(argparse.Namespace(**json.loads(sys.argv[2])))
print(json.dumps({name: module.__file__ for name, module in sys.modules.items() if name.startswith("natlab.")}))
"""


@pytest.fixture(scope="session")
def imported():
    """A function: natlab's files that a verb imports, in a process that has imported nothing before, and those of them
    at which following imports stops, with all that they import."""

    def run(module, arguments):
        command = [sys.executable, "-c", RUN, module, json.dumps(vars(arguments))]
        ran = subprocess.run(command, text=True, capture_output=True)
        assert ran.returncode == 0, ran.stderr
        loaded = json.loads(ran.stdout.splitlines()[-1])
        with mock.patch.dict(sources.STOPS):
            stopped = [name for name in loaded if sources.stopped(name)]
            sources.STOPS.clear()
            beyond = sources.files(stopped, Path(sources.__file__).parent)
        return {Path(file) for file in loaded.values()}, set(beyond)

    return run
