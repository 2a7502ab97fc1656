# The run, validated before any rule is read; what wildcards can be; helpers that turn names into files.
import json
import sys
from pathlib import Path

import natlab.config
import natlab.families
import natlab.jobs
import natlab.papers.cells
import natlab.papers.claims
import natlab.sources
from natlab.errors import UserError

try:
    RUN = natlab.config.from_snakemake(workflow.config_settings.config, workflow.overwrite_configfiles)
except UserError as error:
    sys.exit(f"natlab: {error}")

# Jobs run the natlab of this Snakemake, whatever environment is active; on a cluster's nodes, too, which read this again.
natlab.jobs.first_on_path(Path(sys.executable).parent)

SCALE = RUN.settings["scale"]
REPORTS = f"reports/{RUN.name}"
# Decoding takes one GPU, however many a training takes.
DECODING_GPUS = min(1, RUN.scale["gpus"])
# Tables, figures and claims as their files are named: <paper>.<table>.
TABLES, FIGURES, CLAIMS = (
    [".".join(name.split("/")) for name in names] for names in (RUN.tables, RUN.figures, RUN.claims)
)


wildcard_constraints:
    **RUN.wildcards,


def code(*patterns):
    """The code that determines an output: the files of src/natlab that the patterns match."""
    return sorted(str(path) for pattern in patterns for path in Path("src/natlab").glob(pattern))


def imported(modules):
    """The code that determines what some modules of natlab make: what they import (`natlab.sources`)."""
    return list(map(str, natlab.sources.files(modules, Path("src/natlab"))))


def compact(value):
    """One line of JSON with sorted keys: the same configuration is the same parameter, however it is written."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


# A model's checkpoints, a folder for each fingerprint; no rule's output.
CHECKPOINTS = "results/checkpoints/{dataset}/{scale}/{system}/seed{seed}"


def unrecorded(value):
    """A parameter that determines nothing that is made, so that changing it reruns nothing.

    Snakemake does not record parameters that it takes to follow from input, threads and the like.
    """
    return lambda wildcards, threads: value


TRACKING = unrecorded(compact(RUN.tracking))


def training_spec(wildcards):
    """The specification of the model that the wildcards name."""
    return RUN.spec(wildcards.dataset, wildcards.system, int(wildcards.seed))


def distilled(wildcards):
    """The corpus that a system's teacher distils for it; nothing for a system without a teacher."""
    teacher = RUN.teacher(wildcards.system)
    if teacher is None:
        return []
    return f"results/distilled/{wildcards.dataset}/{wildcards.scale}/{teacher}/seed{wildcards.seed}/bin"


def candidates(wildcards):
    """The candidates that dynamic KD chooses among; nothing for a system that does not choose."""
    if not RUN.chooses(wildcards.system):
        return []
    return f"results/candidates/{wildcards.dataset}/{wildcards.scale}/seed{wildcards.seed}"


def model_of(system):
    """The model of a system that another one rests on; nothing where there is no such system."""
    if system is None:
        return []
    return f"results/models/{{dataset}}/{{scale}}/{system}/seed{{seed}}/model.pt"


def auxiliary(wildcards):
    """The models that a system's decodings and losses take besides its own."""
    return [model_of(system) for system in RUN.auxiliary(wildcards.dataset, wildcards.system)]


def translations_of(system):
    """The folder of a system's translations."""
    return f"results/translations/{{dataset}}/{{scale}}/{system}/seed{{seed}}"


def named(systems, files):
    """A file of each system, by its name, as arguments."""
    return " ".join(f"{system}={file}" for system, file in zip(systems, files, strict=True))


def named_auxiliary(wildcards, input):
    """The auxiliary models, as arguments."""
    systems = RUN.auxiliary(wildcards.dataset, wildcards.system)
    return f"--auxiliary {named(systems, input.auxiliary)}" if systems else ""


def grammar(wildcards):
    """The dataset's file, where what an ideal NAT would lose is known; nothing elsewhere."""
    known = RUN.knows_ideal(wildcards.dataset, wildcards.system)
    return f"config/datasets/{wildcards.dataset}.yaml" if known else []


def truth(wildcards):
    """The dataset's file, where a cell asks how far a system is from a known P(Y|X); nothing elsewhere."""
    asked = RUN.knows_truth(wildcards.dataset, wildcards.system)
    return f"config/datasets/{wildcards.dataset}.yaml" if asked else []


def extras(wildcards):
    """The decodings of which cells ask more than translations, by what they ask, as arguments."""
    extra = {
        option: RUN.decodings_of(wildcards.dataset, wildcards.system, metrics)
        for option, metrics in natlab.papers.cells.EXTRAS.items()
    }
    return " ".join(word for option, names in extra.items() if names for word in (f"--{option}", *names))


def tuned(wildcards):
    """The translations for which the options of timed decodings were chosen; nothing where none is tuned."""
    timed = RUN.timed_decodings_of(wildcards.dataset, wildcards.system).values()
    return translations_of("{system}") if any(map(natlab.families.tuned, timed)) else []


def timed_systems(wildcards):
    """The systems that are timed beside each other on a dataset."""
    return sorted({way["system"] for way in RUN.ways(wildcards.dataset)})


def tuned_systems(wildcards):
    """Those of them with a decoding whose options are tuned."""
    return sorted({way["system"] for way in RUN.ways(wildcards.dataset) if natlab.families.tuned(way["options"])})


def kernels(wildcards):
    """The kernels' libraries, where the choice of a system's targets or its objective runs them."""
    return KERNELS if RUN.runs_kernels(wildcards.system) else []


def shards(split, count):
    """All shards of a distilled split, in order; they are numbered from 1."""
    return expand(
        "results/distilled/{{dataset}}/{{scale}}/{{teacher}}/seed{{seed}}/shards/{split}.{shard}of{count}.txt",
        split=split,
        shard=range(1, count + 1),
        count=count,
    )


def measurements(*names):
    """What the cells of tables, figures and claims read: a folder of measurements a model, one file a latency, and one
    for all speeds of a dataset."""
    sources = {source for name in names for source in RUN.sources(name)}
    alone = (".latency.json", ".speed.json")
    found = {source if source.endswith(alone) else str(Path(source).parent) for source in sources}
    return sorted(f"results/measurements/{path}" for path in found)


def exact(name):
    """The corpora whose exact values a table or figure shows beside the measured ones."""
    return expand("results/corpora/{dataset}/text", dataset=RUN.exact_datasets(name))


def graphs():
    """The graphs of the run's systems that make some, of its first seed."""
    first = [model for model in RUN.models if model.seed == RUN.settings["seeds"][0]]
    return [
        f"results/graphs/{model.dataset}/{SCALE}/{model.system}/seed{model.seed}.json"
        for model in first
        if RUN.spec(*model)["architecture"].get("links")
    ]


# How finely the plane through three models is evaluated, unless the scale says otherwise.
SURFACE = {"grid": 21, "sentences": 2000, **RUN.scale.get("surface", {})}


def surface(figure):
    """The rows of the grid of a figure of surfaces, of the run's first seed; nothing for another figure."""
    if RUN.surface(figure) is None:
        return []
    dataset, systems = RUN.surface(figure)
    return expand(
        "results/surfaces/{dataset}/{scale}/{systems}/seed{seed}/{row}of{grid}.json",
        dataset=dataset,
        scale=SCALE,
        systems="+".join(systems),
        seed=RUN.settings["seeds"][0],
        row=range(1, SURFACE["grid"] + 1),
        grid=SURFACE["grid"],
    )
