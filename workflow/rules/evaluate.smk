# Models become translations, translations become measurements; latency is measured on a quiet machine.


rule translate:
    input:
        model="results/models/{dataset}/{scale}/{system}/seed{seed}/model.pt",
        data="results/corpora/{dataset}/bin",
        proxy_data=lambda wildcards: distilled(wildcards) or candidates(wildcards),
        auxiliary=auxiliary,
        kernels=kernels,
        grammar=grammar,
        truth=truth,
        code=lambda wildcards: imported(
            natlab.sources.translation(
                training_spec(wildcards),
                RUN.decodings_of(wildcards.dataset, wildcards.system).values(),
                RUN.engine(wildcards.dataset, wildcards.system),
            )
        ),
    output:
        directory("results/translations/{dataset}/{scale}/{system}/seed{seed}"),
    log:
        "results/logs/translate/{dataset}/{scale}/{system}/seed{seed}.log",
    # A GPU is often lent for a while only: what is trained there is measured before the next training begins.
    priority: 15 if DECODING_GPUS else 0
    threads: RUN.scale["threads"]
    resources:
        gpu=DECODING_GPUS,
    params:
        decodings=lambda wildcards: compact(RUN.decodings_of(wildcards.dataset, wildcards.system)),
        splits=lambda wildcards: RUN.splits_of(wildcards.dataset, wildcards.system),
        proxy_data=lambda wildcards, input: f"--proxy-data {input.proxy_data}" if input.proxy_data else "",
        auxiliary=named_auxiliary,
        grammar=lambda wildcards, input: f"--grammar {input.grammar}" if input.grammar else "",
        truth=lambda wildcards, input: f"--truth {input.truth}" if input.truth else "",
        predictor=lambda wildcards: f"--predictor {system}" if (system := RUN.predictor(wildcards.system)) else "",
        targets=lambda wildcards: (
            "--proxy-targets test" if RUN.measures_distortion(wildcards.dataset, wildcards.system) else ""
        ),
        extras=extras,
        engine=lambda wildcards: RUN.engine(wildcards.dataset, wildcards.system),
    shell:
        "OMP_NUM_THREADS={threads} NATLAB_GPUS={resources.gpu} exec natlab decode --model {input.model}"
        " --data {input.data} {params.proxy_data} {params.auxiliary} {params.predictor} {params.grammar} {params.targets}"
        " {params.extras} {params.truth} --engine {params.engine}"
        " --decodings {params.decodings:q} --splits {params.splits} --out {output} &> {log}"


rule measure:
    input:
        translations="results/translations/{dataset}/{scale}/{system}/seed{seed}",
        text="results/corpora/{dataset}/text",
        tokenised="results/corpora/{dataset}/tok",
        curve="results/models/{dataset}/{scale}/{system}/seed{seed}/curve.jsonl",
        dataset="config/datasets/{dataset}.yaml",
        code=lambda wildcards: imported(
            natlab.sources.measurement(dataset_files.scores(dataset_files.named(wildcards.dataset)))
        ),
    output:
        directory("results/measurements/{dataset}/{scale}/{system}/seed{seed}"),
    log:
        "results/logs/measure/{dataset}/{scale}/{system}/seed{seed}.log",
    params:
        identity=lambda wildcards: compact({**wildcards, "seed": int(wildcards.seed)}),
        corpus=lambda wildcards, input: Path(input.text).parent,
        checkpoints=CHECKPOINTS,
        tracking=TRACKING,
    shell:
        "OMP_NUM_THREADS={threads} natlab measure --translations {input.translations} --corpus {params.corpus}"
        " --curve {input.curve}"
        " --dataset-config {input.dataset} --identity {params.identity:q} --out {output}"
        " --tracking {params.tracking:q} --checkpoints {params.checkpoints} &> {log}"


# What COMET and BLEURT need that natlab's environment cannot have; it is laid over that.
rule packages:
    input:
        requirements="requirements-metrics.lock",
    output:
        directory("results/packages/metrics"),
    log:
        "results/logs/packages.log",
    shell:
        "natlab packages --requirements {input.requirements} --out {output} &> {log}"


rule score:
    input:
        packages="results/packages/metrics",
        translations="results/translations/{dataset}/{scale}/{system}/seed{seed}",
        text="results/corpora/{dataset}/text",
        tokenised="results/corpora/{dataset}/tok",
        dataset="config/datasets/{dataset}.yaml",
        code=imported(natlab.sources.learned()),
    output:
        directory("results/measurements/{dataset}/{scale}/{system}/seed{seed}.{metric}"),
    log:
        "results/logs/score/{dataset}/{scale}/{system}/seed{seed}.{metric}.log",
    threads: RUN.scale["threads"]
    resources:
        gpu=DECODING_GPUS,
    params:
        weights=lambda wildcards: RUN.settings["weights"][wildcards.metric],
        translated=lambda wildcards: RUN.translated(wildcards.dataset, wildcards.system, wildcards.metric),
        identity=lambda wildcards: compact(
            {key: int(value) if key == "seed" else value for key, value in wildcards.items() if key != "metric"}
        ),
        corpus=lambda wildcards, input: Path(input.text).parent,
        checkpoints=CHECKPOINTS,
        tracking=TRACKING,
    shell:
        "PYTHONPATH={input.packages}${{PYTHONPATH:+:$PYTHONPATH}} OMP_NUM_THREADS={threads}"
        " NATLAB_GPUS={resources.gpu} exec natlab score --metric {wildcards.metric} --weights {params.weights:q}"
        " --translations {input.translations} --translated {params.translated} --corpus {params.corpus}"
        " --dataset-config {input.dataset} --identity {params.identity:q} --out {output}"
        " --tracking {params.tracking:q} --checkpoints {params.checkpoints} &> {log}"


rule latency:
    input:
        model="results/models/{dataset}/{scale}/{system}/seed{seed}/model.pt",
        reference=f"results/models/{{dataset}}/{{scale}}/{RUN.reference}/seed{{seed}}/model.pt",
        data="results/corpora/{dataset}/bin",
        auxiliary=auxiliary,
        tuned=tuned,
        code=lambda wildcards: imported(
            natlab.sources.latency(RUN.timed_decodings_of(wildcards.dataset, wildcards.system).values())
        ),
    output:
        "results/measurements/{dataset}/{scale}/{system}/seed{seed}.latency.json",
    log:
        "results/logs/latency/{dataset}/{scale}/{system}/seed{seed}.log",
    # All cores are reserved, so that no other job disturbs the clock; the models use as many as elsewhere.
    threads: workflow.cores
    resources:
        gpu=DECODING_GPUS,
    params:
        decodings=lambda wildcards: compact(RUN.timed_decodings_of(wildcards.dataset, wildcards.system)),
        sentences=RUN.scale["latency"]["sentences"],
        warmup=RUN.scale["latency"]["warmup"],
        threads=RUN.scale["threads"],
        checkpoints=CHECKPOINTS,
        tracking=TRACKING,
        auxiliary=named_auxiliary,
        tuned=lambda wildcards, input: f"--tuned {input.tuned}/tuned.json" if input.tuned else "",
    shell:
        "OMP_NUM_THREADS={params.threads} NATLAB_GPUS={resources.gpu} exec natlab latency --model {input.model}"
        " --reference {input.reference} {params.auxiliary} {params.tuned} --data {input.data} --decodings {params.decodings:q}"
        " --sentences {params.sentences} --warmup {params.warmup} --out {output}"
        " --tracking {params.tracking:q} --checkpoints {params.checkpoints} &> {log}"


# All ways to translate with a dataset's models, beside each other.
rule speed:
    input:
        models=lambda wildcards: [model_of(system) for system in timed_systems(wildcards)],
        tuned=lambda wildcards: [translations_of(system) for system in tuned_systems(wildcards)],
        data="results/corpora/{dataset}/bin",
        kernels=KERNELS,
        code=lambda wildcards: imported(natlab.sources.speed(way["options"] for way in RUN.ways(wildcards.dataset))),
    output:
        "results/measurements/{dataset}/{scale}/seed{seed}.speed.json",
    log:
        "results/logs/speed/{dataset}/{scale}/seed{seed}.log",
    # All cores are reserved, so that no other job disturbs the clock.
    threads: workflow.cores
    resources:
        gpu=DECODING_GPUS,
    params:
        models=lambda wildcards, input: named(timed_systems(wildcards), input.models),
        tuned=lambda wildcards, input: named(
            tuned_systems(wildcards), [f"{folder}/tuned.json" for folder in input.tuned]
        ),
        reference=RUN.reference,
        ways=lambda wildcards: compact(RUN.ways(wildcards.dataset)),
        sentences=RUN.scale["latency"]["sentences"],
        warmup=RUN.scale["latency"]["warmup"],
    shell:
        "NATLAB_GPUS={resources.gpu} exec natlab speed --models {params.models} --reference {params.reference} --tuned {params.tuned} --data {input.data}"
        " --ways {params.ways:q} --sentences {params.sentences} --warmup {params.warmup} --threads {threads}"
        " --out {output} &> {log}"


# The graphs that a model makes of the first sentences of test, for the report.
rule graphs:
    input:
        model="results/models/{dataset}/{scale}/{system}/seed{seed}/model.pt",
        data="results/corpora/{dataset}/bin",
        code=lambda wildcards: imported(natlab.sources.graphs(training_spec(wildcards))),
    output:
        "results/graphs/{dataset}/{scale}/{system}/seed{seed}.json",
    log:
        "results/logs/graphs/{dataset}/{scale}/{system}/seed{seed}.log",
    threads: RUN.scale["threads"]
    resources:
        gpu=DECODING_GPUS,
    shell:
        "OMP_NUM_THREADS={threads} NATLAB_GPUS={resources.gpu} exec natlab graphs --model {input.model}"
        " --data {input.data} --out {output} &> {log}"


# One row of a grid over the plane through three models (MPLE, Figure 1).
rule surface:
    input:
        models=lambda wildcards: [
            f"results/models/{wildcards.dataset}/{wildcards.scale}/{system}/seed{wildcards.seed}/model.pt"
            for system in (wildcards.origin, wildcards.first, wildcards.second)
        ],
        data="results/corpora/{dataset}/bin",
        tokenised="results/corpora/{dataset}/tok",
        code=imported(natlab.sources.surface()),
    output:
        "results/surfaces/{dataset}/{scale}/{origin}+{first}+{second}/seed{seed}/{row}of{grid}.json",
    log:
        "results/logs/surface/{dataset}/{scale}/{origin}+{first}+{second}/seed{seed}/{row}of{grid}.log",
    threads: RUN.scale["threads"]
    resources:
        gpu=DECODING_GPUS,
    params:
        sentences=SURFACE["sentences"],
    shell:
        "OMP_NUM_THREADS={threads} NATLAB_GPUS={resources.gpu} exec natlab surface --models {input.models}"
        " --data {input.data} --references {input.tokenised}/valid.tgt --row {wildcards.row} --grid {wildcards.grid}"
        " --sentences {params.sentences} --out {output} &> {log}"
