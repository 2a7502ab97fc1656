"""The image, read and not built: what it copies is enough to be installed, on a Python that natlab allows."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from tests.test_setup import MAKE, REPOSITORY, pins

DOCS = (REPOSITORY / "docs/containers.md").read_text(encoding="utf-8")
# `python3` of the distributions that are named
PYTHON = {"debian:bookworm-slim": "3.11", "ubuntu24.04": "3.12"}


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) of the Dockerfile, each on one line."""
    lines = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    return [tuple(line.split(" ", 1)) for line in text.replace("\\\n", " ").splitlines() if line]


def of(name: str) -> list[str]:
    return [arguments for instruction, arguments in instructions() if instruction == name]


ARGUMENTS = dict(argument.split("=", 1) for argument in of("ARG"))
CUDA = dict(re.findall(r"--build-arg (\w+)=(\S+)", DOCS))
COPIED = [source for arguments in of("COPY") for source in shlex.split(arguments)[:-1]]


@pytest.fixture
def copied(tmp_path):
    """A folder with what the image copies, where it copies it to."""
    for arguments in of("COPY"):
        *sources, target = shlex.split(arguments)
        for source in sources:
            if (REPOSITORY / source).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
                shutil.copytree(REPOSITORY / source, tmp_path / target, ignore=ignored)
            else:
                shutil.copy(REPOSITORY / source, tmp_path / target)
    return tmp_path


def test_all_that_is_copied_is_in_git():
    listed = ["git", "-C", REPOSITORY, "ls-files", "--", *COPIED, "Dockerfile"]
    known = subprocess.run(listed, text=True, capture_output=True, check=True).stdout.splitlines()
    assert all(any(file == source or file.startswith(f"{source}/") for file in known) for source in COPIED)
    assert "Dockerfile" in known and len(COPIED) == len(set(COPIED)) > 5


def test_it_is_installed_as_make_installs(copied):
    assert of("RUN")[-1].endswith(" make .venv/made")
    found = subprocess.run([MAKE, "--dry-run", ".venv/made"], cwd=copied, text=True, capture_output=True)
    assert found.returncode == 0, found.stderr
    assert "--requirement requirements.lock" in found.stdout and "--editable ." in found.stdout


def test_natlab_can_be_built_of_what_is_copied(copied):
    build = "import setuptools.build_meta as b; print(b.prepare_metadata_for_build_editable('made'))"
    (copied / "made").mkdir()
    made = subprocess.run([sys.executable, "-c", build], cwd=copied, text=True, capture_output=True)
    assert made.returncode == 0, made.stderr
    assert "natlab = natlab.cli:main" in next(copied.glob("made/*/entry_points.txt")).read_text(encoding="utf-8")


@pytest.mark.parametrize("base", [ARGUMENTS["BASE"], CUDA["BASE"]])
def test_the_python_of_its_bases_is_one_that_natlab_allows(base):
    [version] = [version for name, version in PYTHON.items() if base.endswith(name)]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert SpecifierSet(project["requires-python"]).contains(version)


def test_cuda_is_that_of_the_locked_torch_and_has_a_compiler():
    version = re.search(r"cuda:(\d+)\.(\d+)\.\d+-devel-", CUDA["BASE"])
    assert CUDA["TORCH"].endswith(f"/cu{version[1]}{version[2]}") and ARGUMENTS["TORCH"].endswith("/cpu")
    assert pins("requirements-cuda.lock")["cuda-toolkit"].startswith(f"{version[1]}.{version[2]}.")
    assert CUDA.keys() == ARGUMENTS.keys()


def test_it_has_what_make_and_the_kernels_need():
    [install] = [run for run in of("RUN") if "apt-get install" in run]
    packages = set(install.split("--no-install-recommends ")[1].split(" && ")[0].split())
    assert packages >= {"ca-certificates", "g++", "git", "make", "python3", "python3-dev", "python3-venv"}


def test_its_commands_are_those_of_the_environment_that_was_made():
    [folder], [variables] = of("WORKDIR"), of("ENV")
    environment = dict(variable.split("=", 1) for variable in variables.split())
    assert environment["PATH"].split(":")[0] == f"{folder}/.venv/bin"
    assert environment["PYTHONPATH"] == "src"


def test_a_checkouts_natlab_comes_before_another_one(copied, tmp_path_factory):
    """As PYTHONPATH says it, relative to where a job starts; elsewhere it is the one that was installed."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    said = "import natlab, sys; print(natlab.__file__)"
    for folder, own in ((copied, True), (elsewhere, False)):
        found = subprocess.run(
            [sys.executable, "-c", said], cwd=folder, text=True, capture_output=True, env={"PYTHONPATH": "src"}
        )
        assert (found.stdout.strip() == str(copied / "src/natlab/__init__.py")) is own


def test_a_profile_and_the_documentation_name_the_image_alike():
    snakefile = (REPOSITORY / "Snakefile").read_text(encoding="utf-8")
    [image] = re.findall(r'^container: "(.*)"', snakefile, re.MULTILINE)
    assert f"apptainer build {image} " in DOCS and f"`{image}`" in DOCS
    assert image in (REPOSITORY / ".gitignore").read_text(encoding="utf-8").splitlines()
    [keys] = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    profile = (REPOSITORY / "profiles/slurm/profile.yaml").read_text(encoding="utf-8")
    assert all(f"# {line}\n" in profile for line in keys.splitlines())
    assert yaml.safe_load(keys) == {"software-deployment-method": "apptainer", "apptainer-args": "--nv"}
