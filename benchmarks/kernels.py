"""The kernels against their peers: plain torch, SciPy, sacreBLEU, and others' kernels where they are installed.

    python -m benchmarks.kernels                       all ops, on the CPU with 2 threads
    python -m benchmarks.kernels assign dag_loss       some
    python -m benchmarks.kernels --device cuda --out kernels.json      written anew after each case

Prints JSON: for each case the time of a call (ms) of ours and of each peer, measured in turn in one run (the mean over
a turn of calls, the least of all turns), the ratios, and how much more memory (MB) each needs at its peak than was
allocated before; on CUDA also the share of the card's bandwidth that moving each input and output once would take in
that time.
"""

import argparse
import ctypes
import gc
import importlib
import json
import pkgutil
import sys
import time
from collections.abc import Callable
from statistics import median

import torch

from benchmarks import kernel_ops
from natlab.errors import UserError
from natlab.files import write_json
from natlab.kernels import level

TURN = 0.02  # seconds of calls at a time: the first alone would find the caches cold and the threads asleep


def seconds(call: Callable, device: str) -> float:
    """How long one call takes, the mean of a turn; on CUDA until the device is done."""
    calls = taken = 0
    while taken < TURN:
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        taken += time.perf_counter() - start
        calls += 1
    return taken / calls


def extra_bytes(call: Callable, device: str) -> int:
    """What a call needs at its peak beyond what is allocated before."""
    gc.collect()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    ctypes.CDLL(None).malloc_trim(0)  # what was freed before does not serve the call
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts anew
    before = _status("VmRSS")
    call()
    return max(_status("VmHWM") - before, 0)


def _status(name: str) -> int:
    """A line of /proc/self/status, in bytes."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(f"{name}:"))


def bandwidth() -> float:
    """Bytes that the card moves in a second, by copying a tensor: read and written."""
    tensor = torch.empty(1 << 28, device="cuda")
    other = torch.empty_like(tensor)
    return 2 * tensor.nbytes / median(seconds(lambda: other.copy_(tensor), "cuda") for _ in range(20))


def measured(case: kernel_ops.Case, device: str, budget: float, bytes_per_second: float | None) -> dict:
    """A case, timed in turn until the budget (seconds) is spent, at least three times after one that does not count."""
    calls = {"natlab": case.ours, **case.peers}
    for call in calls.values():
        call()
    memory = {name: extra_bytes(call, device) for name, call in calls.items()}
    times = {name: [] for name in calls}
    end = time.perf_counter() + budget
    while len(times["natlab"]) < 3 or time.perf_counter() < end:
        for name, call in calls.items():
            times[name].append(seconds(call, device))
    least = {name: min(taken) for name, taken in times.items()}  # what disturbs only makes slower
    result = {
        "op": case.op,
        "size": case.size,
        "rounds": len(times["natlab"]),
        "ms": {name: round(1e3 * taken, 4) for name, taken in least.items()},
        "ratio": {name: round(least[name] / least["natlab"], 2) for name in case.peers},
        "extra_mb": {name: round(size / 1e6, 3) for name, size in memory.items()},
    }
    if bytes_per_second and case.least_bytes:
        result["bandwidth"] = round(case.least_bytes / bytes_per_second / least["natlab"], 3)
    return result


def main() -> None:
    ops = sorted(module.name for module in pkgutil.iter_modules(kernel_ops.__path__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ops", nargs="*", metavar="op", help=f"any of {', '.join(ops)}; default: all")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each case")
    parser.add_argument("--out", help="also write the JSON here, whole after each case")
    args = parser.parse_args()
    if unknown := set(args.ops) - set(ops):
        parser.error(f"no op is called {', '.join(sorted(unknown))}")
    torch.set_num_threads(args.threads)
    machine = torch.cuda.get_device_name() if args.device == "cuda" else level()
    bytes_per_second = bandwidth() if args.device == "cuda" else None
    found = {
        "device": args.device,
        "machine": machine,
        "threads": args.threads,
        "torch": torch.__version__,
        "cases": [],
    }
    for op in args.ops or ops:
        torch.manual_seed(0)
        for case in importlib.import_module(f"benchmarks.kernel_ops.{op}").cases(args.device):
            found["cases"].append(measured(case, args.device, args.seconds, bytes_per_second))
            if args.out:
                write_json(args.out, found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"benchmarks.kernels: {error}")
