"""Which arithmetic a machine trains in."""

import pytest

from natlab.models import precision


@pytest.mark.parametrize(
    "flags, trained_in",
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16 sse2", "bf16"),  # AMD Zen 4, Intel Cooper Lake
        ("flags\t\t: fpu avx2 amx_bf16", "bf16"),
        ("Features\t: fp asimd bf16 i8mm", "bf16"),  # ARM
        ("flags\t\t: fpu avx2 avx512f", "fp32"),
        (None, "fp32"),  # no such file: another system than Linux
    ],
)
def test_a_cpu_trains_in_bfloat16_only_with_instructions_for_it(flags, trained_in, tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "CPU", tmp_path / "cpuinfo")
    if flags is not None:
        precision.CPU.write_text(f"processor\t: 0\n{flags}\n")
    assert precision.arithmetic("bf16", gpu=False) == trained_in
    assert precision.arithmetic("fp32", gpu=False) == "fp32"
    assert precision.arithmetic("bf16", gpu=True) == "bf16"
