"""What determines a model and what is made of it: the files of natlab that making it imports.

They are found by following imports, without running any, from the modules of a verb and from those that it loads by
name: the members that a system's row names. Fingerprints and rules both ask here, so that they agree: a file that
nothing of a system imports, a new member beside its own, changes nothing of it.
"""

import ast
import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from natlab import families
from natlab.models import architectures, validation
from natlab.models.validation import BLEU, PLAIN

# Where following ends: modules, and packages with all in them, that change no number, each with the reason.
STOPS = {
    "natlab.corpus.dataset": "what a dataset's file says, rules hand on as parameters and as that file",
    "natlab.corpus.grammar": "an edit makes all generated corpora anew, and what rests on them",
    "natlab.errors": "how a refusal is raised",
    "natlab.families": "how members are found; those that a system names count",
    "natlab.files": "files are written whole and read as they are",
    "natlab.kernels": "each op gives what its plain twin gives, as tests say: a rebuild trains nothing again",
    "natlab.provenance": "what stands beside a number",
    "natlab.sources": "what it lists counts, not how it is found",
    "natlab.tracking": "copies of what is reported",
    "natlab.training.curve": "how a training's reports are written",
    "natlab.training.interruption": "when a training is asked to end, to be resumed",
    "natlab.training.lock": "which of two processes trains",
}


def training(spec: Mapping) -> list[str]:
    """The modules that train a system of a specification (`natlab.config`), those that load the others first."""
    return [
        "natlab.training.train",
        "natlab.training.plugin",  # which fairseq imports by its path
        *_members(spec),
        *_score(spec),
        *_kinds([validation.decoding(spec)]),
    ]


def decoding(decodings: Iterable[Mapping], engine: str = "natlab") -> list[str]:
    """The modules that translate under ``decodings`` by an engine; their kinds import the architectures that they
    decode."""
    checked = [] if engine == "natlab" else ["natlab.measuring.checked"]
    return ["natlab.decoding", "natlab.measuring.data", "natlab.models.load", *checked, *_kinds(decodings)]


def translation(spec: Mapping, decodings: Iterable[Mapping], engine: str = "natlab") -> list[str]:
    """The modules that translate with a system under ``decodings`` by an engine, tune these and measure its losses."""
    decodings = list(decodings)
    score = families.module("score", spec.get("select_by", BLEU)["name"])
    tuned = [score] if any(map(families.tuned, decodings)) else []
    members = [*_members(spec), *_members(validation.plain(spec))]
    return ["natlab.measuring.translate", *decoding(decodings, engine), *tuned, *members]


def distillation(engine: str) -> list[str]:
    """The modules by which a teacher distils with an engine."""
    return ["natlab.measuring.distil", f"natlab.measuring.distilling.{engine}", *decoding([{"kind": "beam"}])]


def latency(decodings: Iterable[Mapping]) -> list[str]:
    """The modules that time ``decodings`` and the reference's beam search."""
    return ["natlab.measuring.latency", *decoding([{"kind": "beam"}, *decodings])]


def graphs(spec: Mapping) -> list[str]:
    """The modules that write the graphs that a system makes."""
    return ["natlab.measuring.graphs", *decoding([{"kind": "graph"}]), *_members(spec)]


def speed(decodings: Iterable[Mapping]) -> list[str]:
    """The modules that time ``decodings`` by all engines."""
    return ["natlab.measuring.speed", *decoding(decodings)]


def surface() -> list[str]:
    """The modules that evaluate a plane through three NATs."""
    return ["natlab.measuring.surface", *decoding([{"kind": "argmax"}]), *_members(PLAIN)]


def measurement(scores: Iterable[Mapping]) -> list[str]:
    """The modules that measure translations by some scores."""
    return ["natlab.measuring.measure", *(families.module("score", score["name"]) for score in scores)]


def learned() -> list[str]:
    """The modules that score translations by a model."""
    return ["natlab.measuring.learned"]


def files(modules: Iterable[str], room: Path) -> list[Path]:
    """The files under ``room``, natlab's folder, that run or may run when ``modules`` are used, sorted: theirs, and
    those of what they import, anywhere in them, and so on until `STOPS`. ValueError for a module that is not there."""
    new = list(modules)
    missing = [module for module in new if _file(module, room) is None]
    if missing:
        raise ValueError(f"{room}: holds no module {', '.join(missing)}")
    found: dict[str, Path | None] = {}
    while new:
        # a module's packages run before it; natlab's own says its version only
        for module in _with_packages(new.pop()):
            if module in found or stopped(module):
                continue
            found[module] = path = _file(module, room)
            if path is not None:
                package = module if path.stem == "__init__" else module.rpartition(".")[0]
                new += _imported(path.read_text(encoding="utf-8"), package)
    return sorted(path for path in found.values() if path is not None)


def stopped(module: str) -> bool:
    """Whether following ends before a module: it, or a package that holds it, is one of `STOPS`."""
    return any(stop in STOPS for stop in _with_packages(module))


def _members(spec: Mapping) -> list[str]:
    """The modules that a specification names: its architecture's and, of a NAT, those of the parts it is composed
    of."""
    architecture = spec["architecture"]
    of = architectures.of(architecture)
    found = [f"natlab.models.{architecture['name']}"]
    if of.objective is None:
        return found
    parts = [(family, spec[family]) for family in ("target", "input", "objective") if family in spec]
    parts += [(family, architecture[key]) for key, (family, _) in of.parts.items() if architecture.get(key)]
    parts += [("term", term) for term in spec["terms"]]
    return found + [families.module(family, part["name"]) for family, part in parts]


def _score(spec: Mapping) -> list[str]:
    """The module of what a specification's checkpoints are chosen by, where that is no BLEU."""
    return [families.module("score", spec["select_by"]["name"])] if "select_by" in spec else []


def _kinds(decodings: Iterable[Mapping | None]) -> list[str]:
    """The modules of the kinds of some decodings; None stands for none."""
    return sorted({families.module("decoding", decoding["kind"]) for decoding in decodings if decoding is not None})


def _with_packages(module: str) -> list[str]:
    """A module's packages below natlab, outermost first, and the module."""
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(2, len(parts) + 1)]


def _file(module: str, room: Path) -> Path | None:
    """A module's file; None for a folder without one and for what is no module."""
    place = room.joinpath(*module.split(".")[1:])
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.exists()), None)


@functools.cache
def _imported(text: str, package: str) -> list[str]:
    """What of natlab a module with this source imports; of `from a import b` both, since b may be a module."""
    found = []
    for node in _run(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return [module for module in found if module.partition(".")[0] == "natlab"]


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """All parts of a syntax tree but those for type checkers only, which never run."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).rpartition(".")[2] == "TYPE_CHECKING":
            for other in child.orelse:
                yield from _run(other)
        else:
            yield from _run(child)
