"""What a schema cannot say of a run: names that must exist, and combinations that are refused, each by UserError."""

from collections.abc import Iterable
from typing import Any

from natlab import families
from natlab.bundles.manifest import engines_for
from natlab.config import rows
from natlab.config.files import DATASETS, stems
from natlab.config.run import RAW, Run
from natlab.corpus import dataset as dataset_files
from natlab.errors import UserError
from natlab.models.architectures import ARCHITECTURES
from natlab.papers import cells
from natlab.proxy.published import GAMMA
from natlab.schema import known

# What a member may need, for a person; `families` that offer it are found.
NEEDS = {
    "autoregressive": "a decoder that reads what it has written",
    "parallel": "a decoder that predicts all tokens at once",
    "both sides": "an encoder of both languages",
    "target length": "a canvas as long as the target",
    "free length": "a canvas of another length than the target's",
    "plain target": "a target that is what somebody wrote, and not yet placed by what the model predicts",
    "masking head": "a head that predicts what the input masks",
    "links": "a head that predicts which position follows which",
    "blanks and repeats": "predictions in which blanks and repeats are no tokens",
    "start": "a model to start from",
    "codebook": "codes to say the source in",
    "codes": "a canvas of codes",
    "graph": "predictions that are a graph",
    "hypotheses": "predictions of which several whole targets can be drawn and scored",
    "revealed tokens": "an input that reveals tokens",
}
OF_ARCHITECTURE = {
    "autoregressive": "architecture transformer",
    "parallel": "architecture nat",
    "both sides": "architecture multilingual",
    "masking head": "the key predictor",
    "links": "architecture.links",
    "start": "the key start",
}
# The keys of a row that name members which offer something, with their families.
OFFERING = (
    ("lengths", "length"),
    ("fill", "fill"),
    ("codebook", "codebook"),
    ("target", "target"),
    ("input", "input"),
    ("objective", "objective"),
)


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
    for key in ("distil", "translate"):
        if run.scale["gpus"] and run.scale.get(key, {}).get("engine") == "ctranslate2":
            raise UserError(f"{file}: {key}.engine: ctranslate2 is for a CPU, and the scale has gpus; say natlab")
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


def check_distinct(file: str, names: Iterable[str]) -> None:
    """Names that become parts of paths differ in more than capitals, which some file systems do not tell apart."""
    found: dict[str, str] = {}
    for name in names:
        other = found.setdefault(name.lower(), name)
        if other != name:
            raise UserError(f"{file}: {name}: differs from {other} in capitals only; name it otherwise")


def check_systems(run: Run) -> None:
    """Decodings and rows are of members that are there, with options they take, and whose parts suit each other."""
    file = "config/systems.yaml"
    check_distinct(file, run.systems)
    check_distinct(file, run.decodings)
    if RAW in run.systems:
        raise UserError(f"{file}: systems.{RAW}: {RAW} is what candidates call the raw target; name it otherwise")
    for name, row in run.systems.items():
        at = f"systems.{name}"
        if "size" in row:
            known(file, f"{at}.size", row["size"], run.sizes)
        if "size" in row.get("training", {}):
            raise UserError(f"{file}: {at}.training.size: a system's size stands beside its training; write {at}.size")
    # each for all rows: what follows looks at what several rows are
    for name in run.systems:
        _check_members(file, run, name)
    known(file, "reference", run.reference, run.offering("autoregressive"))
    for name, decoding in run.decodings.items():
        at, kind = f"decodings.{name}", decoding["kind"]
        known(file, at, kind, families.names("decoding"))
        for options in families.variants({key: value for key, value in decoding.items() if key != "kind"}):
            _check_options(file, at, "decoding", kind, options)
        for key in families.trait("decoding", kind, "of_system", ()):
            if key in decoding:
                raise UserError(f"{file}: {at}.{key}: a {key} is the system's; write it in the row of the system")
        # the others name an autoregressive system
        for key in families.trait("decoding", kind, "models", ()):
            if key in families.tuned(decoding):
                raise UserError(f"{file}: {at}.{key}: a {key} is a system and cannot be tuned; name one")
            if decoding.get(key) is not None:
                known(file, f"{at}.{key}", decoding[key], run.offering("autoregressive"))
    for name in run.candidates:
        known(file, "candidates", name, run.offering("autoregressive"))
    for check in (_check_gamma, _check_teacher, _check_predictor, _check_start, _check_circle, _check_alike):
        for name in run.systems:
            check(file, run, name)


def _check_members(file: str, run: Run, name: str) -> None:
    """The parts that a system is composed of are there, have the options they take, and suit one another."""
    at, row = f"systems.{name}", run.systems[name]
    made = rows.member(row["architecture"])
    known(file, f"{at}.architecture", made["name"], ARCHITECTURES)
    of = rows.kind(row)
    for key in row:
        having = [name for name, other in ARCHITECTURES.items() if key in other.keys]
        if having and key not in of.keys:
            raise UserError(
                f"{file}: {at}.{key}: a {made['name']} {of.description}; "
                f"remove the key (allowed with architecture {', '.join(having)})"
            )
    for key in made.keys() - {"name"}:
        known(file, f"{at}.architecture", key, [*of.parts, *of.options] or ["name"])
    for key, (family, default) in of.parts.items():  # before what follows from them is asked
        if key in made or default:
            known(file, f"{at}.architecture.{key}", rows.member(made.get(key, default))["name"], families.names(family))
    if "input" in of.keys and "input" not in row:
        raise UserError(f"{file}: {at}: key input is missing; allowed: {', '.join(families.names('input'))}")
    named = [rows.member(term)["name"] for term in row.get("terms", ())]
    for term in named:
        if named.count(term) > 1:
            raise UserError(f"{file}: {at}.terms: {term} stands twice; remove one")
    for key, family, part in rows.members(row):
        known(file, f"{at}.{key}", part["name"], families.names(family))
        options = {option: value for option, value in part.items() if option != "name"}
        if family == "term":
            _check_period(file, f"{at}.{key}: {part['name']}", options)
        _check_options(file, f"{at}.{key}", family, part["name"], options)
    for key, family, part, need in rows.unmet(row):
        raise UserError(
            f"{file}: {at}.{key}: {family} {part} needs {NEEDS[need]}, which this system has not; "
            f"{_remedy(row, family, need)}"
        )


def _remedy(row: dict[str, Any], family: str, need: str) -> str:
    """What to write where a member of a family needs something: what offers it, or members that do without."""
    if need in OF_ARCHITECTURE:
        remedies = [f"it comes with {OF_ARCHITECTURE[need]}"]
    else:
        offering = {
            key: [name for name in families.names(of) if need in families.trait(of, name, "offers", ())]
            for key, of in OFFERING
        }
        remedies = ["allowed: " + "; ".join(f"{key} {', '.join(names)}" for key, names in offering.items() if names)]
    offered = rows.offers(row)
    suit = [name for name in families.names(family) if offered.issuperset(families.trait(family, name, "needs", ()))]
    if suit and family != "term":  # a term need not be there at all
        remedies.append(f"or {family} {', '.join(suit)}")
    return "; ".join(remedies)


def _check_period(file: str, at: str, options: dict[str, Any]) -> None:
    """Take from a term's options from and until when it counts, and hold both to shares of the training."""
    after, until = options.pop("after", 0), options.pop("until", 1)
    for key, value in (("after", after), ("until", until)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise UserError(f"{file}: {at}.{key}: {value!r} is not a share of the training; give a number from 0 to 1")
    if after >= until:
        raise UserError(f"{file}: {at}.until: {until} is not after {after}; the term would never count")


def _check_options(file: str, at: str, family: str, name: str, given: dict[str, Any]) -> None:
    """Hold a member's options to the dataclass that implements it."""
    allowed = families.options(family, name)
    for option, value in given.items():
        known(file, f"{at}: {name}", option, list(allowed) or ["(no option)"])
        if problem := families.problem(allowed[option], value):
            raise UserError(f"{file}: {at}.{option}: {problem}")
    for option, (default, _) in allowed.items():
        if default is families.REQUIRED and option not in given:
            raise UserError(f"{file}: {at}: {name} needs the key {option}; add it")


def _check_gamma(file: str, run: Run, name: str) -> None:
    """Dynamic KD's γ has a number for each candidate."""
    gamma = rows.member(run.systems[name]["target"]).get("gamma")
    numbers = GAMMA.get(gamma) if isinstance(gamma, str) else gamma
    if numbers is not None and len(numbers) != len(run.candidates) + 1:
        raise UserError(
            f"{file}: systems.{name}.target.gamma: {len(numbers)} numbers for {len(run.candidates) + 1} candidates "
            f"({', '.join(run.candidates)}, raw); give one a candidate"
        )


def _check_teacher(file: str, run: Run, name: str) -> None:
    at, teacher = f"systems.{name}", run.teacher(name)
    target = run.target(name)
    references = families.trait("target", target, "references")
    teachers = ", ".join(system for system in run.offering("autoregressive") if run.teacher(system) is None)
    if references == "distilled" and teacher is None:
        raise UserError(f"{file}: {at}: key teacher is missing, target {target} is distilled; allowed: {teachers}")
    if references in ("raw", "candidates") and teacher is not None:
        raise UserError(f"{file}: {at}.teacher: target {target} is not distilled; remove the key")
    if teacher is not None and teacher not in teachers.split(", "):
        what = "is not an autoregressive system trained on raw data" if teacher in run.systems else "is unknown"
        raise UserError(f"{file}: {at}.teacher: {teacher!r} {what}; allowed: {teachers}")


def _check_start(file: str, run: Run, name: str) -> None:
    """A system starts from one whose model has what it takes; of another architecture's that is said."""
    start = run.start(name)
    if start is None:
        return
    at, row = f"systems.{name}", run.systems[name]
    allowed = rows.kind(row).starts
    others = [system for system, of in run.systems.items() if rows.member(of["architecture"])["name"] in allowed]
    known(file, f"{at}.start", start, [system for system in others if system != name])
    if rows.kind(row) is rows.kind(run.systems[start]):
        if rows.member(row["start"]).get("encoder") is not None:
            raise UserError(
                f"{file}: {at}.start.encoder: {start} is of its own architecture: it takes all; drop the key"
            )
        return
    for key, family, part in rows.members(row):
        if "start" in rows.needs(family, part["name"], part):
            raise UserError(
                f"{file}: {at}.{key}: {family} {part['name']} needs a model of its own architecture to start from, "
                f"which {start} is not; start from another system"
            )
    if "stage" not in row:  # the default is made for what has been trained before
        raise UserError(f"{file}: {at}: key stage is missing: most of it starts afresh; say its stage, such as student")


def _check_circle(file: str, run: Run, name: str) -> None:
    """A system starts from none that rests on it."""
    start = run.start(name)
    if start is not None and name in run.rests_on(start):
        raise UserError(f"{file}: systems.{name}.start: {start!r} itself rests on {name}; start from another system")


def _check_alike(file: str, run: Run, name: str) -> None:
    """What a system takes of the model that it starts from is as its own: all of it, of its own architecture; of
    another one the codebook and, where it asks for that, the encoder."""
    start = run.start(name)
    if start is None:
        return
    row, other = run.systems[name], run.systems[start]
    if rows.kind(row) is not rows.kind(other):
        _check_taken(file, run, name, start)
        return

    def parts(of: dict[str, Any]) -> dict[str, Any]:  # a masking head and a codebook may be new
        new = {"masking"} if "codebook" in rows.architecture(other) else {"masking", "codebook"}
        return {key: part for key, part in rows.architecture(of).items() if key not in new}

    for what, own, theirs in (
        ("size", run.size(name), run.size(start)),
        ("architecture", parts(row), parts(other)),
    ):
        if own != theirs:
            raise UserError(
                f"{file}: systems.{name}.start: {start!r} has {what} {theirs}, {name} has {own}; a model "
                f"starts from one of the same {what}: change one of them"
            )


def _check_taken(file: str, run: Run, name: str, start: str) -> None:
    """The codebook and the encoder that a system takes from another architecture's are of its own shape."""
    at = f"{file}: systems.{name}.start"
    own, theirs = (rows.architecture(run.systems[system]) for system in (name, start))
    for system, made in ((name, own), (start, theirs)):
        if "codebook" not in made:
            raise UserError(
                f"{at}: {system} has no codebook, which is what {name} takes of {start}; add it to systems.{system}."
                "architecture, or start from another system"
            )
    if "encoder" not in theirs:  # whose width is its own
        shapes = [_codes(run, system, made["codebook"]) for system, made in ((name, own), (start, theirs))]
        if shapes[0] != shapes[1]:
            raise UserError(
                f"{at}: {start!r} has {shapes[1][0]} codes of {shapes[1][1]} dimensions, {name} {shapes[0][0]} of "
                f"{shapes[0][1]}; give both codebooks the same size and dim"
            )
    if rows.member(run.systems[name]["start"]).get("encoder"):
        sizes = [run.size(system) for system in (name, start)]
        if "encoder" in theirs or sizes[0] != sizes[1]:
            has = f"the encoder {theirs['encoder']['name']}" if "encoder" in theirs else f"size {sizes[1]}"
            raise UserError(f"{at}.encoder: {start!r} has {has}, {name} size {sizes[0]}; drop encoder, or change one")


def _codes(run: Run, system: str, codebook: dict[str, Any]) -> tuple[int, int]:
    """How many codes a system's codebook has, and of how many dimensions."""
    made = families.defaults("codebook", codebook["name"]) | codebook
    return made["size"], made["dim"] or run.sizes[run.size(system)]["d_model"]


def _check_predictor(file: str, run: Run, name: str) -> None:
    predictor = run.predictor(name)
    if predictor is not None:
        vanilla = [
            system
            for system in run.systems
            if rows.member(run.systems[system].get("input", "none"))["name"] == "vanilla"
        ]
        known(file, f"systems.{name}.predictor", predictor, vanilla)


def check_scores(name: str, dataset: dict[str, Any]) -> None:
    """A dataset's scores are there, have the options they take, and one of them gives what it selects by."""
    file, given = f"{DATASETS}/{name}.yaml", dataset_files.scores(dataset)
    for score in given:
        known(file, "scores", score["name"], families.names("score"))
        options = {option: value for option, value in score.items() if option != "name"}
        _check_options(file, "scores", "score", score["name"], options)
    means = [value for score in given for value in families.trait("score", score["name"], "means")]
    known(file, "select_by", dataset.get("select_by", "bleu_tok"), ["bleu_tok", *means])


def check_weights(run: Run) -> None:
    """The folders of models that score translations are there."""
    for metric, folder in run.settings.get("weights", {}).items():
        if not (run.root / folder).is_dir():
            raise UserError(
                f"{run.source}: weights.{metric}: {folder}: no such folder; name the model's, or drop the key"
            )


def check_cells(run: Run) -> None:
    """Every cell's systems and decoding exist and suit each other, and its dataset has its score; every table and
    figure has something to fill."""
    for name, found in run.all_cells.items():
        file = f"config/papers/{name}.yaml"
        for cell in found:
            for reading in cell.readings:
                known(file, f"{cell.where}: system", reading.system, run.systems)
                if cell.dataset is not None and reading.metric in cells.SCORES:
                    scores = [score["name"] for score in dataset_files.scores(run.dataset(cell.dataset))]
                    if cells.SCORES[reading.metric] not in scores:
                        raise UserError(
                            f"{file}: {cell.where}: {cell.dataset} is not scored by {reading.metric}; "
                            f"add {cells.SCORES[reading.metric]} to scores in {DATASETS}/{cell.dataset}.yaml"
                        )
                timed = reading.metric.startswith(cells.SPEED)
                if timed or reading.metric in cells.TRANSLATION_METRICS + cells.LATENCY_METRICS:
                    traits = [trait for of, trait in cells.NEEDED.items() if reading.metric in cells.EXTRAS[of]]
                    row = run.systems[reading.system]
                    suitable = [name for name, of in run.decodings.items() if rows.decodes(of, row, traits)]
                    if not suitable and not any(rows.decodes(of, row) for of in run.decodings.values()):
                        raise UserError(
                            f"{file}: {cell.where}: {reading.metric} is of translations, and {reading.system} "
                            f"{rows.kind(row).description}; ask for another metric"
                        )
                    known(file, f"{cell.where}: decoding of {reading.system}", reading.decoding, suitable)
                if timed:
                    _check_engine(file, cell.where, reading, run.decodings[reading.decoding])
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


def _check_engine(file: str, where: str, reading: cells.Reading, decoding: dict[str, Any]) -> None:
    """What is timed takes one model and nothing of the reference, and its engine is one that can decode so, or natlab's
    own code."""
    models = families.trait("decoding", decoding["kind"], "models", ())
    asked = [key for key in (*models, "reference_length") if decoding.get(key)]
    asked += [key for key in families.trait("decoding", decoding["kind"], "of_system", ()) if key in models]
    if asked:
        raise UserError(
            f"{file}: {where}: {reading.decoding} takes more than its model ({asked[0]}), and so is not timed beside "
            "others; take another decoding, or the metric speedup"
        )
    own = [cells.OWN_ENGINE]
    if families.trait("decoding", decoding["kind"], "captured", False):
        own.append(cells.GRAPHS_ENGINE)
    can = engines_for(decoding)
    known(file, f"{where}: engine", reading.at, [*own, *can, *(f"{name}_int8" for name in can)])
