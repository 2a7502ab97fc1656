"""`make mutants`: which small changes of the code the tests notice, room by room (docs/testing.md).

    python tests/mutants.py try ROOM…     # try all mutants of these rooms that are not known yet
    SAMPLE=200 python tests/mutants.py try ROOM…     # so many of each, a fair sample
    python tests/mutants.py show ROOM…    # print which were not noticed, and how many of how many were

A mutant is the code with one change that mutmut's operators make inside a function: an operator, a number, a text, a
condition, an argument. It is noticed when one of the room's tests that reach the changed function fails, or takes ten
times as long. mutmut itself starts pytest anew for each mutant, here seconds, and leaves functions with decorators out,
here those that decode and measure; so only its operators are used. pytest imports and collects once; for each mutant a
fork of that process gets the mutated function's code and runs the tests that reach it, first those that noticed others
of its mutants, then the quickest.

results/mutants/<room>.json keeps what was found, and a run that was stopped goes on there. A noticed mutant is tried
again when its function or the test that noticed it changes, an unnoticed one when any test of its room does.
"""

import ast
import builtins
import contextlib
import functools
import gc
import hashlib
import importlib
import inspect
import json
import os
import resource
import signal
import sys
import time
import types
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import hypothesis
import libcst as cst
import pytest
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

from natlab import compat

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "results" / "mutants"
# room: (its code, its tests)
ROOMS = {
    "proxy": (["proxy"], ["proxy"]),
    "losses": (["losses"], ["losses"]),
    "criterion": (
        ["training/criterion.py", "training/candidates.py"],
        ["training/test_criterion.py", "training/test_candidates.py"],
    ),
    "families": (["families.py"], ["test_families.py"]),
    "models": (["models"], ["models"]),
    "select": (["select"], ["select"]),
    "decoding": (["decoding"], ["decoding"]),
    "metrics": (["metrics"], ["metrics"]),
    "measuring": (["measuring"], ["measuring"]),
    "report": (["report"], ["report"]),
    "papers": (["papers"], ["papers"]),
    "config": (["config"], ["config"]),
}
UNTOUCHED = ("len", "isinstance")  # calls that mutmut leaves alone, too
LEFT_OUT = ("help", "device")  # arguments by name: no behaviour; the same on a machine without a GPU
PATIENCE = 10  # a test may take so many times as long as without the change, in CPU seconds, and SPARE more
SPARE = 3
WAITING = 900  # seconds after which a test that takes no CPU has taken too long, on however busy a machine
MEMORY = 16 << 30  # of address space: what asks for more fails


class Mutant(NamedTuple):
    """One change: in which function (as `__qualname__` has it) of which file, the function's text before and after, and
    its first line."""

    file: Path
    function: str
    before: str
    after: str
    line: int

    @property
    def source(self) -> str:
        """The changed file."""
        lines = self.file.read_text(encoding="utf-8").splitlines(keepends=True)
        lines[self.line - 1 : self.line - 1 + self.before.count("\n")] = [self.after]
        return "".join(lines)

    @property
    def key(self) -> str:
        return _hash(self.function, self.before, self.after)

    @property
    def change(self) -> tuple[int, str]:
        """(line, "before → after") of the lines that differ."""
        before, after = self.before.splitlines(), self.after.splitlines()
        first = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
        rest = min(len(before), len(after)) - first
        last = next((i for i in range(rest) if before[-1 - i] != after[-1 - i]), rest)
        sides = (" ".join(line.strip() for line in side[first : len(side) - last]) for side in (before, after))
        return self.line + first, " → ".join(sides)


class _Nodes(cst.CSTVisitor):
    """Collects the nodes of a function that may be changed: no annotations, decorators or defaults (they are no part of
    a function's code), nor arguments that are left out."""

    def __init__(self):
        self.found: list[cst.CSTNode] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        left_out = isinstance(node, cst.Annotation | cst.Decorator | cst.Parameters)
        left_out |= isinstance(node, cst.Arg) and node.keyword is not None and node.keyword.value in LEFT_OUT
        left_out |= isinstance(node, cst.Call) and isinstance(node.func, cst.Name) and node.func.value in UNTOUCHED
        if not left_out:
            self.found.append(node)
        return not left_out


def _left_out(call: cst.Call) -> list[cst.Arg]:
    return [arg for arg in call.args if arg.keyword is not None and arg.keyword.value in LEFT_OUT]


def mutants(file: Path) -> Iterator[Mutant]:
    """All mutants of a file, in order."""
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    wrapper = MetadataWrapper(cst.parse_module(text))
    module, positions = wrapper.module, wrapper.resolve(PositionProvider)

    def functions(body: cst.BaseSuite | cst.Module, prefix: str = "") -> Iterator[tuple[str, cst.FunctionDef]]:
        for statement in body.body:
            if isinstance(statement, cst.FunctionDef):
                yield prefix + statement.name.value, statement
            elif isinstance(statement, cst.ClassDef):
                yield from functions(statement.body, f"{prefix}{statement.name.value}.")

    for name, function in functions(module):
        span = positions[function]
        first = min([positions[mark].start.line for mark in function.decorators], default=span.start.line) - 1
        bare, depth = function.with_changes(leading_lines=[]), name.count(".")
        before = "".join(lines[first : span.end.line])
        nodes = _Nodes()
        function.visit(nodes)
        for node in nodes.found:
            for kind, operator in mutation_operators:
                for changed in operator(node) if isinstance(node, kind) else ():
                    if isinstance(node, cst.Call) and _left_out(changed) != _left_out(node):
                        continue
                    made = bare.deep_replace(node, changed)
                    for _ in range(depth):
                        made = cst.ClassDef(cst.Name("_"), cst.IndentedBlock([made]))
                    made = module.with_changes(header=[], body=[made], footer=[]).code
                    after = "".join(made.splitlines(keepends=True)[depth:])
                    yield Mutant(file, name, before, after, first + 1)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _files(under: str, parts: list[str]) -> list[Path]:
    paths = [ROOT / under / part for part in parts]
    return sorted(file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path]))


def _part(code: types.CodeType, qualname: str) -> types.CodeType:
    """The code of a function in a module's."""
    while code.co_qualname != qualname:
        parts = (part for part in code.co_consts if isinstance(part, types.CodeType))
        code = next(part for part in parts if f"{qualname}.".startswith(f"{part.co_qualname}."))
    return code


def _marked(file: Path, seen: set) -> types.CodeType:
    """The code of a file whose functions first put "file:function" into ``seen``."""
    builtins.natlab_seen = seen
    module = ast.parse(file.read_text(encoding="utf-8"))

    def mark(body: list[ast.stmt], prefix: str = "") -> None:
        for statement in body:
            if isinstance(statement, ast.ClassDef):
                mark(statement.body, f"{prefix}{statement.name}.")
            elif isinstance(statement, ast.FunctionDef):
                marking = ast.parse(f"natlab_seen.add({f'{file}:{prefix}{statement.name}'!r})").body
                statement.body[:0] = marking

    mark(module.body)
    return compile(ast.fix_missing_locations(module), str(file), "exec")


class Trial:
    """pytest's plugin: instead of running the room's tests, runs them for each mutant."""

    def __init__(self, room: str):
        self.kept, code, tests = KEPT / f"{room}.json", *ROOMS[room]
        self.files = _files("src/natlab", code)
        self.tests = _hash(*(file.read_text(encoding="utf-8") for file in _files("tests", tests)))
        self.sample = int(os.environ.get("SAMPLE") or sys.maxsize)
        self.failed: str | None = None
        self.caches: list = []

    def pytest_collection(self):
        # neither shrunk nor drawn anew: whether a mutant is noticed is the same each time, and known soon
        hypothesis.settings.register_profile(
            "mutants",
            hypothesis.settings.default,
            max_examples=25,
            phases=["explicit", "generate"],
            database=None,
            derandomize=True,
        )
        hypothesis.settings.load_profile("mutants")

    def pytest_runtest_logreport(self, report):
        if report.failed and self.failed is None:
            self.failed = report.nodeid

    def pytest_runtestloop(self, session):
        compat.apply()  # some import fairseq
        for file in self.files:
            importlib.import_module(".".join(file.relative_to(ROOT / "src").with_suffix("").parts))
        functions = defaultdict(list)
        for found in gc.get_objects():
            if isinstance(found, types.FunctionType) and Path(found.__code__.co_filename) in self.files:
                functions[Path(found.__code__.co_filename), found.__code__.co_qualname].append(found)
            elif isinstance(found, functools._lru_cache_wrapper) and str(found.__module__).startswith("natlab."):
                self.caches.append(found)
        gc.freeze()  # so that a fork shares what is there
        reached, seconds = self._alone(session, self._reached, functions, session)
        items = {item.nodeid: item for item in session.items}
        results, written, telling = {}, time.monotonic(), defaultdict(dict)
        # in the order of their hashes: what is stopped early is a fair sample
        every = sorted((mutant for file in self.files for mutant in mutants(file)), key=lambda mutant: mutant.key)
        known = read(self.kept)["tried"]
        known = {mutant.key: known[mutant.key] for mutant in every if mutant.key in known}
        for number, mutant in enumerate(every):
            told, result = telling[mutant.function], known.get(mutant.key)
            if result is None or not self._valid(result, items):
                if number >= self.sample:
                    continue
                line, change = mutant.change
                where = f"{mutant.file.relative_to(ROOT)}:{line}"
                result = {"where": where, "function": mutant.function, "change": change, "tests": self.tests}
                ids = reached.get(f"{mutant.file}:{mutant.function}", [])
                tests = [items[id] for id in sorted(ids, key=lambda id: (-told.get(id, 0), seconds[id]))]
                result |= self._try(mutant, functions, tests, seconds)
            results[mutant.key] = result
            told[result["noticed"]] = told.get(result["noticed"], 0) + 1
            if time.monotonic() > written + 5:
                self._write(len(every), {**known, **results})
                written = time.monotonic()
        self._write(len(every), results)
        return True

    def _write(self, count: int, tried: dict) -> None:
        aside = self.kept.with_suffix(".new")
        aside.write_text(json.dumps({"mutants": count, "tried": tried}, indent=0, ensure_ascii=False), encoding="utf-8")
        aside.replace(self.kept)

    def _valid(self, result: dict, items: dict) -> bool:
        if result["noticed"] is None:
            return result["tests"] == self.tests
        return result["noticed"] in items and result["by"] == _source(items[result["noticed"]])

    def _try(self, mutant: Mutant, functions: dict, items: list, seconds: dict) -> dict:
        """{"noticed": by which test, or None}; also whether it took too long or no test reaches it."""
        if not items:
            return {"noticed": None, "reached": False}
        try:
            code = _part(compile(mutant.source, mutant.file, "exec", dont_inherit=True), mutant.function)
        except SyntaxError:
            return {"noticed": items[0].nodeid, "by": _source(items[0])}
        changed = functions[mutant.file, mutant.function]
        noticed = self._alone(items[0].session, self._run, changed, code, items, seconds)
        if noticed == "":
            return {"noticed": None, "reached": True}
        # None where it was killed: it took too long, or broke the interpreter
        test = next((item for item in items if item.nodeid == noticed), items[-1])
        return {"noticed": test.nodeid, "by": _source(test), "killed": noticed is None}

    def _run(self, functions: list, code: types.CodeType, items: list, seconds: dict) -> str:
        """The first test that fails under a function's changed code, or ""."""
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        for function in functions:
            try:
                function.__code__ = code
            except ValueError:  # it refers to other variables of the class or function around it
                return ""
        for _ in self._passed(items, seconds):
            if self.failed:
                return self.failed
        return ""

    def _passed(self, items: list, seconds: dict | None = None) -> Iterator:
        """Run tests one after another, each before it is handed out; dies of one that takes much longer than it did."""
        for item, after in zip(items, [*items[1:], None], strict=True):
            if seconds:
                limit = int(time.process_time() + PATIENCE * seconds[item.nodeid]) + SPARE
                resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
                signal.alarm(WAITING)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            yield item

    def _reached(self, functions: dict, session) -> tuple[dict, dict]:
        """({"file:function": tests that reach it}, {test: seconds}); what a fixture reaches, its tests reach."""
        by_fixture, seen = defaultdict(set), set()
        for file in self.files:
            code = _marked(file, seen)
            for (its, name), found in functions.items():
                for function in found if its == file else ():
                    function.__code__ = _part(code, name)

        class Fixtures:
            @pytest.hookimpl(wrapper=True)
            def pytest_fixture_setup(self, fixturedef):
                before = set(seen)
                seen.clear()
                try:
                    return (yield)
                finally:
                    by_fixture[fixturedef.argname] |= seen
                    seen.update(before)

        session.config.pluginmanager.register(Fixtures())
        reached, seconds, start = defaultdict(list), {}, time.process_time()
        for item in self._passed(session.items):
            if self.failed:
                raise RuntimeError(f"{self.failed} fails without any change")
            seconds[item.nodeid] = time.process_time() - start
            for function in seen.union(*(by_fixture[name] for name in item.fixturenames)):
                reached[function].append(item.nodeid)
            seen.clear()
            start = time.process_time()
        return reached, seconds

    def _alone(self, session, function, *args):
        """What a function returns in a fork of this process; None where that is killed."""
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            session.config.pluginmanager.unregister(name="terminalreporter")
            for cache in self.caches:
                cache.cache_clear()
            try:
                answer = {"value": function(*args)}
            except BaseException as error:
                answer = {"error": repr(error)}
            with contextlib.suppress(BrokenPipeError), open(writing, "w") as file:
                json.dump(answer, file)
            os._exit(0)
        os.close(writing)
        with open(reading) as file:
            answer = file.read()
        os.waitpid(child, 0)
        answer = json.loads(answer) if answer else {"value": None}
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]


@functools.cache
def _source(item) -> str:
    """What a test is: its text, as a hash."""
    inner = item.function.hypothesis.inner_test if hasattr(item.function, "hypothesis") else item.function
    return _hash(inspect.getsource(inner))


def read(kept: Path) -> dict:
    """{"mutants": how many a room has, "tried": {key: what was found of one}}."""
    return json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {"mutants": 0, "tried": {}}


def show(rooms: Iterable[str]) -> None:
    """Print which mutants no test noticed, and how many of how many were."""
    found = {room: read(KEPT / f"{room}.json") for room in rooms}
    for of in found.values():
        for result in sorted(of["tried"].values(), key=lambda result: result["where"]):
            if result["noticed"] is None:
                unreached = "" if result["reached"] else "  (no test reaches it)"
                print(f"{result['where']}: {result['function']}: {result['change']}{unreached}")
    print(f"{'room':10} {'mutants':>8} {'tried':>8} {'noticed':>8} {'share':>7}")
    for room, of in found.items():
        tried, noticed = len(of["tried"]), sum(result["noticed"] is not None for result in of["tried"].values())
        share = f"{100 * noticed / tried:.1f}%" if tried else ""
        print(f"{room:10} {of['mutants']:8} {tried:8} {noticed:8} {share:>7}")


def main(verb: str, *rooms: str) -> None:
    if verb == "show":
        return show(rooms)
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    KEPT.mkdir(parents=True, exist_ok=True)
    for room in rooms:
        tests = [str(ROOT / "tests" / part) for part in ROOMS[room][1]]
        options = ["-q", "-p", "no:cacheprovider", f"--basetemp={KEPT / room}.tmp"]
        options += ["--ignore-glob=*/test_browser*.py"]  # a browser takes more memory than is allowed, and seconds
        status = pytest.main([*options, *tests], [Trial(room)])
        if status != pytest.ExitCode.OK:
            sys.exit(f"{room}: its tests cannot be run")


if __name__ == "__main__":
    main(*sys.argv[1:])
