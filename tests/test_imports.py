"""Who may import what: the rules of CONTRIBUTING.md, held against the imports of every file of src/natlab."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCE = REPOSITORY / "src"

# What the files of a room may import of other rooms. A room is a folder or a file of src/natlab.
MAY = {
    # the ground floor
    "compat": "",
    "errors": "",
    "processes": "",
    "devices": "errors",
    "files": "errors",
    "schema": "errors",
    "families": "",
    "tracking": "errors files",
    # data, models and what they are trained on
    "corpus": "errors families files schema",
    "kernels": "errors files",
    "models": "errors families files kernels",
    "proxy": "kernels models",
    "losses": "families kernels models proxy",
    "decoding": "families kernels models",
    "metrics": "corpus errors kernels",
    "select": "corpus errors files kernels metrics proxy",
    "sources": "families models",
    "training": "compat decoding devices errors families files losses metrics models processes sources tracking",
    # what is asked for, where it stands, and what is shown
    "papers": "errors families schema",
    "bundles": "corpus errors files",
    "config": "bundles corpus errors families models papers proxy schema tracking",
    "provenance": "config files",
    "export": "bundles config corpus errors families files models provenance schema",
    "measuring": "bundles compat corpus decoding errors export families files kernels losses metrics models provenance "
    "proxy sources tracking training",
    "jobs": "errors files processes",
    "tidy": "errors files processes",
    "status": "errors files jobs processes schema",
    "costs": "config corpus errors families files jobs models schema",
    "preflight": "config corpus costs devices errors families jobs status",
    "report": "corpus errors files jobs papers",
    "cli": "devices errors",
}

# What reads the configuration, draws tables or says where a run stands takes seconds: without torch and fairseq.
LIGHT = "cli config corpus costs devices errors files jobs papers preflight processes provenance proxy.published "
LIGHT += "families models.architectures models.precision models.validation report schema sources status tidy tracking"
# Tested and used without fairseq.
WITHOUT_FAIRSEQ = "decoding export kernels losses measuring metrics models proxy select"
# What translates with a bundle has numpy, an engine and what makes tokens.
USED = "bundles corpus.detokenise corpus.subwords corpus.tokenise corpus.vocabulary"
NOT_USED = "torch fairseq snakemake jsonschema yaml sacrebleu scipy pandas matplotlib comet_ml onnx".split()
# The only files that name fairseq, beside those of training: its own place, and the reader of its data folders.
NAME_FAIRSEQ = {"compat", "measuring.data"}
# What rules may import.
OF_RULES = {"config", "corpus", "errors", "families", "jobs", "papers.cells", "papers.claims", "sources"}


class Import(NamedTuple):
    """``imported``, a module of natlab without that prefix or another package, by the module ``by``; ``at_once``: when
    that is imported, not only once a function is called or types are checked."""

    by: str
    imported: str
    at_once: bool


def modules() -> dict[str, Path]:
    """The modules of natlab, without that prefix; a package is its ``__init__.py``."""
    found = {}
    for path in sorted((SOURCE / "natlab").rglob("*.py")):
        parts = path.relative_to(SOURCE / "natlab").with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    del found[""]
    return found


MODULES = modules()


def imports_of(by: str, source: str) -> Iterator[Import]:
    """All imports of a module's source."""

    def within(node: ast.AST, at_once: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(by, alias.name, at_once)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{by}: a relative import"
            for alias in node.names:  # a module of a package, or a name in a module
                inner = f"{node.module}.{alias.name}"
                yield Import(by, inner if inner.removeprefix("natlab.") in MODULES else node.module, at_once)
        later = isinstance(node, ast.FunctionDef | ast.Lambda) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        )
        for child in ast.iter_child_nodes(node):
            yield from within(child, at_once and not later)

    for found in within(ast.parse(source), True):
        yield found._replace(imported=found.imported.removeprefix("natlab."))


IMPORTS = [found for by, path in MODULES.items() for found in imports_of(by, path.read_text(encoding="utf-8"))]
OWN = [found for found in IMPORTS if found.imported in MODULES]


def room(module: str) -> str:
    return module.partition(".")[0]


def circle(edges: set[tuple[str, str]]) -> list[str]:
    """A circle among edges; nothing where there is none."""
    graph = TopologicalSorter()
    for a, b in edges:
        graph.add(a, b)
    try:
        graph.prepare()
    except ValueError as error:
        return error.args[1]
    return []


def test_imports_are_found_and_told_apart():
    source = (
        "import torch\nfrom natlab import config\nfrom natlab.config import Run, rows\ndef f():\n import natlab.jobs\n"
    )
    source += "if TYPE_CHECKING:\n from natlab.files import sha256\nif True:\n import fairseq.data\n"
    assert list(imports_of("x", source)) == [
        Import("x", "torch", True),
        Import("x", "config", True),
        Import("x", "config", True),
        Import("x", "config.rows", True),
        Import("x", "jobs", False),
        Import("x", "files", False),
        Import("x", "fairseq.data", True),
    ]
    assert len(OWN) > 200


def test_a_room_imports_what_it_may():
    assert {room(module) for module in MODULES} == set(MAY)
    allowed = {name: {name, *of.split()} for name, of in MAY.items()}
    assert [found for found in OWN if room(found.imported) not in allowed[room(found.by)]] == []


def test_rooms_import_downwards():
    assert circle({(by, of) for by, allowed in MAY.items() for of in allowed.split()}) == []


def test_no_modules_import_one_another_in_a_circle():
    """Not even where one import waits for a call."""
    assert circle({(found.by, found.imported) for found in OWN}) == []


def test_fairseq_stays_in_its_places():
    elsewhere = [found for found in IMPORTS if room(found.imported) == "fairseq" and room(found.by) != "training"]
    assert {found.by for found in elsewhere} == NAME_FAIRSEQ
    assert not any(found.at_once for found in elsewhere)


@pytest.mark.parametrize(
    ("places", "blocked"), [(LIGHT, ["torch", "fairseq"]), (WITHOUT_FAIRSEQ, ["fairseq"]), (USED, NOT_USED)]
)
def test_modules_can_be_imported_without(places, blocked):
    chosen = [module for module in MODULES if {room(module), module} & set(places.split())]
    program = f"""
import importlib, sys
sys.modules.update(dict.fromkeys({blocked}))  # importing them raises
for module in {chosen}:
    importlib.import_module("natlab." + module)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_rules_import_what_reads_the_configuration_and_keeps_the_record():
    rules = [REPOSITORY / "Snakefile", *sorted((REPOSITORY / "workflow/rules").glob("*.smk"))]
    text = "\n".join(path.read_text(encoding="utf-8") for path in rules)
    assert set(re.findall(r"^ *(?:import|from) natlab\.([\w.]+)", text, re.MULTILINE)) == OF_RULES


def test_every_room_stands_in_contributing():
    table = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("Data flows one way")[0]
    named = set(re.findall(r"`(?:src/natlab/)?(\w+)(?:\.py|/)`", table))
    assert set(MAY) - named - {"errors"} == set()
