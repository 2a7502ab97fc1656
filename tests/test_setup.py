"""What a newcomer meets first: make's refusals, the pinned environment and the citation."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from tests.test_imports import IMPORTS, MODULES, USED, room

REPOSITORY = Path(__file__).resolve().parents[1]
MAKE = shutil.which("make")


def pins(file: str) -> dict[str, str]:
    """{package: version} of a lock; every line that is no comment or option must be a pin."""
    lines = (REPOSITORY / file).read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if not line.startswith(("#", "--constraint "))]
    matches = [re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9.]*)", row) for row in rows]
    assert None not in matches, [row for row, match in zip(rows, matches, strict=True) if match is None]
    found = dict(match.groups() for match in matches)
    assert len(found) == len(rows), "a package is named twice"
    return found


@pytest.fixture
def clone(tmp_path):
    """A folder with all that the Makefile reads before it installs anything, and an empty folder to be the PATH."""
    for name in ("Makefile", "requirements.lock", "requirements-cuda.lock"):
        shutil.copy(REPOSITORY / name, tmp_path)
    (tmp_path / "bin").mkdir()
    return tmp_path


def make(clone: Path, *arguments: str) -> subprocess.CompletedProcess:
    """make with nothing on the PATH but what the test put there, and nothing of a make around the tests."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MAKE") and name not in ("MFLAGS", "PYTHON", "CORES", "CXX")
    }
    environment["PATH"] = str(clone / "bin")
    return subprocess.run([MAKE, *arguments], cwd=clone, env=environment, text=True, capture_output=True)


def put(clone: Path, name: str, content: str) -> None:
    file = clone / "bin" / name
    file.write_text(content, encoding="utf-8")
    file.chmod(0o755)


def python(version: tuple[int, int], implementation: str = "cpython") -> str:
    """A stand-in for an interpreter: runs `-c` as though it were of another version."""
    disguise = (
        f"import sys; sys.version_info = {(*version, 0, 'final', 0)}; sys.implementation.name = '{implementation}'; "
        "exec(sys.argv[1])"
    )
    return f'#!/bin/sh\nexec "{sys.executable}" -c "{disguise}" "$2"\n'


COMPILER = "#!/bin/sh\n"


@pytest.mark.parametrize("target", ["demo", "test"])
@pytest.mark.parametrize(
    "name, content",
    [
        ("unrelated", "#!/bin/sh\n"),
        ("python3", python((3, 10))),
        ("python3", python((3, 13))),
        ("python3", python((3, 11), "pypy")),
        ("python3.11", "#!/bin/sh\nexit 127\n"),  # a version manager's shim with nothing behind it
    ],
    ids=["none", "3.10", "3.13", "pypy", "shim"],
)
def test_another_python_is_refused_in_one_line(clone, target, name, content):
    put(clone, "g++", COMPILER)
    put(clone, name, content)
    result = make(clone, target)
    assert result.returncode == 2
    assert result.stdout == "" and len(result.stderr.splitlines()) == 1
    assert "CPython 3.11 or 3.12" in result.stderr and "PYTHON=" in result.stderr
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("target", ["demo", "test"])
def test_a_missing_compiler_is_refused_in_one_line(clone, target):
    put(clone, "python3", python((3, 11)))
    result = make(clone, target)
    assert result.returncode == 2
    assert result.stdout == "" and len(result.stderr.splitlines()) == 1
    assert "C++ compiler" in result.stderr and "clang++" in result.stderr
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("compiler", ["c++", "g++", "clang++"])
@pytest.mark.parametrize(
    "pythons, chosen",
    [
        ({"python3": (3, 11)}, "python3"),
        ({"python3": (3, 12)}, "python3"),
        ({"python3": (3, 13), "python3.12": (3, 12)}, "python3.12"),
        ({"python3.11": (3, 11), "python3.12": (3, 12)}, "python3.11"),
    ],
)
def test_the_supported_python_is_found(clone, compiler, pythons, chosen):
    put(clone, compiler, COMPILER)
    for name, version in pythons.items():
        put(clone, name, python(version))
    result = make(clone, "--dry-run", "test", "CORES=2")
    assert result.returncode == 0, result.stderr
    assert f'"{chosen}" -m venv' in result.stdout


def test_all_cores_are_taken_whatever_openmp_may(clone, monkeypatch):
    """nproc answers with OpenMP's number of threads where that is set."""
    put(clone, "g++", COMPILER)
    put(clone, "python3.11", python((3, 11)))
    for tool in ("env", "nproc"):
        (clone / "bin" / tool).symlink_to(shutil.which(tool))
    taken = make(clone, "--dry-run", "test").stdout
    monkeypatch.setenv("OMP_NUM_THREADS", "77")
    monkeypatch.setenv("OMP_THREAD_LIMIT", "78")
    assert f"pytest -n {len(os.sched_getaffinity(0))} " in taken
    assert make(clone, "--dry-run", "test").stdout == taken


def test_a_named_python_is_taken(clone):
    put(clone, "g++", COMPILER)
    put(clone, "python3.11", python((3, 11)))
    put(clone, "mine", python((3, 12)))
    assert '"mine" -m venv' in make(clone, "--dry-run", "test", "CORES=2", "PYTHON=mine").stdout
    put(clone, "mine", python((3, 13)))
    assert make(clone, "--dry-run", "test", "CORES=2", "PYTHON=mine").returncode == 2


def test_the_environment_is_made_unless_it_is_whole_and_newer_than_the_lock(clone):
    put(clone, "g++", COMPILER)
    put(clone, "python3", python((3, 11)))

    def makes_it() -> bool:
        return "-m venv" in make(clone, "--dry-run", "test", "CORES=2").stdout

    (clone / ".venv" / "bin").mkdir(parents=True)
    assert makes_it()  # half made
    (clone / ".venv" / "made").touch()
    assert not makes_it()
    for lock in ("requirements.lock", "requirements-cuda.lock"):
        later = (clone / ".venv" / "made").stat().st_mtime + 10
        os.utime(clone / lock, (later, later))
        assert makes_it()
        os.utime(clone / lock, (0, 0))


def test_the_lock_is_what_is_installed():
    locked = pins("requirements.lock")
    installed = {canonicalize_name(d.name): Version(d.version).public for d in importlib.metadata.distributions()}
    if installed["torch"] != locked["torch"]:
        pytest.skip("this environment was not made from the lock: images with a GPU bring their own torch")
    assert {name: installed.get(name) for name in locked} == locked


def test_the_lock_of_metrics_pins_what_natlabs_lacks_or_has_of_another_version():
    """It is laid over natlab's environment, so that torch is installed once."""
    over, below = pins("requirements-metrics.lock"), pins("requirements.lock")
    assert not over.items() & below.items() and "torch" not in over
    assert {name for name in over if name in below} == {"numpy", "pandas", "protobuf", "setuptools"}
    assert Version(over["numpy"]) < Version("2")


def test_the_lock_pins_all_that_natlab_and_its_packages_need():
    locked = pins("requirements.lock")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = [line for extra in project["optional-dependencies"].values() for line in extra]
    for line in project["dependencies"] + [line for line in optional if not line.startswith("natlab[")]:
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{name} is not pinned"
        assert requirement.specifier.contains(locked[name]), f"{line}, but {locked[name]} is pinned"
    for package in locked:
        for line in importlib.metadata.requires(package) or []:
            name = re.match(r"[A-Za-z0-9._-]+", line).group()  # omegaconf's specifiers cannot be parsed
            marker = Requirement(name + " ;" + line.split(";", 1)[1]).marker if ";" in line else None
            if marker is None or marker.evaluate({"extra": ""}):
                name = canonicalize_name(name)
                assert name in locked or name in pins("requirements-cuda.lock"), f"{package} needs {name}"


def test_what_a_user_of_a_bundle_installs_is_what_bundles_import():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    brought = {*project["dependencies"], *project["optional-dependencies"]["use"]}
    used = [found.imported.partition(".")[0] for found in IMPORTS if {room(found.by), found.by} & set(USED.split())]
    others = {name for name in used if name not in sys.stdlib_module_names and name not in map(room, MODULES)}
    assert {name.replace("_", "-") for name in others} - {"natlab"} == brought


def test_conda_installs_the_same_pins():
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text(encoding="utf-8"))
    assert environment["name"] == "natlab"
    assert environment["dependencies"][-1] == {"pip": ["--requirement requirements.lock"]}
    assert f"pip={pins('requirements.lock')['pip']}" in environment["dependencies"]
    assert "python=3.11" in environment["dependencies"] and "cxx-compiler" in environment["dependencies"]


def test_fairseq_can_be_installed_by_the_pinned_pip():
    """omegaconf 2.0.6 has metadata that pip 24.1 refuses."""
    locked = pins("requirements.lock")
    assert locked["omegaconf"] == "2.0.6" and Version(locked["pip"]) < Version("24.1")


def test_the_citation_names_natlab_and_the_five_papers():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0" and citation["title"] == "natlab"
    assert citation["message"] and citation["authors"] and citation["license"] == "Apache-2.0"
    papers = {(paper["authors"][0]["family-names"], paper["year"]) for paper in citation["references"]}
    assert papers == {("Huang", 2022), ("Ghazvininejad", 2020), ("Du", 2021), ("An", 2023), ("Qu", 2025)}
    for paper in citation["references"]:
        assert {"type", "title", "authors", "year"} <= set(paper)
        assert all({"family-names", "given-names"} <= set(author) for author in paper["authors"])
