"""Which measurements fill which cell of a table: a table's spec and a run, resolved. Pure; reads no file but
those that say which values scores give.

A cell's description is the table's ``cell:`` mapping, overridden by its column's, overridden by its row's, overridden
by the row's own for that column (``cells:``). It asks for measurements when it names a metric, a corpus and, unless
that metric is the corpus' own (``exact/...``), a system; all other cells (rows quoted from the paper, derived columns)
ask for none. What a cell shows is worked out from its readings, each one value of one model's measurements.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from natlab import families
from natlab.errors import UserError

# Of the sentences whose reference is so long (`natlab.metrics.by_length`).
BLEU_BY_LENGTH = tuple(f"bleu_tok/{bucket}" for bucket in ("1-9", "10-19", "20-29", "30-39", "40-49", "50-"))
BLEU_BY_LENGTH += tuple(f"bleu_tok/{first}-{first + 1}" for first in range(1, 20, 2))
NGRAM_REPETITION = tuple(f"ngram_repetition/{n}" for n in (1, 2, 3, 4))  # (`natlab.metrics.repetition`)
# At so many positions after a token's own, of short and of long sentences (`natlab.metrics.positions`).
TOKEN_PROBABILITY = tuple(
    f"token_probability/{group}/{distance}"
    for group in ("short", "long")
    for distance in ("-3", "-2", "-1", "0", "+1", "+2", "+3")
)
# With so many per cent of the reference's tokens shown (`natlab.measuring.revealed`).
REVEALED = tuple(f"revealed/{value}/{percent}" for percent in range(0, 100, 10) for value in ("bleu", "accuracy"))
# The values that scores give, with the score (`natlab.metrics.scores`) of each.
SCORES = {value: name for name in families.names("score") for value in families.trait("score", name, "values")}
LEARNED = ("comet", "bleurt")  # what models score them by (`natlab.metrics.learned`), where the run names these
EXPECTED = ("expected_bleu", "expected_ceiling")  # under P(Y|X) of a generated corpus (`natlab.metrics.target_bleu`)
TRANSLATION_METRICS = (*SCORES, *LEARNED, *EXPECTED, "bleu_multi", "repetition", "allowed", "confidence")
TRANSLATION_METRICS += ("bleu_tok_single", "bleu_tok_multi")
TRANSLATION_METRICS += NGRAM_REPETITION + BLEU_BY_LENGTH + TOKEN_PROBABILITY
LIKELIHOOD = ("ncm", "ncm_outputs")  # of references and of the model's own outputs (`natlab.measuring.likelihood`)
# Of several hypotheses of a sentence (`natlab.metrics.samples`); of one of them; texts, which are of one sentence.
SAMPLES = ("oracle_bleu", "allowed_best3", "distinct", "modes", "modes_mass")
SAMPLE = ("sample", "sample_allowed", "sample_score")
TEXTS = (*SAMPLE, "source", "reference")
PLACE = {metric: ("sentence", "sample") if metric in SAMPLE else ("sentence",) for metric in TEXTS}
TRANSLATION_METRICS += LIKELIHOOD + SAMPLES + TEXTS + REVEALED
# What cells ask of decodings more than translations: the metrics, by the option of `natlab decode`.
EXTRAS = {
    "positions": TOKEN_PROBABILITY,
    "samples": SAMPLES + TEXTS,
    "likelihood": LIKELIHOOD,
    "revealed": REVEALED,
}
# The trait that a kind of decoding must have for some of them, by the same option.
NEEDED = {"samples": "n_best", "revealed": "reads"}
SKIPPED = ("skipped_targets", "skipped_predictions")  # in per cent of targets and of predictions (AXE, Table 6)
# Of encoders of both sides, and of codebooks (`natlab.measuring.losses.of_codes`).
CODES = ("retrieval", "code_retrieval", "code_perplexity")
LOSS_METRICS = ("loss", "length", "loss_raw", "length_raw", "token_loss", "l_input", "parameters", *SKIPPED, *CODES)
IDEAL_METRICS = ("ideal_loss", "ideal_token_loss", "ideal_l_input")
TRUTH_METRICS = ("kl", "held", "mass_allowed", "kl_redrawn")  # of a model beside P(Y|X) (`natlab.measuring.truth`)
TARGET_METRICS = ("target_bleu", "target_bleu_exact")
REFERENCE_BLEU = "reference_bleu/"
LATENCY_METRICS = ("speedup", "speedup_greedy")
# Of a system, its decoding and an engine, beside others of the corpus (`natlab.measuring.speed`).
SPEED = "speed/"
OWN_ENGINE = "natlab"
GRAPHS_ENGINE = "natlab_graphs"  # the same code by CUDA graphs, on a GPU
EXACT = "exact/"
DERIVED = ("minus", "divide", "sum", "mean")  # what a column can be of others
CONDITIONAL_TC = "conditional_tc"
DISTORTION = {"l_target": "target_bleu", "l_target_exact": "target_bleu_exact"}
PARAMETER_RATIO = "parameter_ratio"
BRACKET = ("bracket/ratio_from", "bracket/ratio_to", "bracket/bleu_from", "bracket/bleu_to")
METRICS = {
    *TRANSLATION_METRICS, *LOSS_METRICS, *IDEAL_METRICS, *TRUTH_METRICS, *TARGET_METRICS, *LATENCY_METRICS, *DISTORTION,
    *BRACKET, CONDITIONAL_TC, PARAMETER_RATIO,
}  # fmt: skip
CURVE = "curve/"  # a value of the validation at so many per cent of a training (`natlab.metrics.curve`)
NUMBERED = re.compile(
    rf"{REFERENCE_BLEU}[1-9][0-9]*|{EXACT}(test/)?[a-z_]+|{CURVE}[a-z_]+/(100|[1-9]?0)"
    rf"|{SPEED}((mean|median|p95)/[12]|times/(own_beam5|ctranslate2_beam5|ctranslate2_int8_greedy)|sentences/(8|64|best)|length/(5|10|20|50|100|200)|memory|disk|bleu_tok|same)"
)


def check_metric(file: str, where: str, description: Mapping) -> None:
    """Refuse a description, in ``file``, whose metric nothing measures."""
    metric = description.get("metric")
    if metric is not None and metric not in METRICS and not NUMBERED.fullmatch(metric):
        raise UserError(
            f"{file}: {where}.metric: nothing measures {metric!r}; see metric in workflow/schemas/table.schema.yaml, "
            "and the values of src/natlab/metrics/scores"
        )


class Reading(NamedTuple):
    """One value of one model's measurements; ``decoding`` is None for metrics that decode nothing; ``at``: of a text,
    which sentence's, and which of its hypotheses; of a speed, which engine's."""

    metric: str
    system: str
    decoding: str | None
    split: str
    at: str = ""

    def source(self, dataset: str, scale: str, seed: int) -> str:
        """The file below the measurements folder that holds it."""
        if self.metric.startswith(SPEED):
            return f"{dataset}/{scale}/seed{seed}.speed.json"
        model = f"{dataset}/{scale}/{self.system}/seed{seed}"
        if self.metric in LATENCY_METRICS:
            return f"{model}.latency.json"
        if self.metric in LOSS_METRICS + IDEAL_METRICS:
            return f"{model}/loss.json"
        if self.metric in TRUTH_METRICS:
            return f"{model}/truth.json"
        if self.metric.startswith(CURVE):
            return f"{model}/curve.json"
        if self.decoding is None:
            return f"{model}/target.json"
        if self.metric in LEARNED:
            return f"{model}.{self.metric}/{self.decoding}.{self.split}.json"
        if self.metric in TEXTS:
            return f"{model}/{self.decoding}.{self.split}.samples.json"
        return f"{model}/{self.decoding}.{self.split}.json"

    @property
    def key(self) -> str:
        """Its name among the file's values."""
        if self.metric.startswith(SPEED):
            return f"{self.metric}/{self.system}/{self.decoding}/{self.at}"
        part = self.decoding if self.metric in LATENCY_METRICS else self.at
        return f"{self.metric}/{part}" if part else self.metric

    @property
    def sentences(self) -> str:
        """Which of the split's sentences it is about: a group of lengths, or all of them, whose name is empty."""
        return self.metric.split("/")[1] if self.metric in BLEU_BY_LENGTH + TOKEN_PROBABILITY else ""


class Quantity(NamedTuple):
    """A description resolved: its readings (none for ``exact/...``), and ``dataset``, what stands where the paper's
    ``corpus`` stands; None when the run maps none there, does not build a system or names no weights that the metric
    needs, and so measures nothing. ``beta``:
    the weight of sentence BLEU in MPLE's equation 14, of ``l_target``; 0 of other metrics."""

    metric: str
    corpus: str
    dataset: str | None
    readings: tuple[Reading, ...]
    beta: float = 0.0


@dataclass(frozen=True)
class Cell:
    """One cell that asks for measurements. ``row`` counts from 0 in the spec's rows; ``column`` is the column's key."""

    row: int
    column: str
    quantity: Quantity

    @property
    def where(self) -> str:
        return f"row {self.row + 1}, column {self.column}"

    @property
    def metric(self) -> str:
        return self.quantity.metric

    @property
    def corpus(self) -> str:
        return self.quantity.corpus

    @property
    def dataset(self) -> str | None:
        return self.quantity.dataset

    @property
    def readings(self) -> tuple[Reading, ...]:
        return self.quantity.readings

    @property
    def systems(self) -> list[str]:
        """Those it reads, each once, in the order of its readings."""
        return list(dict.fromkeys(reading.system for reading in self.readings))


def cells(table: Mapping, run: Mapping) -> list[Cell]:
    """All cells of ``table`` (a validated table spec) that ask for measurements, as ``run`` resolves them."""
    found = []
    for index, row in enumerate(table["rows"]):
        for column in table["columns"]:
            description = _description(row, column, table.get("cell", {}))
            quantity = resolved(description, run) if description is not None else None
            if quantity is not None:
                found.append(Cell(index, column["key"], quantity))
    return found


def resolved(description: Mapping, run: Mapping) -> Quantity | None:
    """What a cell's description asks of ``run``; None when it asks for no measurement."""
    metric, corpus = description.get("metric"), description.get("corpus")
    if metric is None or corpus is None:
        return None
    if metric in BRACKET and "systems" in run:  # the search is among those that the run builds
        against = description["against"]
        built = [name for name in against["systems"] if name in run["systems"]]
        description = {**description, "against": {**against, "systems": built}}
    readings = () if metric.startswith(EXACT) else _readings(metric, description)
    if not readings and not metric.startswith(EXACT):
        return None
    built = "systems" not in run or {reading.system for reading in readings} <= set(run["systems"])
    weighed = metric not in LEARNED or metric in run.get("weights", {})
    dataset = run["corpora"].get(corpus) if built and weighed else None
    return Quantity(metric, corpus, dataset, readings, description.get("beta", 0.0))


def corpora(table: Mapping) -> Iterator[str]:
    """The papers' corpora that a table's cells name; and those that comparisons among claims do."""
    for part in (table, *table.get("rows", []), *table.get("columns", [])):
        for cell in (part.get("cell", {}), *part.get("cells", {}).values()):
            if "corpus" in cell:
                yield cell["corpus"]


def check_places(file: str, table: Mapping) -> None:
    """Refuse a table, in ``file``, with a cell that asks for a text and does not say which, or that names an engine or
    another split where these make no difference."""
    for number, row in enumerate(table["rows"]):
        for column in table["columns"]:
            description = _description(row, column, table.get("cell", {})) or {}
            metric = description.get("metric") or ""
            where, timed = f"{file}: rows.{number}, column {column['key']}", metric.startswith(SPEED)
            if "engine" in description and metric and not timed:
                raise UserError(f"{where}: {metric} is by natlab's own code; drop engine, or ask for a speed")
            if timed and description.get("split", "test") != "test":
                raise UserError(f"{where}: speeds are of test; drop split")
            for key in PLACE.get(metric, ()):
                if key not in description:
                    raise UserError(f"{where}: {metric} needs the key {key}; add it")


def sources(cell: Cell | Quantity, scale: str, seed: int) -> list[str]:
    """The files below the measurements folder that the cell reads for one seed, each once.

    Empty for a cell that stays empty and for the corpus' own metrics, which no seed changes.
    """
    if cell.dataset is None:
        return []
    return list(dict.fromkeys(reading.source(cell.dataset, scale, seed) for reading in cell.readings))


def value(quantity: Quantity, read: Sequence[float | str]) -> float | str | None:
    """What a cell shows, from the values of its readings in their order; None where they do not give it. A text is that
    of its one reading."""
    metric = quantity.metric
    if metric == CONDITIONAL_TC:
        return conditional_tc(*read)
    if metric in DISTORTION:
        return -quantity.beta * read[0]
    if metric == "parameters":
        return read[0] / 1e6
    if metric == PARAMETER_RATIO:
        return 100 * read[0] / read[1]
    if metric in BRACKET:
        return _bracketing(metric, read)
    return read[0]


def conditional_tc(at: float, nat: float, nat_length: float) -> float:
    """The V-entropy estimate of C, bits per target token (MPLE, appendix B), from two models' losses on raw data.

    C = [NAT's bits for the tokens given the length + its bits for the length] - AT's bits, end of sentence included.
    """
    return nat + nat_length - at


def bracket(bleu: float, ladder: Iterable[tuple[float, float]]) -> tuple[tuple | None, tuple | None]:
    """Of models (parameters, BLEU), those between which one as good as ``bleu`` lies (MPLE, appendix B, Table 5).

    The second is the smallest that reaches ``bleu``, the first the next smaller one: so it and all below it do not.
    None where there is no such model.
    """
    before = None
    for model in sorted(ladder):
        if model[1] >= bleu:
            return before, model
        before = model
    return before, None


def _bracketing(metric: str, read: Sequence[float]) -> float | None:
    (parameters, bleu), *ladder = zip(read[::2], read[1::2], strict=True)
    kind, end = metric.removeprefix("bracket/").split("_")
    model = bracket(bleu, ladder)[("from", "to").index(end)]
    if model is None:
        return None
    return 100 * model[0] / parameters if kind == "ratio" else model[1]


def _description(row: Mapping, column: Mapping, defaults: Mapping) -> dict | None:
    key = column["key"]
    derived = any(kind in column for kind in DERIVED)
    if row.get("quoted") or derived or key in row.get("reference", ()) or key in row.get("by_definition", ()):
        return None
    return {**defaults, **column.get("cell", {}), **row.get("cell", {}), **row.get("cells", {}).get(key, {})}


def _readings(metric: str, description: Mapping) -> tuple[Reading, ...]:
    """Those of a metric that models have; none where the description names no system."""
    if metric == CONDITIONAL_TC:
        systems = description.get("systems")
        pairs = (("at", "loss_raw"), ("nat", "loss_raw"), ("nat", "length_raw")) if systems else ()
        return tuple(Reading(of, systems[kind], None, "valid") for kind, of in pairs)
    system = description.get("system")
    if system is None:
        return ()
    if metric in DISTORTION:
        return (Reading(DISTORTION[metric], system, None, "test"),)
    against = description.get("against", {})
    if metric == PARAMETER_RATIO:
        return tuple(Reading("parameters", name, None, "valid") for name in (system, *against["systems"]))
    split = description.get("split", "test")
    if metric in BRACKET:
        models = [(system, description.get("decoding")), *((name, against["decoding"]) for name in against["systems"])]
        return tuple(
            reading
            for name, decoding in models
            for reading in (Reading("parameters", name, None, "valid"), Reading("bleu_tok", name, decoding, split))
        )
    if metric in LOSS_METRICS + IDEAL_METRICS or metric.startswith(CURVE):
        return (Reading(metric, system, None, "valid"),)
    if metric in TRUTH_METRICS + TARGET_METRICS or metric.startswith(REFERENCE_BLEU):
        return (Reading(metric, system, None, "test"),)
    at = "/".join(str(description[key]) for key in PLACE.get(metric, ()))
    at = description.get("engine", OWN_ENGINE) if metric.startswith(SPEED) else at
    return (Reading(metric, system, description.get("decoding"), split, at),)
