# Corpora: fetched, generated, or made of another one's targets; then cleaned, split into subwords, and binarised.
# Every step writes a folder that is whole or absent, with its statistics in stats.json.
from natlab.corpus import dataset as dataset_files

# Which rule makes a dataset's text follows from its kind, whether the run uses it or not.
FETCHED = dataset_files.pattern("parallel", "tatoeba", "sets", "reversed")
GENERATED = dataset_files.pattern("grammar")
NOISE = dataset_files.pattern("noise")


localrules:
    fetch,


rule fetch:
    output:
        "results/downloads/{address}",
    log:
        "results/logs/fetch/{address}.log",
    params:
        file=lambda wildcards: dataset_files.downloads()[wildcards.address],
    shell:
        "natlab fetch {params.file[url]:q} --sha256 {params.file[sha256]} --out {output:q} &> {log:q}"


rule extract:
    input:
        files=lambda wildcards: expand(
            "results/downloads/{address}",
            address=dataset_files.addresses(wildcards.dataset),
        ),
        code=code(
            "corpus/disjoint.py",
            "corpus/extract.py",
            "corpus/markup.py",
            "corpus/references.py",
            "corpus/sets.py",
            "corpus/table.py",
            "corpus/tatoeba.py",
            "corpus/text.py",
            "corpus/unpack.py",
        ),
    output:
        directory("results/corpora/{dataset}/text"),
    log:
        "results/logs/extract/{dataset}.log",
    wildcard_constraints:
        dataset=FETCHED,
    params:
        config=lambda wildcards: dataset_files.settings(wildcards.dataset, "source", "languages"),
    shell:
        "natlab extract --config config/datasets/{wildcards.dataset}.yaml --downloads results/downloads"
        " --out {output} &> {log}"


rule grammar:
    input:
        code=code(
            "corpus/exact.py",
            "corpus/grammar.py",
            "corpus/lexicon.py",
            "corpus/ordering.py",
            "corpus/rewording.py",
        ),
    output:
        directory("results/corpora/{dataset}/text"),
    log:
        "results/logs/grammar/{dataset}.log",
    wildcard_constraints:
        dataset=GENERATED,
    params:
        config=lambda wildcards: dataset_files.settings(wildcards.dataset, "source"),
    shell:
        "natlab grammar --config config/datasets/{wildcards.dataset}.yaml --out {output} &> {log}"


rule noise:
    input:
        text=lambda wildcards: f"results/corpora/{dataset_files.base(wildcards.dataset)}/text",
        tok=lambda wildcards: f"results/corpora/{dataset_files.base(wildcards.dataset)}/tok",
        bpe=lambda wildcards: f"results/corpora/{dataset_files.base(wildcards.dataset)}/bpe",
        code=code("corpus/bpe.py", "corpus/noise.py", "corpus/text.py"),
    output:
        text=directory("results/corpora/{dataset}/text"),
        tok=directory("results/corpora/{dataset}/tok"),
        bpe=directory("results/corpora/{dataset}/bpe"),
    log:
        "results/logs/noise/{dataset}.log",
    wildcard_constraints:
        dataset=NOISE,
    params:
        config=lambda wildcards: dataset_files.settings(wildcards.dataset, "source"),
        base=lambda wildcards: dataset_files.base(wildcards.dataset),
    shell:
        "natlab noise --config config/datasets/{wildcards.dataset}.yaml --base results/corpora/{params.base}"
        " --out results/corpora/{wildcards.dataset} &> {log}"


rule clean:
    input:
        text="results/corpora/{dataset}/text",
        code=code("corpus/clean.py", "corpus/text.py", "corpus/tokenise.py"),
    output:
        directory("results/corpora/{dataset}/tok"),
    log:
        "results/logs/clean/{dataset}.log",
    wildcard_constraints:
        dataset=f"{FETCHED}|{GENERATED}",
    threads: 8
    params:
        config=lambda wildcards: dataset_files.settings(
            wildcards.dataset, "languages", "clean", "tokenise", "lowercase", "truncate"
        ),
        in_bpe=lambda wildcards: dataset_files.in_bpe(dataset_files.named(wildcards.dataset)),
    shell:
        "natlab clean --config config/datasets/{wildcards.dataset}.yaml --text {input.text} --threads {threads}"
        " --out {output} &> {log}"


rule bpe:
    input:
        tok="results/corpora/{dataset}/tok",
        code=code("corpus/bpe.py", "corpus/text.py"),
    output:
        directory("results/corpora/{dataset}/bpe"),
    log:
        "results/logs/bpe/{dataset}.log",
    wildcard_constraints:
        dataset=f"{FETCHED}|{GENERATED}",
    threads: 8
    params:
        config=lambda wildcards: dataset_files.settings(wildcards.dataset, "bpe"),
    shell:
        "natlab bpe --config config/datasets/{wildcards.dataset}.yaml --tok {input.tok} --threads {threads}"
        " --out {output} &> {log}"


rule binarise:
    input:
        bpe="results/corpora/{dataset}/bpe",
        code=code("corpus/binarise.py", "corpus/text.py"),
    output:
        directory("results/corpora/{dataset}/bin"),
    log:
        "results/logs/binarise/{dataset}.log",
    params:
        config=lambda wildcards: dataset_files.settings(wildcards.dataset, "bpe"),
    shell:
        "natlab binarise --config config/datasets/{wildcards.dataset}.yaml --bpe {input.bpe} --out {output} &> {log}"
