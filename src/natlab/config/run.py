"""A run: what its tables, figures and claims ask for, and the models, decodings and data that they rest on."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from natlab import families, tracking
from natlab.bundles.manifest import engines_for
from natlab.config import rows
from natlab.config.files import DATASETS, read_dataset, stems
from natlab.corpus import dataset as dataset_files
from natlab.papers import cells, claims
from natlab.schema import one_of

RAW = "raw"  # the raw target among candidates, which are otherwise systems


class Model(NamedTuple):
    """One trained model of a run (its scale is the run's)."""

    dataset: str
    system: str
    seed: int


@dataclass
class Run:
    """A validated run. All mappings are the files' contents; ``source`` is the run's file as messages name it."""

    root: Path
    source: str
    settings: dict[str, Any]
    scale: dict[str, Any]
    sizes: dict[str, dict[str, Any]]
    systems: dict[str, dict[str, Any]]
    decodings: dict[str, dict[str, Any]]
    reference: str
    candidates: list[str]
    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    claims: dict[str, dict[str, Any]] = field(default_factory=dict)
    claimed_tables: dict[str, dict[str, Any]] = field(default_factory=dict)  # the tables that claims are about

    @property
    def name(self) -> str:
        return self.settings["run"]

    @property
    def tracking(self) -> dict[str, Any]:
        """How trainings are tracked. It determines no model, so it is in no specification."""
        return {**tracking.DEFAULTS, **self.settings.get("tracking", {})}

    def spec(self, dataset: str, system: str, seed: int) -> dict[str, Any]:
        """All that determines a model but its data and code: the specification that `natlab train` takes."""
        row = self.systems[system]
        training = self.training(system, dataset)
        size = self.sizes[self.size(system)]
        del training["size"]
        if training["dropout"] is None:
            training["dropout"] = size["dropout"]
        target = rows.member(row["target"]) | {key: row[key] for key in ("teacher",) if key in row}
        if self.chooses(system):
            target["candidates"] = [*self.candidates, RAW]
        return {
            "dataset": dataset,
            "scale": self.settings["scale"],
            "system": system,
            "seed": seed,
            "architecture": rows.scaled(rows.architecture(row), self.scale),
            "target": target,
            **rows.learning(row),
            "size": {
                "d_model": size["d_model"],
                "d_hidden": size["d_hidden"],
                "encoder_layers": size["layers"],
                "decoder_layers": size.get("decoder_layers", size["layers"]),
                "heads": size["heads"],
                **{key: size[key] for key in rows.LAYERS if key in size},
            },
            "joint_vocabulary": self.dataset(dataset)["bpe"]["joint"],
            "training": training,
            **({"languages": self._languages(dataset)} if "encoder" in rows.architecture(row) else {}),
            **self._select_by(dataset),
        }

    def _languages(self, dataset: str) -> list[str]:
        return [self.dataset(dataset)["languages"][side] for side in dataset_files.SIDES]

    def _select_by(self, dataset: str) -> dict[str, Any]:
        """By which mean over sentences checkpoints are chosen, as a specification says it; nothing where it is BLEU."""
        described = self.dataset(dataset)
        value = described.get("select_by", "bleu_tok")
        for score in dataset_files.scores(described):
            if value in families.trait("score", score["name"], "means"):
                options = {option: given for option, given in score.items() if option != "name"}
                of = {"value": value, "language": described["languages"]["tgt"]}
                return {"select_by": {"name": score["name"], "options": options, **of}}
        return {}

    def training(self, system: str, dataset: str | None = None) -> dict[str, Any]:
        """How a system is trained, on this dataset if one is given."""
        return rows.training(self.systems[system], self.scale, dataset)

    def size(self, system: str) -> str:
        """The name of a system's size: its own, else that of the model it starts from, else its stage's."""
        start = self.start(system)
        if start is not None and "size" not in self.systems[system]:
            return self.size(start)
        return rows.size(self.systems[system], self.scale)

    def dataset(self, name: str) -> dict[str, Any]:
        """The content of a dataset's file: the run's own are in memory, any other is read."""
        return self.datasets.get(name) or read_dataset(self.root, name)

    def offering(self, what: str) -> list[str]:
        """The systems whose architecture offers it."""
        return [name for name, row in self.systems.items() if what in rows.kind(row).offers]

    def teacher(self, system: str) -> str | None:
        """The system that distils this one's training targets, if any."""
        return self.systems[system].get("teacher")

    def start(self, system: str) -> str | None:
        """The system whose model this one's training starts from, if any."""
        start = self.systems[system].get("start")
        return None if start is None else rows.member(start)["name"]

    def predictor(self, system: str) -> str | None:
        """The system that predicts the tokens this one's proxy input reveals, if its input is predicted."""
        return self.systems[system].get("predictor")

    def target(self, system: str) -> str:
        """The name of a system's proxy target."""
        return rows.target(self.systems[system])

    def chooses(self, system: str) -> bool:
        """Whether a system chooses its target among candidates."""
        return rows.chooses(self.systems[system])

    def runs_kernels(self, system: str) -> bool:
        """Whether choosing a system's targets, or its objective, runs `natlab.kernels`."""
        return rows.runs_kernels(self.systems[system])

    def rests_on(self, system: str) -> list[str]:
        """The systems whose models must be there for this one to be trained and measured, and what those rest on."""
        found: set[str] = set()
        new = [system]
        while new:
            of = new.pop()
            needed = {self.teacher(of), self.start(of), self.predictor(of)} - {None}
            needed |= set(self.candidates) if self.chooses(of) else set()
            new += needed - found
            found |= needed
        return sorted(found)

    @cached_property
    def all_cells(self) -> dict[str, list[cells.Cell]]:
        """The cells of each table, figure and file of claims of the run."""
        shown = {**self.tables, **self.figures, **self.claimed_tables}
        return {name: cells.cells(table, self.settings) for name, table in shown.items()} | {
            name: claims.cells(stated, self.settings) for name, stated in self.claims.items()
        }

    @cached_property
    def filled(self) -> dict[str, list[cells.Cell]]:
        """Those of them that this run fills."""
        return {name: [cell for cell in found if cell.dataset is not None] for name, found in self.all_cells.items()}

    @cached_property
    def models(self) -> list[Model]:
        """Every model that is measured, teachers of others not among them unless they are measured too."""
        measured = {(dataset, reading.system) for dataset, reading in self._readings()}
        return [Model(*pair, seed) for pair in sorted(measured) for seed in self.settings["seeds"]]

    @cached_property
    def trained(self) -> list[Model]:
        """Every model of the run: those measured, what they rest on, and the references of those that are timed."""
        found = set(self.models)
        for model in self.models:
            found |= {model._replace(system=system) for system in self.rests_on(model.system)}
            found |= {model._replace(system=system) for system in self.auxiliary(model.dataset, model.system)}
            if self.timed_decodings_of(model.dataset, model.system):
                found.add(model._replace(system=self.reference))
        return sorted(found)

    def decodings_of(self, dataset: str, system: str, metrics: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
        """{name: resolved decoding} that the cells ask of a system, for the given metrics only, if any are given."""
        names = {
            reading.decoding
            for of, reading in self._readings()
            if of == dataset and reading.system == system and reading.decoding is not None
            if not metrics or reading.metric in metrics
        }
        return {name: self.decoding(dataset, name, system) for name in sorted(names)}

    def timed_decodings_of(self, dataset: str, system: str) -> dict[str, dict[str, Any]]:
        """The decodings of which the cells ask a speedup."""
        return self.decodings_of(dataset, system, cells.LATENCY_METRICS)

    def ways(self, dataset: str) -> list[dict[str, Any]]:
        """What the cells ask to time beside each other, and this machine can: {system, decoding, engine, options}, the
        decoding's."""
        asked = {
            (reading.system, reading.decoding, reading.at)
            for of, reading in self._readings()
            if of == dataset and reading.metric.startswith(cells.SPEED)
        }
        return [
            {"system": system, "decoding": name, "engine": engine, "options": self.decoding(dataset, name, system)}
            for system, name, engine in sorted(asked)
            if engine != cells.GRAPHS_ENGINE or self.scale["gpus"]
        ]

    def translated(self, dataset: str, system: str, metric: str) -> list[str]:
        """The translations of which the cells ask a metric, each as ``decoding.split``."""
        asked = {
            f"{reading.decoding}.{reading.split}"
            for of, reading in self._readings()
            if of == dataset and reading.system == system and reading.metric == metric
        }
        return sorted(asked)

    @property
    def weightless(self) -> list[str]:
        """The metrics that cells ask for and that stay empty because the run names no weights for them."""
        asked = {reading.metric for found in self.all_cells.values() for cell in found for reading in cell.readings}
        return [
            metric for metric in cells.LEARNED if metric in asked and metric not in self.settings.get("weights", {})
        ]

    def decoding(self, dataset: str, name: str, system: str) -> dict[str, Any]:
        """A system's decoding with all its options, the dataset's and the system's among them."""
        row = self.decodings[name]
        kind, of_dataset = (
            row["kind"],
            {
                "length_penalty": self.length_penalty(dataset),
                "length_factor": self.dataset(dataset).get("length_factor", 1.0),
            },
        )
        given = {key: of_dataset[key] for key in families.trait("decoding", kind, "of_dataset", ())}
        given |= {key: self.systems[system].get(key) for key in families.trait("decoding", kind, "of_system", ())}
        return {**families.defaults("decoding", kind), **given, **row}

    def engine(self, dataset: str, system: str) -> str:
        """What translates with a system's model: the scale's engine where it can do a decoding, else natlab."""
        asked = self.scale.get("translate", {}).get("engine", cells.OWN_ENGINE)
        decodings = self.decodings_of(dataset, system).values()
        return asked if any(asked in engines_for(decoding) for decoding in decodings) else cells.OWN_ENGINE

    def auxiliary(self, dataset: str, system: str) -> list[str]:
        """The systems whose models measuring this one takes, too: its predictor, and what its decodings name."""
        decodings = self.decodings_of(dataset, system).values()
        named = {
            decoding.get(key)
            for decoding in decodings
            for key in families.trait("decoding", decoding["kind"], "models", ())
        }
        return sorted({self.predictor(system), *named} - {None})

    def measures_distortion(self, dataset: str, system: str) -> bool:
        """Whether a system's proxy targets of test are compared with further references (L_target of MPLE)."""
        of_nat = "parallel" in rows.offers(self.systems[system])
        return of_nat and "test" in dataset_files.referenced(self.dataset(dataset))

    def knows_ideal(self, dataset: str, system: str) -> bool:
        """Whether what an ideal NAT would lose is known: on raw targets of a generated corpus, on a canvas as long."""
        generated = self.dataset(dataset)["source"]["kind"] == "grammar"
        placed = "target length" in rows.offers(self.systems[system])
        return generated and placed and self.target(system) == "raw"

    def knows_truth(self, dataset: str, system: str) -> bool:
        """Whether a cell asks how far a system is from the P(Y|X) of a generated corpus."""
        asked = any(
            of == dataset and reading.system == system and reading.metric in cells.TRUTH_METRICS
            for of, reading in self._readings()
        )
        says = "likelihood" in rows.offers(self.systems[system])
        return asked and says and self.dataset(dataset)["source"]["kind"] == "grammar"

    def length_penalty(self, dataset: str) -> float:
        """The exponent of the length in a dataset's beam searches, distillation's too."""
        return self.dataset(dataset).get("length_penalty", 1.0)

    def splits_of(self, dataset: str, system: str) -> list[str]:
        """The splits on which the cells ask for this system's translations."""
        splits = {
            reading.split
            for of, reading in self._readings()
            if of == dataset and reading.system == system and reading.decoding is not None
        }
        return sorted(splits) or ["test"]

    def sources(self, name: str) -> list[str]:
        """The measurement files below results/measurements that a table, figure or file of claims reads, all seeds'."""
        scale, seeds = self.settings["scale"], self.settings["seeds"]
        names = [name, *claims.tables_named(self.claims[name])] if name in self.claims else [name]
        read = [cell for part in names for cell in self.filled[part]]
        return sorted({path for cell in read for seed in seeds for path in cells.sources(cell, scale, seed)})

    def surface(self, figure: str) -> tuple[str, list[str]] | None:
        """(dataset, its three systems) of a figure of surfaces; None of another, and where the run does not fill it."""
        draw = self.figures[figure]["draw"]
        if draw["kind"] != "surface":
            return None
        dataset = self.settings["corpora"].get(draw["corpus"])
        built = set(draw["systems"]) <= set(self.settings.get("systems", self.systems))
        return (dataset, draw["systems"]) if dataset is not None and built else None

    @property
    def wildcards(self) -> dict[str, str]:
        """What each wildcard of the rules can be, as a regular expression. Any dataset can be made, used or not."""
        papers = [name.partition("/") for name in (*self.tables, *self.figures, *self.claims)]
        system, number = one_of(self.systems), r"\d+"
        return {
            "dataset": one_of(stems(self.root / DATASETS)),
            "scale": one_of([self.settings["scale"]]),
            **dict.fromkeys(("system", "teacher", "origin", "first", "second"), system),
            **dict.fromkeys(("seed", "shard", "shards", "row", "grid"), number),
            "split": one_of(dataset_files.SPLITS),
            "metric": one_of(cells.LEARNED),
            "paper": one_of({paper for paper, _, _ in papers}),
            **dict.fromkeys(("table", "figure", "claims"), one_of({name for _, _, name in papers})),
        }

    def exact_datasets(self, name: str) -> list[str]:
        """The generated corpora whose exact values a table or figure shows."""
        shown = {cell.dataset for cell in self.filled[name] if cell.metric.startswith(cells.EXACT)}
        kinds = dataset_files.sources(self.root / DATASETS)
        return sorted(name for name in shown if kinds[name]["kind"] == "grammar")

    def _readings(self) -> Iterator[tuple[str, cells.Reading]]:
        """(dataset, reading) of all that is measured."""
        for found in self.filled.values():
            for cell in found:
                for reading in cell.readings:
                    yield cell.dataset, reading
