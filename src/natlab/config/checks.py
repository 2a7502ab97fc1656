"""What a schema cannot say of a run: names that must exist, and combinations that are refused, each by UserError."""

from typing import Any

from natlab.config import rows
from natlab.config.files import DATASETS, stems
from natlab.config.run import Run
from natlab.errors import UserError
from natlab.papers import cells
from natlab.proxy import registry
from natlab.proxy.published import GAMMA
from natlab.schema import known


def check_sizes(run: Run) -> None:
    """Sizes can be split into heads, and the scale names sizes and stages that are there."""
    for name, size in run.sizes.items():
        if size["d_model"] % size["heads"]:
            raise UserError(
                f"config/sizes.yaml: {name}.heads: {size['heads']} heads do not divide d_model {size['d_model']}; "
                "change one of them"
            )
    file = f"config/scales/{run.settings['scale']}.yaml"
    stages = rows.stages(run.scale)
    for stage, training in stages.items():
        if "size" in training:
            known(file, f"{stage}.size", training["size"], run.sizes)
    known_datasets = stems(run.root / DATASETS)
    for name, differs in run.scale.get("datasets", {}).items():
        known(file, "datasets", name, known_datasets)
        for stage, training in differs.items():
            known(file, f"datasets.{name}", stage, stages)
            if "size" in training:
                raise UserError(
                    f"{file}: datasets.{name}.{stage}.size: a size is of a stage or a system; write {stage}.size"
                )
    for name, stands in run.scale.get("sizes", {}).items():
        known(file, "sizes", name, run.sizes)
        known(file, f"sizes.{name}", stands, run.sizes)


def check_trainings(run: Run) -> None:
    """Every training of the run has a stage, outlasts its warm-up, and its GPUs share an update's steps evenly."""
    gpus, scale = run.scale["gpus"], run.settings["scale"]
    for dataset, system in dict.fromkeys((model.dataset, model.system) for model in run.trained):
        at = f"systems.{system}.stage, at scale {scale}"
        known("config/systems.yaml", at, rows.stage(run.systems[system]), rows.stages(run.scale))
        training = run.training(system, dataset)
        if training["warmup"] > training["updates"]:
            raise UserError(
                f"config/systems.yaml: systems.{system}.training: {training['updates']} updates at scale {scale} end "
                f"within their warm-up of {training['warmup']}; say warmup_share, or warmup"
            )
        if gpus and training["update_freq"] % gpus:
            raise UserError(
                f"config/scales/{scale}.yaml: gpus: {gpus} GPUs cannot share update_freq {training['update_freq']} of "
                f"{system} evenly; make it a multiple of {gpus}, and batch_tokens smaller in proportion"
            )


def check_systems(run: Run) -> None:
    """The rows' names and proxies' options are there, and their parts suit each other."""
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
        _check_proxy(file, f"{at}.target", "targets", rows.proxy(row["target"]))
        if run.is_autoregressive(name):
            _check_autoregressive(file, run, name)
        elif "input" not in row:
            raise UserError(f"{file}: {at}: key input is missing; allowed: {', '.join(registry.names('inputs'))}")
        else:
            _check_proxy(file, f"{at}.input", "inputs", rows.proxy(row["input"]))
        _check_gamma(file, run, name)
        _check_teacher(file, run, name)
        _check_start(file, run, name)
        _check_predictor(file, run, name)


def _check_autoregressive(file: str, run: Run, name: str) -> None:
    """It has no proxy input, and no target that is chosen by what a NAT predicts."""
    at, row = f"systems.{name}", run.systems[name]
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
    gamma = rows.proxy(run.systems[name]["target"]).get("gamma")
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
    vanilla = [
        system for system, row in run.systems.items() if rows.proxy(row.get("input", "none"))["name"] == "vanilla"
    ]
    if name in vanilla:
        raise UserError(f"{file}: {at}: input vanilla reveals no token; remove the key")
    known(file, at, predictor, vanilla)


def check_cells(run: Run) -> None:
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
                corpora = ", ".join(sorted(set(cells.corpora(table))))
                raise UserError(
                    f"{run.source}: {kind}: {name} would be empty: the run has a dataset for none of its corpora "
                    f"({corpora}), or builds none of its systems; change corpora, systems or {kind}"
                )
    for name, figure in run.figures.items():
        for system in figure["draw"].get("systems", ()):
            known(f"config/papers/{name}.yaml", "draw.systems", system, run.systems)


def _autoregressive(run: Run) -> list[str]:
    return [name for name in run.systems if run.is_autoregressive(name)]
