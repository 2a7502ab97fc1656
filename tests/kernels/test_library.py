import shutil

import pytest
import torch

from natlab.errors import UserError
from natlab.files import read_json, write_json
from natlab.kernels import assign, implementation, level, levels, library, use
from natlab.kernels.build import CPU, sources_hash

PROBLEM = torch.eye(3)[None], torch.tensor([3])


@pytest.fixture
def copy(kernels, tmp_path, monkeypatch):
    """The build of the present sources, to be damaged: the folder that holds it is in force."""
    shutil.copytree(kernels / sources_hash(), tmp_path / sources_hash())
    monkeypatch.setenv("NATLAB_KERNELS", str(tmp_path))
    library._load.cache_clear()
    yield tmp_path / sources_hash()
    library._load.cache_clear()


def refusal() -> str:
    """What an op says where it cannot run; the reference runs all the same."""
    with use("reference"):
        assert assign(*PROBLEM).shape == (1, 3)
    with pytest.raises(UserError) as error:
        assign(*PROBLEM)
    message = str(error.value)
    assert "snakemake build_kernels" in message and "\n" not in message
    return message


def test_a_missing_build_is_one_clear_error(copy):
    assign(*PROBLEM)
    library._load.cache_clear()
    shutil.rmtree(copy)
    assert "holds no build of the kernels" in refusal()


def test_so_is_a_build_of_other_sources(copy):
    copy.rename(copy.with_name("0123456789abcdef"))
    assert "holds builds of other sources or flags only" in refusal()


def test_so_is_a_library_of_another_build(copy):
    file = copy / CPU.format(level())
    file.write_bytes(file.read_bytes().replace(sources_hash().encode(), b"0123456789abcdef"))
    assert "is of another build (0123456789abcdef)" in refusal()


def test_so_is_a_broken_library(copy):
    (copy / CPU.format(level())).write_bytes(b"nothing")
    assert "does not load" in refusal()


def test_so_is_what_was_left_out_of_a_build(copy):
    manifest = read_json(copy / "manifest.json")
    write_json(copy / "manifest.json", {**manifest, "left_out": {level(): "the machine is a toaster"}})
    assert "left out of the build (the machine is a toaster)" in refusal()


def test_info_says_what_is_built_and_what_runs_here(copy):
    info = "\n".join(library.info())
    assert sources_hash() in info and f"CPU: {level()} of plain, avx2, avx512" in info
    assert all(f"loads here: {CPU.format(name)}" in info for name in levels())
    library._load.cache_clear()
    shutil.rmtree(copy)
    assert "snakemake build_kernels" in "\n".join(library.info())


def test_use_holds_for_good_or_for_a_while():
    before = implementation(), level()
    with use("reference", level="plain"):
        assert (implementation(), level()) == ("reference", "plain")
        with use("library"):
            assert (implementation(), level()) == ("library", "plain")
        assert implementation() == "reference"
    assert (implementation(), level()) == before
    use("reference")
    assert implementation() == "reference"
    use("library")
    assert (implementation(), level()) == before


def test_unknown_implementations_and_levels_are_refused():
    with pytest.raises(ValueError, match="no implementation is called 'fast'"):
        use("fast")
    with pytest.raises(ValueError, match="no instruction level 'avx1024'"):
        use(level="avx1024")


def test_call_refuses_what_a_function_would_misread():
    with pytest.raises(RuntimeError, match="not contiguous"):
        library.call("assign", torch.zeros(3, 3).T)
    with pytest.raises(RuntimeError, match="several devices: cpu, meta"):
        library.call("assign", torch.zeros(3), torch.zeros(3, device="meta"))
    with pytest.raises(RuntimeError, match="no implementation for meta but the reference"):
        library.call("assign", torch.zeros(3, device="meta"))
    with pytest.raises(RuntimeError, match=r"this dtype are not supported \(torch.int32\)"):
        assign(torch.zeros(1, 3, 3, dtype=torch.int32), torch.tensor([3]))
