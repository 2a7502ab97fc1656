# Teachers decode their training side in shards, each a job of its own; the shards merge, in order, into a corpus.

# What they decode with, unless the scale says otherwise.
DISTILLING = RUN.scale["distil"].get("engine", "natlab")


rule distil:
    input:
        model="results/models/{dataset}/{scale}/{teacher}/seed{seed}/model.pt",
        data="results/corpora/{dataset}/bin",
        code=imported(natlab.sources.distillation(DISTILLING)),
    output:
        "results/distilled/{dataset}/{scale}/{teacher}/seed{seed}/shards/{split}.{shard}of{shards}.txt",
    log:
        "results/logs/distil/{dataset}/{scale}/{teacher}/seed{seed}/{split}.{shard}of{shards}.log",
    priority: 20
    threads: RUN.scale["threads"]
    resources:
        gpu=DECODING_GPUS,
    params:
        beam=RUN.scale["distil"]["beam"],
        batch_tokens=RUN.scale["distil"]["batch_tokens"],
        length_penalty=lambda wildcards: RUN.length_penalty(wildcards.dataset),
        engine=DISTILLING,
    shell:
        "OMP_NUM_THREADS={threads} NATLAB_GPUS={resources.gpu} exec natlab distil --model {input.model}"
        " --data {input.data} --split {wildcards.split} --shard {wildcards.shard} --shards {wildcards.shards}"
        " --beam {params.beam} --batch-tokens {params.batch_tokens} --length-penalty {params.length_penalty}"
        " --engine {params.engine} --out {output} &> {log}"


rule merge_distilled:
    input:
        data="results/corpora/{dataset}/bin",
        train=shards("train", RUN.scale["distil"]["shards"]),
        valid=shards("valid", 1),
        test=shards("test", 1),
        code=code("corpus/binarise.py", "corpus/distilled.py"),
    output:
        directory("results/distilled/{dataset}/{scale}/{teacher}/seed{seed}/bin"),
    log:
        "results/logs/merge_distilled/{dataset}/{scale}/{teacher}/seed{seed}.log",
    priority: 20
    shell:
        "natlab merge-distilled --data {input.data} --shards-train {input.train} --shards-valid {input.valid}"
        " --shards-test {input.test} --out {output} &> {log}"
