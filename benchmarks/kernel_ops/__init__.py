"""What `benchmarks.kernels` measures: one module an op, whose ``cases(device)`` yields each `Case` for that device."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Case:
    """One op at one size.

    ours and peers: calls without arguments that do the same, gradients included where a case is about them.
    least_bytes: what has to be moved at least, each input read and each output written once.
    """

    op: str
    size: str
    ours: Callable[[], object]
    peers: dict[str, Callable[[], object]] = field(default_factory=dict)
    least_bytes: int | None = None
