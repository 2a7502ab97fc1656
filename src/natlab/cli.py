"""`natlab <verb>`: every rule of the workflow calls it, and so can a person.

A verb is a module with ``add_arguments(parser)`` and ``run(args)``; only the called verb's module is imported, so a
step that needs neither torch nor fairseq pays for neither.
"""

import argparse
import codecs
import importlib
import io
import os
import sys

from natlab import devices
from natlab.errors import UserError

VERBS = {
    # verb: (module, what it does), along the street
    "check": ("natlab.config.loading", "validate a run's configuration and say what it would build"),
    "preflight": ("natlab.preflight", "what a run would do: jobs, hours, disk, what is missing, what reruns and why"),
    "status": ("natlab.status", "where every job of a run stands"),
    "tidy": ("natlab.tidy", "what under results/ nothing needs any more, how much that is, and, if asked, its end"),
    "fetch": ("natlab.corpus.fetch", "fetch one file, from the mirror or its address, and check it"),
    "extract": ("natlab.corpus.extract", "write a fetched corpus as plain text, split by split"),
    "grammar": ("natlab.corpus.grammar", "generate the embedded corpus, or show some of its sentences"),
    "noise": ("natlab.corpus.noise", "make a noise corpus from another corpus' targets"),
    "clean": ("natlab.corpus.clean", "normalise, tokenise, filter and deduplicate a corpus"),
    "bpe": ("natlab.corpus.bpe", "learn subwords on a corpus and split it into them"),
    "binarise": ("natlab.corpus.binarise", "write a corpus as a fairseq data folder"),
    "kernels": ("natlab.kernels.verb", "build the kernels' libraries, or say what is built and what runs here"),
    "train": ("natlab.training.train", "train one model from a resolved spec"),
    "distil": ("natlab.measuring.distil", "decode one shard of a corpus side with a teacher"),
    "merge-distilled": ("natlab.corpus.distilled", "put distilled shards together into a fairseq data folder"),
    "candidates": ("natlab.select.candidates", "put a corpus and several teachers' targets together for dynamic KD"),
    "decode": (
        "natlab.measuring.translate",
        "translate a test set by each decoding of a model, and measure its losses",
    ),
    "latency": ("natlab.measuring.latency", "time a model's decodings against a teacher's, one sentence at a time"),
    "speed": ("natlab.measuring.speed", "measure all ways to translate with a corpus' models beside each other"),
    "packages": ("natlab.measuring.packages", "install what COMET and BLEURT need beside natlab's own packages"),
    "score": ("natlab.measuring.learned", "score a model's translations by COMET or BLEURT"),
    "measure": ("natlab.measuring.measure", "turn translations and losses into measurements"),
    "graphs": ("natlab.measuring.graphs", "write the graphs that a model makes of the first sentences of test"),
    "surface": ("natlab.measuring.surface", "evaluate one row of a grid over the plane through three models"),
    "provenance": ("natlab.provenance", "write what a run's numbers rest on: configuration, code, data, models"),
    "table": ("natlab.report.tables", "write one table as CSV, Markdown and LaTeX"),
    "figure": ("natlab.report.figures", "draw one figure as PNG, PDF and SVG, with its values as CSV and Markdown"),
    "claims": ("natlab.report.claims", "test a paper's claims on what was measured, as CSV and Markdown"),
    "report": ("natlab.report.page", "write a run's HTML page, its measurements.csv and its record"),
    "rebuild": ("natlab.report.rebuild", "make a committed report again of its record, without models"),
    "export": ("natlab.export.verb", "make a bundle of a trained system, which translates plain text"),
    "translate": ("natlab.bundles.translate", "translate plain text, a line for a line, by one bundle or several"),
    "overview": ("natlab.report.overview", "write the one page over all reports, reports/index.html"),
    "compare": ("natlab.report.compare", "list every value of two reports that differs by more than seeds do"),
    "show": ("natlab.report.show", "print a table and where its report lies"),
}


# what tables and messages have beyond ASCII, for terminals that have not
ASCII = {"−": "-", "–": "-", "—": "-", "×": "x", "±": "+-", "≤": "<=", "≥": ">=", "…": "...", "→": "->"}


def spelled(error: UnicodeEncodeError) -> tuple[str, int]:
    """What stands in for letters that a terminal has not (an error handler of `codecs`): signs keep their meaning."""
    letters = error.object[error.start : error.end]
    return "".join(ASCII.get(c, c.encode("ascii", "backslashreplace").decode()) for c in letters), error.end


def main(argv: list[str] | None = None) -> int:
    """Run one verb. Exit status 0; 2 with one line on standard error when the input is at fault."""
    if argv is None and sys.getfilesystemencoding() != "utf-8":
        # start again, so that files' names and arguments are UTF-8 on any terminal, for all that is imported, too
        os.environ.setdefault("PYTHONIOENCODING", sys.stdout.encoding)
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, "-m", "natlab.cli", *sys.argv[1:]])
    codecs.register_error("spelled", spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="spelled")
    argv = sys.argv[1:] if argv is None else argv
    try:
        return _called(argv)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "natlab"):
            raise
        extra = "use" if argv[0] == "translate" else "train"
        print(f"natlab {argv[0]}: needs {package}; install it: pip install 'natlab[{extra}]'", file=sys.stderr)
        return 2


def _called(argv: list[str]) -> int:
    """Run the verb that the arguments name."""
    parser = argparse.ArgumentParser(prog="natlab", description=__doc__.split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verb")
    called = argv[0] if argv else None
    for verb, (module, help_text) in VERBS.items():
        sub = verbs.add_parser(verb, help=help_text, description=help_text)
        if verb == called:
            importlib.import_module(module).add_arguments(sub)
    args = parser.parse_args(argv)
    try:
        devices.claim(alone=args.verb in ("latency", "speed"))  # which another job would disturb
        importlib.import_module(VERBS[args.verb][0]).run(args)
    except UserError as error:
        print(f"natlab {args.verb}: {error}", file=sys.stderr)
        return 2
    except PermissionError as error:  # of a folder that several people share, most likely
        if error.filename is None:
            raise
        print(
            f"natlab {args.verb}: {error.filename}: {error.strerror}; ask its owner, or work elsewhere", file=sys.stderr
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
