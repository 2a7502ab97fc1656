# What dynamic KD chooses from: the targets of several teachers beside the raw ones, their pairwise BLEU, the weights γ.


rule candidates:
    input:
        data="results/corpora/{dataset}/bin",
        text="results/corpora/{dataset}/text",
        distilled=expand(
            "results/distilled/{{dataset}}/{{scale}}/{teacher}/seed{{seed}}/bin",
            teacher=RUN.candidates,
        ),
        kernels=KERNELS,
        code=code(
            "select/*.py",
            "corpus/bpe.py",
            "corpus/references.py",
            "corpus/tokenise.py",
            "metrics/target_bleu.py",
        ),
    output:
        directory("results/candidates/{dataset}/{scale}/seed{seed}"),
    log:
        "results/logs/candidates/{dataset}/{scale}/seed{seed}.log",
    priority: 20
    threads: RUN.scale["threads"]
    params:
        candidates=RUN.candidates,
        config=lambda wildcards: dataset_files.settings(wildcards.dataset, "languages", "tokenise", "lowercase", "bpe"),
    shell:
        "OMP_NUM_THREADS={threads} natlab candidates --data {input.data} --text {input.text}"
        " --dataset-config config/datasets/{wildcards.dataset}.yaml --candidates {params.candidates}"
        " --distilled {input.distilled} --out {output} &> {log}"
