# The kernels' libraries: for the CPU and, where there is nvcc, for CUDA.

# What a rule that runs kernels names as input: built once, and a later build, which computes the same, reruns nothing.
KERNELS = ancient("results/kernels/built.json")


# Each build lies in a folder of its own, results/kernels/<hash of sources and flags>; built.json describes the last.
rule build_kernels:
    input:
        code=code("kernels/build.py", "kernels/csrc/**/*.*"),
    output:
        "results/kernels/built.json",
    log:
        "results/logs/kernels.log",
    threads: 8
    shell:
        "natlab kernels build --out results/kernels --threads {threads} 2>&1 | tee {log}"
