"""Which arithmetic a machine trains in; read without importing torch."""

from pathlib import Path

CPU = Path("/proc/cpuinfo")
BF16 = {"avx512_bf16", "amx_bf16", "bf16"}  # how Linux calls a CPU's instructions for bfloat16; the last one is ARM's


def arithmetic(precision: str, gpu: bool) -> str:
    """The precision a training has that asks for ``precision``, on a GPU or on this machine's CPU.

    A CPU without instructions for bfloat16 takes some 30 times as long for its products as in float32, which it trains
    in instead; so does one of which nothing is known.
    """
    if precision != "bf16" or gpu:
        return precision
    try:
        flags = set(CPU.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        flags = set()
    return precision if flags & BF16 else "fp32"
