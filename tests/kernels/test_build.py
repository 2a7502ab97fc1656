"""The build, on sources of a few lines."""

import argparse
import ctypes
import re
import shutil

import pytest
import torch

from natlab.errors import UserError
from natlab.files import read_json
from natlab.kernels import build, verb
from natlab.kernels.library import TYPES

CONVERSIONS = """
#include "natlab.h"
using namespace natlab;
NATLAB_API int natlab_to_float(const void* from, float* to, int64_t type, int64_t count) {
  return by_type(type, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(load(static_cast<const T*>(from)[i]));
    return 0;
  });
}
NATLAB_API int natlab_from_float(const float* from, void* to, int64_t type, int64_t count) {
  return by_type(type, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < count; ++i) static_cast<T*>(to)[i] = store<T>(from[i]);
    return 0;
  });
}
"""
ANSWER = '#include "natlab.h"\nNATLAB_API int natlab_answer(int threads) { return threads + %d; }\n'


@pytest.fixture
def csrc(tmp_path, monkeypatch):
    """A small csrc in place of the real one, and no nvcc."""
    folder = tmp_path / "csrc"
    (folder / "cpu").mkdir(parents=True)
    for name in ("natlab.h", "build.cpp"):
        shutil.copy(build.CSRC / name, folder)
    for name in ("one", "two"):
        (folder / f"cpu/{name}.cpp").write_text(ANSWER.replace("answer", name) % 1, encoding="utf-8")
    monkeypatch.setattr(build, "CSRC", folder)
    monkeypatch.setattr(build, "sources_hash", build.sources_hash.__wrapped__)
    monkeypatch.setenv("NVCC", "")
    return folder


def test_a_build_says_what_it_holds_and_what_it_lacks(csrc, tmp_path, capsys):
    out = tmp_path / "kernels"
    verb.run(argparse.Namespace(action="build", out=out, threads=2))
    said = capsys.readouterr()
    assert "left out: cuda (there is no nvcc" in said.out and said.err == ""
    manifest = read_json(out / build.sources_hash() / "manifest.json")
    assert manifest == read_json(out / "built.json")
    assert manifest["hash"] == build.sources_hash()
    assert set(manifest["left_out"]) >= {"cuda"}
    files = {path.name for path in (out / manifest["hash"]).iterdir()}
    assert files == {"manifest.json", *manifest["libraries"]}
    assert build.CPU.format("plain") in files


def test_a_rebuild_compiles_what_changed(csrc, tmp_path, monkeypatch):
    compiled = []
    run = build._run
    monkeypatch.setattr(build, "_run", lambda command: (compiled.append(command), run(command)))

    def sources() -> set[str]:
        """The sources compiled since the last question."""
        found = {command[command.index("-c") + 1].rsplit("/", 1)[-1] for command in compiled if "-c" in command}
        compiled.clear()
        return found

    first = build.build(tmp_path, 1)["hash"]
    assert sources() == {"one.cpp", "two.cpp"}
    assert build.build(tmp_path, 1)["hash"] == first
    assert sources() == set()
    (csrc / "cpu/two.cpp").write_text(ANSWER % 2, encoding="utf-8")
    second = build.build(tmp_path, 1)["hash"]
    assert sources() == {"two.cpp"}
    (csrc / "natlab.h").write_text((csrc / "natlab.h").read_text(encoding="utf-8") + "// more\n", encoding="utf-8")
    third = build.build(tmp_path, 1)["hash"]
    assert sources() == {"one.cpp", "two.cpp"}
    monkeypatch.setattr(build, "CPU_FLAGS", [*build.CPU_FLAGS, "-DMORE"])
    fourth = build.build(tmp_path, 1)["hash"]
    assert sources() == {"one.cpp", "two.cpp"}
    assert len({first, second, third, fourth}) == 4
    assert all((tmp_path / key / "manifest.json").exists() for key in (first, second, third, fourth))


def test_cuda_code_is_built_for_chosen_architectures_only_and_is_the_same_build(csrc, tmp_path, monkeypatch):
    """nvcc is a stand-in that notes its options and makes files of nothing."""
    (csrc / "cuda").mkdir()
    (csrc / "cuda/one.cu").write_text("", encoding="utf-8")
    nvcc, noted = tmp_path / "nvcc", tmp_path / "options"
    nvcc.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && exit\necho "$@" >> {noted}\nfor last; do :; done\ntouch "$last"\n',
        encoding="utf-8",
    )
    nvcc.chmod(0o755)
    monkeypatch.setenv("NVCC", str(nvcc))
    monkeypatch.delenv(build.CHOSEN, raising=False)  # as this machine may have it
    monkeypatch.setattr(build, "LEVELS", {})

    def architectures() -> tuple[dict, set[str]]:
        """The manifest of a build, and what it generated machine code for."""
        noted.unlink(missing_ok=True)
        manifest = build.build(tmp_path / "kernels", 1)
        return manifest, set(re.findall(r",code=(\w+)", noted.read_text(encoding="utf-8")))

    everything, generated = architectures()
    assert generated == {f"sm_{arch}" for arch in build.ARCHITECTURES} | {f"compute_{build.ARCHITECTURES[-1]}"}
    monkeypatch.setenv("NATLAB_CUDA_ARCHITECTURES", "80 90")
    some, generated = architectures()
    assert generated == {"sm_80", "sm_90"}
    assert some["hash"] == everything["hash"] and some["flags"]["cuda"][-1] == "-gencode=arch=compute_90,code=sm_90"
    monkeypatch.setenv("NATLAB_CUDA_ARCHITECTURES", "native")
    with pytest.raises(UserError, match="NATLAB_CUDA_ARCHITECTURES: 'native' is no compute capability"):
        build.build(tmp_path, 1)


def test_code_that_does_not_compile_leaves_no_build(csrc, tmp_path, capsys):
    (csrc / "cpu/two.cpp").write_text("int nonsense(", encoding="utf-8")
    with pytest.raises(UserError, match=r"two\.\w+\.o: .* failed with status 1; see its words above"):
        build.build(tmp_path / "kernels", 1)
    assert "two.cpp" in capsys.readouterr().err
    assert not list(tmp_path.glob("kernels/**/manifest.json")) and not list(tmp_path.glob("kernels/**/*.part"))


def test_without_a_compiler_it_says_so(csrc, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match="need a C\\+\\+ compiler"):
        build.build(tmp_path, 1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_read_and_rounded_as_by_torch(csrc, tmp_path, monkeypatch, dtype):
    (csrc / "cpu/one.cpp").write_text(CONVERSIONS, encoding="utf-8")
    monkeypatch.setattr(build, "LEVELS", {"plain": []})
    manifest = build.build(tmp_path, 1)
    library = ctypes.CDLL(str(tmp_path / manifest["hash"] / manifest["libraries"][0]))

    def convert(name: str, source: torch.Tensor, result: torch.Tensor) -> torch.Tensor:
        sizes = ctypes.c_int64(TYPES[dtype]), ctypes.c_int64(len(source))
        assert getattr(library, name)(*(ctypes.c_void_p(t.data_ptr()) for t in (source, result)), *sizes) == 0
        return result

    every = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(dtype)
    torch.testing.assert_close(
        convert("natlab_to_float", every, torch.empty(2**16)), every.float(), rtol=0, atol=0, equal_nan=True
    )
    # all exponents, and the values halfway between two
    torch.manual_seed(0)
    numbers = torch.cat([torch.randint(-(2**31), 2**31, (10**6,)).int().view(torch.float32), every.float()])
    numbers = torch.cat([numbers, (numbers[-(2**16) : -1] + numbers[-(2**16) + 1 :]) / 2])
    rounded = convert("natlab_from_float", numbers, torch.empty(len(numbers), dtype=dtype))
    torch.testing.assert_close(rounded, numbers.to(dtype), rtol=0, atol=0, equal_nan=True)


@pytest.mark.skipif(not build.nvcc(), reason="there is no nvcc")
def test_the_cuda_code_compiles_without_a_warning(tmp_path, monkeypatch, capsys):
    """For the oldest and the newest architecture. (A warning of the CPU code fails the fixture that builds it.)"""
    ends = build.ARCHITECTURES[0], build.ARCHITECTURES[-1]
    ends = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in ends]
    monkeypatch.setattr(build, "GENERATED", ends)
    monkeypatch.setattr(build, "LEVELS", {})
    manifest = build.build(tmp_path, 2)
    assert manifest["libraries"] == [build.CUDA]
    assert capsys.readouterr().err == ""
