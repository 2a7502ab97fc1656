"""Which measurement fills which cell of a table: a table's spec and a run, resolved. Pure; reads no file.

A cell's description is the table's ``cell:`` mapping, overridden by its column's, overridden by its row's. It asks for
a measurement when it names a metric, a corpus and, unless that metric is the corpus' own (``exact/...``), a system; all
other cells (rows quoted from the paper, derived columns) ask for none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

TRANSLATION_METRICS = ("bleu", "bleu_tok", "bleu_multi", "chrf", "repetition")
LOSS_METRICS = ("loss", "length", "loss_raw", "length_raw")
LATENCY_METRICS = ("speedup", "speedup_greedy")
CONDITIONAL_TC = "conditional_tc"
EXACT = "exact/"


@dataclass(frozen=True)
class Cell:
    """One cell that asks for a measurement.

    ``row`` counts from 0 in the spec's rows; ``column`` is the column's key. ``dataset`` is what stands where the
    paper's ``corpus`` stands, None when the run maps none there or does not build the system: such a cell stays empty.
    ``system`` is None for ``exact/...`` metrics and for ``conditional_tc``, which names two in ``systems``
    ({"at": ..., "nat": ...}). ``decoding`` is None for metrics that decode nothing.
    """

    row: int
    column: str
    metric: str
    corpus: str
    dataset: str | None
    system: str | None = None
    decoding: str | None = None
    split: str = "test"
    systems: Mapping[str, str] = field(default_factory=dict, hash=False)


def cells(table: Mapping, run: Mapping) -> list[Cell]:
    """All cells of ``table`` (a validated table spec) that ask for a measurement, as ``run`` resolves them."""
    resolved = []
    for index, row in enumerate(table["rows"]):
        for column in table["columns"]:
            cell = _cell(index, row, column, table.get("cell", {}), run)
            if cell is not None:
                resolved.append(cell)
    return resolved


def sources(cell: Cell, scale: str, seed: int) -> list[str]:
    """The files below the measurements folder that the cell reads for one seed; AT before NAT for ``conditional_tc``.

    Empty for a cell that stays empty and for the corpus' own metrics, which no seed changes.
    """
    if cell.dataset is None or cell.metric.startswith(EXACT):
        return []
    folder = f"{cell.dataset}/{scale}"
    if cell.metric == CONDITIONAL_TC:
        return [f"{folder}/{cell.systems[kind]}/seed{seed}/loss.json" for kind in ("at", "nat")]
    model = f"{folder}/{cell.system}/seed{seed}"
    if cell.metric in LOSS_METRICS:
        return [f"{model}/loss.json"]
    if cell.metric in LATENCY_METRICS:
        return [f"{model}.latency.json"]
    return [f"{model}/{cell.decoding}.{cell.split}.json"]


def _cell(index: int, row: Mapping, column: Mapping, defaults: Mapping, run: Mapping) -> Cell | None:
    if row.get("quoted") or column["key"] in row.get("reference", ()):
        return None
    asked = {**defaults, **column.get("cell", {}), **row.get("cell", {})}
    metric, corpus = asked.get("metric"), asked.get("corpus")
    if metric is None or corpus is None:
        return None
    if metric.startswith(EXACT):
        return Cell(index, column["key"], metric, corpus, run["corpora"].get(corpus))
    systems = asked.get("systems", {}) if metric == CONDITIONAL_TC else {}
    system = None if metric == CONDITIONAL_TC else asked.get("system")
    named = set(systems.values()) or {system} - {None}
    if not named:
        return None
    built = "systems" not in run or named <= set(run["systems"])
    return Cell(
        row=index,
        column=column["key"],
        metric=metric,
        corpus=corpus,
        dataset=run["corpora"].get(corpus) if built else None,
        system=system,
        decoding=None if metric == CONDITIONAL_TC or metric in LOSS_METRICS else asked.get("decoding"),
        split="valid" if metric == CONDITIONAL_TC or metric in LOSS_METRICS else asked.get("split", "test"),
        systems=systems,
    )
