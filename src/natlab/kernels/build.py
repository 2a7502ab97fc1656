"""Builds the libraries of the kernels by plain compiler calls: one a CPU instruction level and, given nvcc, CUDA.

A build lies in a folder named by the hash of sources and flags, so that builds of several versions lie side by side:

    <out>/<hash>/libnatlab_cpu_plain.so, ..._avx2.so, ..._avx512.so, libnatlab_cuda.so
    <out>/<hash>/manifest.json      what was built, by which compilers, and what was left out and why; written last
    <out>/built.json                the last build's manifest, the workflow's output
    <out>/objects/                  compiled files, named by what went into them: a rebuild compiles what changed

The compilers are $CXX (else c++, g++, clang++) and $NVCC (else nvcc on PATH, or in $CUDA_HOME/bin; set to nothing, it
leaves CUDA out). $NATLAB_CUDA_ARCHITECTURES ("90", "80 90") builds the CUDA library for these compute capabilities
only, which takes a fraction of the time; it is the same build, of the same hash, that runs on fewer cards.
"""

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from natlab.errors import UserError
from natlab.files import write_json

CSRC = Path(__file__).parent / "csrc"
CAPTURED = {"capture_output": True, "encoding": "utf-8", "errors": "replace"}  # what a compiler says, in any language
# --force: even where Snakemake believes that nothing is missing
RULE = "snakemake build_kernels --force --cores all"
CPU, CUDA = "libnatlab_cpu_{}.so", "libnatlab_cuda.so"

# Infinities matter (impossible alignments), hence none of -ffast-math but what leaves them alone.
CPU_FLAGS = "-std=c++17 -O3 -fno-math-errno -fno-trapping-math -fPIC -fopenmp -fvisibility=hidden -Wall -Wextra".split()
# instruction level: its flags, worst first
LEVELS = {
    "plain": [],
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"],
}
CUDA_FLAGS = ["-std=c++17", "-O3", "-cudart", "static", "-Xcompiler", "-fPIC,-fvisibility=hidden,-Wall,-Wextra"]
# compute capabilities with machine code of their own; later ones translate the last one's PTX
ARCHITECTURES = (75, 80, 86, 89, 90)
CHOSEN = "NATLAB_CUDA_ARCHITECTURES"
GENERATED = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in ARCHITECTURES]
GENERATED += [f"-gencode=arch=compute_{ARCHITECTURES[-1]},code=compute_{ARCHITECTURES[-1]}"]


@functools.cache
def sources_hash() -> str:
    """The hash of all sources and flags, 16 hexadecimal digits. Taken once a process: sources may change meanwhile."""
    digest = hashlib.sha256(repr((CPU_FLAGS, LEVELS, CUDA_FLAGS, GENERATED)).encode())
    for path in sorted(path for path in CSRC.rglob("*") if path.suffix in (".h", ".cpp", ".cu")):
        _update(digest, path)
    return digest.hexdigest()[:16]


@dataclass
class _Library:
    """A library to build: its name, the compiler that links it, and how each of its files is compiled."""

    name: str
    linking: list[str]
    compiling: list[str]
    sources: list[Path]
    objects: list[Path]


def build(out: Path, threads: int) -> dict:
    """Build everything this machine can build into ``out``/<hash>; returns the manifest.

    Raises UserError where there is no C++ compiler, or a compiler refuses a file (its words go to standard error).
    """
    generated = _generated()
    cxx, cuda = _compiler("CXX", "c++", "g++", "clang++"), nvcc()
    if cxx is None:
        raise UserError("the kernels need a C++ compiler: $CXX, c++, g++ and clang++ are none; install one")
    compilers, left_out = {"cxx": _version(cxx)}, {}
    libraries = []
    for level, flags in LEVELS.items():
        if flags and platform.machine() != "x86_64":
            left_out[level] = f"the machine is {platform.machine()}"
            continue
        command = [cxx, *CPU_FLAGS, *flags]
        libraries.append(_library(out, CPU.format(level), "cpu/*.cpp", [*command, "-shared"], command, compilers))
    if cuda is None:
        left_out["cuda"] = "there is no nvcc as $NVCC, or else on PATH or in $CUDA_HOME/bin"
    else:
        compilers["nvcc"] = _version(cuda)
        command = [cuda, *CUDA_FLAGS]
        libraries.append(_library(out, CUDA, "cuda/*.cu", [*command, "-shared"], command + generated, compilers))

    key = sources_hash()
    folder = out / key
    folder.mkdir(parents=True, exist_ok=True)
    (out / "objects").mkdir(exist_ok=True)
    # CUDA takes longest, so it comes first
    compilations = [
        [*library.compiling, "-c", str(source), "-o", target]
        for library in reversed(libraries)
        for source, target in zip(library.sources, library.objects, strict=True)
        if not target.exists()
    ]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(_run, compilations))
    for library in libraries:
        stamp = [f'-DNATLAB_HASH="{key}"', f"-I{CSRC}", str(CSRC / "build.cpp")]
        _run([*library.linking, *stamp, *map(str, library.objects), "-o", folder / library.name])
    manifest = {
        "hash": key,
        "libraries": [library.name for library in libraries],
        "compilers": compilers,
        "flags": {"cpu": CPU_FLAGS, "levels": LEVELS, "cuda": CUDA_FLAGS + generated},
        "left_out": left_out,
    }
    write_json(folder / "manifest.json", manifest)
    write_json(out / "built.json", manifest)
    return manifest


def nvcc() -> str | None:
    """The CUDA compiler that a build would use."""
    return _compiler("NVCC", "nvcc", f"{os.environ.get('CUDA_HOME', '/usr/local/cuda')}/bin/nvcc")


def _generated() -> list[str]:
    """nvcc's options for the machine code to generate: that of the chosen architectures, else of all."""
    chosen = os.environ.get(CHOSEN, "").split()
    if wrong := [arch for arch in chosen if not arch.isdecimal()]:
        raise UserError(f"{CHOSEN}: '{wrong[0]}' is no compute capability; give numbers such as 90, or leave it unset")
    return [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in chosen] or GENERATED


def described(manifest: dict) -> list[str]:
    """A build in lines for a person."""
    built = [f"built: {' '.join(manifest['libraries'])}"]
    compilers = [f"compiler: {version}" for version in manifest["compilers"].values()]
    return built + compilers + [f"left out: {part} ({why})" for part, why in manifest["left_out"].items()]


def _library(out: Path, name: str, pattern: str, linking: list, command: list, compilers: dict) -> _Library:
    """A library of the sources that the pattern matches; an object is named by all that determines it."""
    common = hashlib.sha256(repr((command, compilers)).encode())
    for header in sorted(CSRC.rglob("*.h")):
        _update(common, header)
    sources = sorted(CSRC.glob(pattern))
    objects = []
    for source in sources:
        digest = common.copy()
        _update(digest, source)
        objects.append(out / "objects" / f"{source.stem}.{digest.hexdigest()[:16]}.o")
    return _Library(name, linking, [*command, f"-I{CSRC}"], sources, objects)


def _update(digest, path: Path) -> None:
    """Add a source file, its name and content, to a hash."""
    content = path.read_bytes()
    digest.update(f"{path.relative_to(CSRC).as_posix()} {len(content)}\n".encode() + content)


def _run(command: list) -> None:
    """Run a compiler, whose last argument is what it makes: whole or absent. Its warnings go to standard error."""
    target = Path(command[-1])
    aside = target.with_name(f".{target.name}.{os.getpid()}.part")
    done = subprocess.run([*command[:-1], str(aside)], **CAPTURED)
    sys.stderr.write(done.stdout + done.stderr)
    if done.returncode:
        aside.unlink(missing_ok=True)
        raise UserError(f"{target.name}: {command[0]} failed with status {done.returncode}; see its words above")
    os.replace(aside, target)


def _compiler(variable: str, *names: str) -> str | None:
    """The compiler that the environment variable names, even if there is none; without it, the first name there is."""
    names = (os.environ[variable],) if variable in os.environ else names
    return next(filter(None, map(shutil.which, names)), None)


def _version(compiler: str) -> str:
    """A compiler's version in one line: the one that holds a number with a point (nvcc's comes late)."""
    said = subprocess.run([compiler, "--version"], **CAPTURED).stdout.splitlines()
    return next((line.strip() for line in reversed(said) if "release" in line), said[0].strip() if said else "unknown")
