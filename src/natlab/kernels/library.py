"""Finds, checks and loads the libraries that `snakemake build_kernels` built, and calls their functions.

The build of the present sources is looked for in the folder that ``NATLAB_KERNELS`` names, else in results/kernels
under the working folder.
"""

import ctypes
import functools
import os
from pathlib import Path

import torch
from torch import Tensor

from natlab.errors import UserError
from natlab.files import read_json
from natlab.kernels.build import CPU, CUDA, LEVELS, RULE, described, sources_hash

# as csrc/natlab.h numbers them
TYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
ERRORS = {
    -1: "tensors of this dtype are not supported",
    -2: "tensors of this size are not supported",
    -3: "a length is negative or exceeds its tensor",
}
# what torch calls the levels
CAPABILITIES = {"AVX2": ("plain", "avx2"), "AVX512": ("plain", "avx2", "avx512")}

_implementation = "library"
_level: str | None = None


class use:
    """Choose how ops run: for good, or within ``with use(...):``.

    implementation: "library" (the default) or "reference", plain torch, which needs no build. level: the CPU
    instruction level, one of `levels()`; the default is the best that this machine has. What is not named stays.
    """

    def __init__(self, implementation: str | None = None, level: str | None = None):
        global _implementation, _level
        if implementation not in (None, "library", "reference"):
            raise ValueError(f"no implementation is called {implementation!r}: library or reference")
        if level is not None and level not in levels():
            raise ValueError(f"this machine has no instruction level {level!r}: {', '.join(levels())}")
        self._before = _implementation, _level
        _implementation, _level = implementation or _implementation, level or _level

    def __enter__(self) -> "use":
        return self

    def __exit__(self, *_) -> None:
        global _implementation, _level
        _implementation, _level = self._before


def implementation() -> str:
    """The implementation in force: "library" or "reference"."""
    return _implementation


def levels() -> tuple[str, ...]:
    """The instruction levels that this machine's CPU has, worst first."""
    return CAPABILITIES.get(torch.backends.cpu.get_cpu_capability(), ("plain",))


def level() -> str:
    """The instruction level in force on the CPU."""
    return _level or levels()[-1]


def call(name: str, *arguments: Tensor | torch.dtype | int | float | None) -> None:
    """Call ``natlab_<name>`` of the library for the device of the tensors, on torch's threads or current stream.

    Tensors are passed as pointers (and must be contiguous and on one device), dtypes as csrc/natlab.h numbers them,
    integers as int64, floats as double, None as a null pointer. Raises UserError where the library is missing, and
    RuntimeError where the function fails.
    """
    devices = {argument.device for argument in arguments if isinstance(argument, Tensor)}
    if len(devices) != 1:
        raise RuntimeError(f"{name}: tensors lie on several devices: {', '.join(sorted(map(str, devices)))}")
    (device,) = devices
    passed = [_passed(name, argument) for argument in arguments]
    if device.type == "cuda":
        with torch.cuda.device(device):
            stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
            library = _load(CUDA)
            status = getattr(library, f"natlab_{name}")(*passed, stream)
    elif device.type == "cpu":
        library = _load(CPU.format(level()))
        status = getattr(library, f"natlab_{name}")(*passed, ctypes.c_int(torch.get_num_threads()))
    else:
        raise RuntimeError(f"{name}: there is no implementation for {device.type} but the reference")
    if status:
        raise RuntimeError(f"{name}: {ERRORS.get(status) or library.natlab_error(status).decode()}")


def info() -> list[str]:
    """What is built, for what, and what runs here, in lines for a person."""
    lines = [f"sources and flags: {sources_hash()}", f"folder: {_root()}"]
    try:
        manifest = _manifest()
    except UserError as error:
        lines.append(str(error))
    else:
        lines += described(manifest)
        names = [CPU.format(name) for name in levels()] + [CUDA] * torch.cuda.is_available()
        for name in names:
            try:
                _load(name)
                lines.append(f"loads here: {name}")
            except UserError as error:
                lines.append(str(error))
    lines.append(f"CPU: {level()} of {', '.join(LEVELS)}; {torch.get_num_threads()} threads")
    for index in range(torch.cuda.device_count()):
        major, minor = torch.cuda.get_device_capability(index)
        lines.append(f"CUDA: {torch.cuda.get_device_name(index)}, sm_{major}{minor}")
    return lines


def _passed(name: str, argument: Tensor | torch.dtype | int | float | None):
    """An argument as ctypes passes it."""
    if isinstance(argument, Tensor):
        if not argument.is_contiguous():
            raise RuntimeError(f"{name}: a tensor is not contiguous")
        return ctypes.c_void_p(argument.data_ptr())
    if argument is None:
        return ctypes.c_void_p(None)
    if isinstance(argument, torch.dtype):
        if argument not in TYPES:
            raise RuntimeError(f"{name}: {ERRORS[-1]} ({argument})")
        return ctypes.c_int64(TYPES[argument])
    return ctypes.c_double(argument) if isinstance(argument, float) else ctypes.c_int64(argument)


def _root() -> Path:
    return Path(os.environ.get("NATLAB_KERNELS", "results/kernels"))


def _manifest() -> dict:
    """The manifest of the build of the present sources."""
    root = _root()
    path = root / sources_hash() / "manifest.json"
    if not path.is_file():
        others = any(root.glob("*/manifest.json"))
        wrong = "holds builds of other sources or flags only" if others else "holds no build of the kernels"
        raise UserError(f"{root}: {wrong}; run `{RULE}`, or name another folder in NATLAB_KERNELS")
    return read_json(path)


@functools.cache
def _load(name: str) -> ctypes.CDLL:
    """A library of the build of the present sources."""
    left_out = _manifest()["left_out"]
    path = _root() / sources_hash() / name
    for part, why in left_out.items():
        if part in name:
            raise UserError(f"{path}: left out of the build ({why}); mend that, then run `{RULE}`")
    try:
        # torch is imported already, so both share one OpenMP runtime and its threads
        library = ctypes.CDLL(str(path.resolve()))
        library.natlab_build.restype = ctypes.c_char_p
        built = library.natlab_build().decode()
    except (OSError, AttributeError) as error:
        raise UserError(f"{path}: does not load ({error}); run `{RULE}`") from error
    if built != sources_hash():
        raise UserError(f"{path}: is of another build ({built}); run `{RULE}`")
    if name == CUDA:
        library.natlab_error.restype = ctypes.c_char_p
    return library
