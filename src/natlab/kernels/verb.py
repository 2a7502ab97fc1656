"""`natlab kernels build --out DIR [--threads N]` and `natlab kernels info`."""

import argparse
import os
from pathlib import Path

from natlab.kernels import build, library


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``kernels``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    building = actions.add_parser("build", help="compile the kernels' libraries")
    building.add_argument("--out", type=Path, required=True, help="folder of all builds: results/kernels")
    building.add_argument("--threads", type=int, default=os.cpu_count(), help="files compiled at once (all cores)")
    actions.add_parser("info", help="print what is built, for what, and what runs here")


def run(args: argparse.Namespace) -> None:
    """Build, or say what is built. UserError as `build.build`."""
    if args.action == "build":
        manifest = build.build(args.out, args.threads)
        print("\n".join(build.described(manifest)))
    else:
        print("\n".join(library.info()))
