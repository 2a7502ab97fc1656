"""The configuration of a run, validated as a whole and resolved to what the workflow must build.

A run file names a scale, datasets, tables, figures, claims and seeds. Their cells say which systems are measured, with
which decodings, on which splits; from these follow the models, their teachers, and the distilled corpora. Nothing here
looks at data, so a dry run needs none. Everything wrong raises UserError: a line with file, key and the allowed values.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from natlab import tracking
from natlab.corpus import dataset as dataset_files
from natlab.errors import UserError
from natlab.proxy import registry
from natlab.proxy.published import GAMMA
from natlab.report import cells, claims, spec
from natlab.schema import bare, known, one_of, read_object, read_yaml, validate

DEFAULT_RUN = "config/config.yaml"
SCHEMAS = Path("workflow/schemas")
PAPERS = Path("config/papers")
RUNS = Path("config/runs")
AUTOREGRESSIVE = "transformer"


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
    tested: dict[str, dict[str, Any]] = field(default_factory=dict)  # the tables that claims are about

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
        target = _proxy(row["target"]) | {key: row[key] for key in ("teacher",) if key in row}
        if self.chooses(system):
            target["candidates"] = [*self.candidates, "raw"]
        return {
            "dataset": dataset,
            "scale": self.settings["scale"],
            "system": system,
            "seed": seed,
            "architecture": row["architecture"],
            "target": target,
            **({} if self.is_autoregressive(system) else _parallel(row)),
            "size": {
                "d_model": size["d_model"],
                "d_hidden": size["d_hidden"],
                "encoder_layers": size["layers"],
                "decoder_layers": size["layers"],
                "heads": size["heads"],
            },
            "joint_vocabulary": self.dataset(dataset)["bpe"]["joint"],
            "training": training,
        }

    def training(self, system: str, dataset: str | None = None) -> dict[str, Any]:
        """How a system is trained: as its scale says for its role, or for this dataset, and its row otherwise."""
        row = self.systems[system]
        roles = ["teacher"] if self.is_autoregressive(system) else ["student", "finetune"][: 1 + ("start" in row)]
        own = self.scale.get("datasets", {}).get(dataset, {})
        said = [part for role in roles for part in (self.scale[role], own.get(role, {}))]
        training = {key: value for part in (*said, row.get("training", {})) for key, value in part.items()}
        training["updates"] = max(1, round(training["updates"] * training.pop("share", 1)))
        if "warmup_share" in training:
            training["warmup"] = round(training["updates"] * training.pop("warmup_share"))
        return training

    def size(self, system: str) -> str:
        """The name of a system's size: its scale's for its role, or what stands at this scale for the one it names."""
        named = self.systems[system].get("size")
        return self.training(system)["size"] if named is None else self.scale.get("sizes", {}).get(named, named)

    def dataset(self, name: str) -> dict[str, Any]:
        """The content of a dataset's file: the run's own are in memory, any other is read."""
        return self.datasets.get(name) or _load_dataset(self.root, name)

    def is_autoregressive(self, system: str) -> bool:
        return self.systems[system]["architecture"] == AUTOREGRESSIVE

    def teacher(self, system: str) -> str | None:
        """The system that distils this one's training targets, if any."""
        return self.systems[system].get("teacher")

    def start(self, system: str) -> str | None:
        """The system whose model this one's training starts from, if any."""
        return self.systems[system].get("start")

    def predictor(self, system: str) -> str | None:
        """The system that predicts the tokens this one's proxy input reveals, if its input is predicted."""
        return self.systems[system].get("predictor")

    def target(self, system: str) -> str:
        """The name of a system's proxy target."""
        return _proxy(self.systems[system]["target"])["name"]

    def chooses(self, system: str) -> bool:
        """Whether a system chooses its target among candidates."""
        return registry.trait(self.target(system), "references") == "candidates"

    def runs_kernels(self, system: str) -> bool:
        """Whether choosing a system's targets runs `natlab.kernels`."""
        return not self.is_autoregressive(system) and registry.trait(self.target(system), "kernels")

    def rests_on(self, system: str) -> list[str]:
        """The systems whose models must be there for this one to be trained and measured, and what those rest on."""
        found: set[str] = set()
        new = [system]
        while new:
            of = new.pop()
            asked = {self.teacher(of), self.start(of), self.predictor(of)} - {None}
            asked |= set(self.candidates) if self.chooses(of) else set()
            new += asked - found
            found |= asked
        return sorted(found)

    @cached_property
    def asked(self) -> dict[str, list[cells.Cell]]:
        """The cells of each table, figure and file of claims of the run."""
        shown = {**self.tables, **self.figures, **self.tested}
        return {name: cells.cells(table, self.settings) for name, table in shown.items()} | {
            name: claims.cells(stated, self.settings) for name, stated in self.claims.items()
        }

    @cached_property
    def filled(self) -> dict[str, list[cells.Cell]]:
        """Those of them that this run fills."""
        return {name: [cell for cell in found if cell.dataset is not None] for name, found in self.asked.items()}

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
            found |= {model._replace(system=system) for system in self.beside(model.dataset, model.system)}
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

    def decoding(self, dataset: str, name: str, system: str) -> dict[str, Any]:
        """A system's decoding with all its options, the dataset's and the system's among them."""
        row = self.decodings[name]
        if row["kind"] == "beam":
            return {**row, "length_penalty": self.length_penalty(dataset)}
        factor = self.dataset(dataset).get("length_factor", 1.0)
        if row["kind"] == "sample":
            return {"length_factor": factor, "seed": 1, "predictor": self.predictor(system), **row}
        return {"candidates": 1, "length_factor": factor, "deduplicate": False, **row}

    def beside(self, dataset: str, system: str) -> list[str]:
        """The systems whose models measuring this one takes besides: its predictor, and rerankers."""
        rerankers = {decoding.get("reranker") for decoding in self.decodings_of(dataset, system).values()}
        return sorted({self.predictor(system), *rerankers} - {None})

    def measures_distortion(self, dataset: str, system: str) -> bool:
        """Whether a system's proxy targets of test are compared with further references (L_target of MPLE)."""
        return not self.is_autoregressive(system) and "test" in dataset_files.referenced(self.dataset(dataset))

    def knows_ideal(self, dataset: str, system: str) -> bool:
        """Whether what an ideal NAT would lose is known: on raw targets of a generated corpus."""
        generated = self.dataset(dataset)["source"]["kind"] == "grammar"
        return generated and not self.is_autoregressive(system) and self.target(system) == "raw"

    def length_penalty(self, dataset: str) -> float:
        """The exponent of the length in a dataset's beam searches, distillation's too."""
        return self.dataset(dataset).get("length_penalty", 1.0)

    def splits_of(self, dataset: str, system: str) -> list[str]:
        """The splits on which the cells ask for this system's translations."""
        asked = {
            reading.split
            for of, reading in self._readings()
            if of == dataset and reading.system == system and reading.decoding is not None
        }
        return sorted(asked) or ["test"]

    def sources(self, name: str) -> list[str]:
        """The measurement files below results/measurements that a table, figure or file of claims reads, all seeds'."""
        scale, seeds = self.settings["scale"], self.settings["seeds"]
        names = [name, *claims.tables_named(self.claims[name])] if name in self.claims else [name]
        asked = [cell for part in names for cell in self.filled[part]]
        return sorted({path for cell in asked for seed in seeds for path in cells.sources(cell, scale, seed)})

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
            "dataset": one_of(_stems(self.root / dataset_files.FOLDER)),
            "scale": one_of([self.settings["scale"]]),
            **dict.fromkeys(("system", "teacher", "origin", "first", "second"), system),
            **dict.fromkeys(("seed", "shard", "shards", "row", "grid"), number),
            "split": one_of(dataset_files.SPLITS),
            "paper": one_of({paper for paper, _, _ in papers}),
            **dict.fromkeys(("table", "figure", "claims"), one_of({name for _, _, name in papers})),
        }

    def exact_datasets(self, name: str) -> list[str]:
        """The generated corpora whose exact values a table or figure shows."""
        asked = {cell.dataset for cell in self.filled[name] if cell.metric.startswith(cells.EXACT)}
        kinds = dataset_files.sources(self.root / dataset_files.FOLDER)
        return sorted(name for name in asked if kinds[name]["kind"] == "grammar")

    def _readings(self) -> Iterator[tuple[str, cells.Reading]]:
        """(dataset, reading) of all that is measured."""
        for found in self.filled.values():
            for cell in found:
                for reading in cell.readings:
                    yield cell.dataset, reading


def load(settings: Mapping[str, Any], source: str, root: Path = Path()) -> Run:
    """The run of ``settings`` (the content of ``source``), with every file it names read and validated.

    ``root`` is the folder that holds config/ and workflow/schemas/.
    """
    schemas = root / SCHEMAS
    validate(settings, schemas / "run.schema.yaml", source)
    systems = _read(root, "config/systems.yaml", "systems")
    known(source, "scale", settings["scale"], _stems(root / "config/scales"))
    run = Run(
        root=root,
        source=source,
        settings=dict(settings),
        scale=_read(root, f"config/scales/{settings['scale']}.yaml", "scale"),
        sizes=_read(root, "config/sizes.yaml", "sizes"),
        systems=systems["systems"],
        decodings=systems["decodings"],
        reference=systems["reference"],
        candidates=systems["candidates"],
    )
    _check_sizes(run)
    _check_systems(run)
    for name in settings.get("systems", []):
        known(source, "systems", name, run.systems)
    _load_datasets(run, _load_papers(run))
    _check_cells(run)
    return run


def load_file(path: str | Path = DEFAULT_RUN, root: Path = Path()) -> Run:
    """The run of a run file."""
    return load(read_yaml(path), str(path), root)


def from_snakemake(overrides: Mapping[str, Any], configfiles: Sequence[str | Path], root: Path = Path()) -> Run:
    """The run Snakemake was called for: its ``--configfile``, else the default, under its ``--config`` overrides, each
    of which replaces the whole value of a key.

    The files are read here, as everywhere in natlab, and not by Snakemake: in its YAML the last of a key given twice
    wins, and it would merge the datasets of one run into another's.
    """
    settings: dict[str, Any] = {}
    for file in configfiles or [DEFAULT_RUN]:
        settings |= read_object(root / file, str(file))
    settings |= {key: value if isinstance(value, str) else _bare(value) for key, value in overrides.items()}
    source = ", ".join(map(str, configfiles or [DEFAULT_RUN])) + (" and --config" if overrides else "")
    return load(settings, source, root)


def _bare(value: Any) -> Any:
    """A value of ``--config``, in whose lists and mappings Snakemake leaves numbers and the like as text."""
    if isinstance(value, Mapping):
        return {key: _bare(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_bare(part) for part in value]
    return bare(value) if isinstance(value, str) else value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", default=DEFAULT_RUN, metavar="RUNFILE", help=f"default: {DEFAULT_RUN}")


def run(args: argparse.Namespace) -> None:
    """Validate a run and say what it would build. Raises UserError."""
    checked = load_file(args.run)
    distilled = {(model.dataset, checked.teacher(model.system)) for model in checked.models}
    print(f"{args.run}: valid")
    for kind in ("tables", "figures", "claims"):
        if names := getattr(checked, kind):
            print(f"{kind}: {', '.join(names)}")
    print(f"datasets: {', '.join(checked.datasets)}")
    print(f"systems: {', '.join(sorted({model.system for model in checked.models}))}")
    print(f"measured models: {len(checked.models)}; distilled by: {_listed(distilled)}")


def _listed(distilled: set[tuple[str, str | None]]) -> str:
    return ", ".join(f"{teacher} ({dataset})" for dataset, teacher in sorted(distilled, key=str) if teacher) or "none"


def _proxy(value: str | Mapping[str, Any]) -> dict[str, Any]:
    """A proxy's name and options, from either way of writing it."""
    return {"name": value} if isinstance(value, str) else dict(value)


def _parallel(row: Mapping[str, Any]) -> dict[str, Any]:
    """What only a non-autoregressive system has."""
    own = {"input": _proxy(row["input"]), "canvas": row.get("canvas", "copy")}
    if "start" in row:
        own["start"] = row["start"]
    if "predictor" in row:  # which one predicts the tokens makes no difference to the training
        own["predictor"] = True
    return own


def _read(root: Path, file: str, kind: str) -> Any:
    """The content of a configuration file, held to its kind's schema."""
    value = read_yaml(root / file, name=file)
    validate(value, root / SCHEMAS / f"{kind}.schema.yaml", file)
    return value


def _stems(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _check_sizes(run: Run) -> None:
    for name, size in run.sizes.items():
        if size["d_model"] % size["heads"]:
            raise UserError(
                f"config/sizes.yaml: {name}.heads: {size['heads']} heads do not divide d_model {size['d_model']}; "
                "change one of them"
            )
    file = f"config/scales/{run.settings['scale']}.yaml"
    for role in ("teacher", "student", "finetune"):
        if "size" in run.scale[role]:
            known(file, f"{role}.size", run.scale[role]["size"], run.sizes)
    known_datasets = _stems(run.root / dataset_files.FOLDER)
    for name, differs in run.scale.get("datasets", {}).items():
        known(file, "datasets", name, known_datasets)
        for role, training in differs.items():
            if "size" in training:
                raise UserError(
                    f"{file}: datasets.{name}.{role}.size: a size is of a role or a system; write {role}.size"
                )
    for name, stands in run.scale.get("sizes", {}).items():
        known(file, "sizes", name, run.sizes)
        known(file, f"sizes.{name}", stands, run.sizes)


def _check_training(file: str, run: Run, system: str) -> None:
    """A training outlasts its warm-up, and its GPUs share the steps of each update evenly."""
    gpus, training = run.scale["gpus"], run.training(system)
    if training["warmup"] > training["updates"]:
        raise UserError(
            f"{file}: systems.{system}.training: {training['updates']} updates at scale {run.settings['scale']} end "
            f"within their warm-up of {training['warmup']}; say warmup_share, or warmup"
        )
    if gpus and training["update_freq"] % gpus:
        raise UserError(
            f"config/scales/{run.settings['scale']}.yaml: gpus: {gpus} GPUs cannot share update_freq "
            f"{training['update_freq']} of {system} evenly; make it a multiple of {gpus}, and batch_tokens smaller in "
            "proportion"
        )


def _check_systems(run: Run) -> None:
    """What a schema cannot say: names, proxies' options, and combinations that do not exist."""
    file = "config/systems.yaml"
    known(file, "reference", run.reference, _autoregressive(run))
    for name, decoding in run.decodings.items():
        if "reranker" in decoding:
            known(file, f"decodings.{name}.reranker", decoding["reranker"], _autoregressive(run))
    for name in run.candidates:
        known(file, "candidates", name, _autoregressive(run))
    for name, row in run.systems.items():
        at = f"systems.{name}"
        if "size" in row:
            known(file, f"{at}.size", row["size"], run.sizes)
        if "size" in row.get("training", {}):
            raise UserError(f"{file}: {at}.training.size: a system's size stands beside its training; write {at}.size")
        _check_training(file, run, name)
        _check_proxy(file, f"{at}.target", "targets", _proxy(row["target"]))
        if run.is_autoregressive(name):
            for key in ("input", "canvas", "start", "predictor"):
                if key in row:
                    raise UserError(
                        f"{file}: {at}.{key}: a {row['architecture']} reads what it has written; "
                        "remove the key (allowed with architecture nat)"
                    )
            if not registry.fixed(run.target(name)):
                fixed = ", ".join(filter(registry.fixed, registry.names("targets")))
                raise UserError(
                    f"{file}: {at}.target: {run.target(name)} is chosen by what a NAT predicts; allowed with a "
                    f"{row['architecture']}: {fixed}"
                )
        elif "input" not in row:
            raise UserError(f"{file}: {at}: key input is missing; allowed: {', '.join(registry.names('inputs'))}")
        else:
            _check_proxy(file, f"{at}.input", "inputs", _proxy(row["input"]))
        _check_gamma(file, run, name)
        _check_teacher(file, run, name)
        _check_start(file, run, name)
        _check_predictor(file, run, name)


def _check_proxy(file: str, at: str, kind: str, given: dict[str, Any]) -> None:
    """Hold a proxy's name and options to the dataclass that implements it."""
    name = given["name"]
    known(file, at, name, registry.names(kind))
    allowed = registry.options(kind, name)
    for option, value in given.items():
        known(file, f"{at}: {name}", option, ["name", *allowed])
        if option in allowed and (problem := registry.problem(allowed[option], value)):
            raise UserError(f"{file}: {at}.{option}: {problem}")
    for option, (default, _) in allowed.items():
        if default is registry.REQUIRED and option not in given:
            raise UserError(f"{file}: {at}: {name} needs the key {option}; add it")


def _check_gamma(file: str, run: Run, name: str) -> None:
    """Dynamic KD's γ has a number for each candidate."""
    gamma = _proxy(run.systems[name]["target"]).get("gamma")
    numbers = GAMMA.get(gamma) if isinstance(gamma, str) else gamma
    if numbers is not None and len(numbers) != len(run.candidates) + 1:
        raise UserError(
            f"{file}: systems.{name}.target.gamma: {len(numbers)} numbers for {len(run.candidates) + 1} candidates "
            f"({', '.join(run.candidates)}, raw); give one a candidate"
        )


def _check_teacher(file: str, run: Run, name: str) -> None:
    at, teacher = f"systems.{name}", run.teacher(name)
    target = run.target(name)
    references = registry.trait(target, "references")
    teachers = ", ".join(system for system in _autoregressive(run) if run.teacher(system) is None)
    if references == "distilled" and teacher is None:
        raise UserError(f"{file}: {at}: key teacher is missing, target {target} is distilled; allowed: {teachers}")
    if references in ("raw", "candidates") and teacher is not None:
        raise UserError(f"{file}: {at}.teacher: target {target} is not distilled; remove the key")
    if teacher is not None and teacher not in teachers.split(", "):
        what = "is not an autoregressive system trained on raw data" if teacher in run.systems else "is unknown"
        raise UserError(f"{file}: {at}.teacher: {teacher!r} {what}; allowed: {teachers}")


def _check_start(file: str, run: Run, name: str) -> None:
    at, start = f"systems.{name}.start", run.start(name)
    if start is None:
        return
    known(file, at, start, [system for system in run.systems if not run.is_autoregressive(system) and system != name])
    for what, of in (("size", run.size), ("canvas", lambda system: run.systems[system].get("canvas", "copy"))):
        if of(name) != of(start):
            raise UserError(
                f"{file}: {at}: {start!r} has {what} {of(start)}, {name} has {of(name)}; a model starts from one of "
                f"the same {what}: change one of them"
            )
    if name in run.rests_on(start):
        raise UserError(f"{file}: {at}: {start!r} itself rests on {name}; start from another system")


def _check_predictor(file: str, run: Run, name: str) -> None:
    at, predictor = f"systems.{name}.predictor", run.predictor(name)
    if predictor is None:
        return
    vanilla = [system for system, row in run.systems.items() if _proxy(row.get("input", "none"))["name"] == "vanilla"]
    if name in vanilla:
        raise UserError(f"{file}: {at}: input vanilla reveals no token; remove the key")
    known(file, at, predictor, vanilla)


def _autoregressive(run: Run) -> list[str]:
    return [name for name in run.systems if run.is_autoregressive(name)]


def _load_papers(run: Run) -> list[str]:
    """The tables, figures and claims of the run, and the tables that its claims are about, of all papers' files, which
    must be valid. Returns the papers' corpora."""
    found = {
        f"{path.parent.name}/{path.stem}": (spec.kind(read_object(path)), path)
        for path in sorted((run.root / PAPERS).glob("*/*.yaml"))
    }
    papers = {
        kind: {
            name: (claims if kind == "claims" else spec).load(path) for name, (of, path) in found.items() if of == kind
        }
        for kind in ("tables", "figures", "claims")
    }
    for kind, into in (("tables", run.tables), ("figures", run.figures), ("claims", run.claims)):
        for name in run.settings.get(kind, []):
            known(run.source, kind, name, papers[kind])
            into[name] = papers[kind][name]
    for name, stated in run.claims.items():
        for other in stated.get("deviation", ()):
            known(f"config/papers/{name}.yaml", "deviation", other, _stems(run.root / RUNS))
        for table in claims.tables_named(stated):
            known(f"config/papers/{name}.yaml", "table", table, papers["tables"])
            run.tested[table] = papers["tables"][table]
            claims.check_columns(f"config/papers/{name}.yaml", stated, table, run.tested[table])
    return sorted({corpus for of in papers.values() for paper in of.values() for corpus in _corpora(paper)})


def _load_datasets(run: Run, corpora: list[str]) -> None:
    """The datasets that stand for a corpus, one of ``corpora``. Any dataset can be made, so all must be valid."""
    datasets = {name: _load_dataset(run.root, name) for name in _stems(run.root / dataset_files.FOLDER)}
    dataset_files.downloads(run.root / dataset_files.FOLDER)
    for corpus, name in run.settings["corpora"].items():
        known(run.source, "corpora", corpus, corpora)
        known(run.source, f"corpora.{corpus}", name, datasets)
        run.datasets[name] = datasets[name]


def _load_dataset(root: Path, name: str) -> dict[str, Any]:
    return dataset_files.load(root / dataset_files.FOLDER / f"{name}.yaml", root / dataset_files.SCHEMA)


def _corpora(table: Mapping[str, Any]) -> Iterator[str]:
    """The papers' corpora that a table's cells name; and those that comparisons among claims do."""
    for part in (table, *table.get("rows", []), *table.get("columns", [])):
        for cell in (part.get("cell", {}), *part.get("cells", {}).values()):
            if "corpus" in cell:
                yield cell["corpus"]


def _check_cells(run: Run) -> None:
    """Every cell's systems and decoding exist and suit each other; every table and figure has something to fill."""
    for name, found in run.asked.items():
        file = f"config/papers/{name}.yaml"
        for cell in found:
            for reading in cell.readings:
                known(file, f"{cell.where}: system", reading.system, run.systems)
                if reading.metric in cells.TRANSLATION_METRICS + cells.LATENCY_METRICS:
                    kinds = ("beam",) if run.is_autoregressive(reading.system) else ("argmax", "sample")
                    kinds = kinds if run.predictor(reading.system) else kinds[:1]
                    suitable = [name for name, decoding in run.decodings.items() if decoding["kind"] in kinds]
                    known(file, f"{cell.where}: decoding of {reading.system}", reading.decoding, suitable)
    for kind in ("tables", "figures"):
        for name, table in getattr(run, kind).items():
            if not run.filled[name]:
                corpora = ", ".join(sorted(set(_corpora(table))))
                raise UserError(
                    f"{run.source}: {kind}: {name} would be empty: the run has a dataset for none of its corpora "
                    f"({corpora}), or builds none of its systems; change corpora, systems or {kind}"
                )
    for name, figure in run.figures.items():
        for system in figure["draw"].get("systems", ()):
            known(f"config/papers/{name}.yaml", "draw.systems", system, run.systems)
