# ONE rule trains every system, teachers and students: what differs is its row in config/systems.yaml.


rule train:
    input:
        data=lambda wildcards: distilled(wildcards)
        or candidates(wildcards)
        or f"results/corpora/{wildcards.dataset}/bin",
        start=lambda wildcards: model_of(RUN.start(wildcards.system)),
        kernels=kernels,
        code=lambda wildcards: imported(natlab.sources.training(training_spec(wildcards))),
    output:
        model="results/models/{dataset}/{scale}/{system}/seed{seed}/model.pt",
        curve="results/models/{dataset}/{scale}/{system}/seed{seed}/curve.jsonl",
    log:
        "results/logs/train/{dataset}/{scale}/{system}/seed{seed}.log",
    # what all else waits for comes first, so that short jobs fill the end of a run
    priority: 10
    threads: RUN.scale["threads"]
    resources:
        gpu=RUN.scale["gpus"],
    params:
        spec=lambda wildcards: compact(training_spec(wildcards)),
        # Not an output: Snakemake deletes the outputs of a failed job, and a retry resumes from this folder.
        checkpoints=CHECKPOINTS,
        skip_limit=unrecorded(RUN.scale.get("skip_limit", 10)),
        tracking=TRACKING,
        start=lambda wildcards, input: f"--start {input.start}" if input.start else "",
    shell:
        "OMP_NUM_THREADS={threads} NATLAB_GPUS={resources.gpu} exec natlab train --spec {params.spec:q}"
        " --data {input.data} {params.start} --checkpoints {params.checkpoints} --out {output.model}"
        " --gpus {resources.gpu}"
        " --skip-limit {params.skip_limit} --tracking {params.tracking:q} &> {log}"
