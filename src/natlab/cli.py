"""`natlab <verb>`: every rule of the workflow calls it, and so can a person.

A verb is a module with ``add_arguments(parser)`` and ``run(args)``; only the called verb's module is imported, so a
step that needs neither torch nor fairseq pays for neither.
"""

import argparse
import importlib
import sys

from natlab.errors import UserError

VERBS = {
    # verb: (module, what it does)
    "train": ("natlab.training.train", "train one model from a resolved spec"),
    "distil": ("natlab.decoding.distil", "decode one shard of a corpus side with a teacher"),
    "merge-distilled": ("natlab.corpus.distilled", "put distilled shards together into a fairseq data folder"),
    "translate": ("natlab.decoding.translate", "translate with every decoding a model needs, and measure its losses"),
    "latency": ("natlab.metrics.latency", "time a model's decodings against a teacher's, one sentence at a time"),
    "measure": ("natlab.metrics.measure", "turn translations and losses into measurements"),
    "table": ("natlab.report.tables", "write one table as CSV, Markdown and LaTeX"),
    "report": ("natlab.report.page", "write a run's HTML page and its measurements.csv"),
    "show": ("natlab.report.show", "print a table and where its report lies"),
    "check": ("natlab.config", "validate a run's configuration"),
}


def main(argv: list[str] | None = None) -> int:
    """Run one verb. Exit status 0; 2 with one line on standard error when the input is at fault."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="natlab", description=__doc__.split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verb")
    called = argv[0] if argv else None
    for verb, (module, help_text) in VERBS.items():
        sub = verbs.add_parser(verb, help=help_text, description=help_text)
        if verb == called:
            importlib.import_module(module).add_arguments(sub)
    args = parser.parse_args(argv)
    try:
        importlib.import_module(VERBS[args.verb][0]).run(args)
    except UserError as error:
        print(f"natlab {args.verb}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
