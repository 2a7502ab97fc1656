"""The packages that COMET and BLEURT need, beside natlab's own. The verb ``packages``.

They lie in a folder that stands before natlab's environment on Python's path, where numpy < 2 hides natlab's: all that
both can share, torch first of all, is installed once.
"""

import argparse
import subprocess
import sys

from natlab.corpus.text import folder_aside
from natlab.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``packages``."""
    parser.add_argument("--requirements", required=True, help="pins of all of them, requirements-metrics.lock")
    parser.add_argument("--out", required=True, help="the folder to install them into")


def run(args: argparse.Namespace) -> None:
    """Install them. UserError where pip cannot."""
    with folder_aside(args.out) as out:
        # the file pins all that there is: nothing is resolved, and nothing but wheels is run
        install = ["install", "--no-deps", "--only-binary", ":all:", "--quiet", "--disable-pip-version-check"]
        target = ["--target", str(out), "--requirement", args.requirements]
        done = subprocess.run([sys.executable, "-m", "pip", *install, *target], stderr=subprocess.PIPE, text=True)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
            raise UserError(
                f"{args.requirements}: pip cannot install it ({'; '.join(errors)[:300]}); without a network, set "
                "PIP_NO_INDEX=1 and PIP_FIND_LINKS to a folder of its wheels"
            )
