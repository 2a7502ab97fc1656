# natlab: from raw text to the papers' tables. See README.md, and config/README.md for the configuration.
#   snakemake --cores 2                                          the demo (config/config.yaml)
#   snakemake --cores 2 --configfile config/runs/multi30k_tiny.yaml
from snakemake.utils import min_version

min_version("9.0")


# Where a profile says so, jobs run in this image (docs/containers.md).
container: "natlab.sif"


include: "workflow/rules/common.smk"


localrules:
    all,
    corpora,
    models,
    measured,
    tables,
    figures,


# The run's report, and with it everything it rests on.
rule all:
    default_target: True
    input:
        f"{REPORTS}/index.html",


# The run's tables only.
rule tables:
    input:
        expand(f"{REPORTS}/tables/{{table}}.md", table=TABLES),


# The run's figures only.
rule figures:
    input:
        expand(f"{REPORTS}/figures/{{figure}}.png", figure=FIGURES),


# The run's trained models only.
rule models:
    input:
        [f"results/models/{model.dataset}/{SCALE}/{model.system}/seed{model.seed}/model.pt" for model in RUN.models],


# What is measured of the run's models, but how fast they are.
rule measured:
    input:
        [f"results/measurements/{model.dataset}/{SCALE}/{model.system}/seed{model.seed}" for model in RUN.models],


# The run's prepared corpora only: fetches whatever has to be fetched.
rule corpora:
    input:
        expand("results/corpora/{dataset}/bin", dataset=RUN.datasets),


include: "workflow/rules/corpus.smk"
include: "workflow/rules/kernels.smk"
include: "workflow/rules/teacher.smk"
include: "workflow/rules/select.smk"
include: "workflow/rules/student.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/record.smk"
