#!/usr/bin/env bash
# Measures natlab on a machine with one NVIDIA GPU that is at hand for minutes: nvcc, Python 3.12, torch 2.11, no network.
#
#   bash benchmarks/on_gpu.sh [--toy] STAGE...      install, kernels, speed, evidence; always in this order
#
# What each measures and how to make the pack: reports/gpu/README.md. The pack is the folder that NATLAB_GPU_PACK names:
# wheels/, mirror/, and back/, what earlier calls brought home. What is measured goes to $OUT, at most 8 files, and the
# last lines are a table. A stage ends after its seconds below, all of them after NATLAB_GPU_SECONDS; one that fails does
# not stop the next. --toy tries all of it on a CPU, which may be slow, with the run that NATLAB_GPU_RUN names.
set -uo pipefail
cd "$(dirname "$0")/.."
declare -A limit=([install]=90 [kernels]=180 [speed]=240 [evidence]=${NATLAB_GPU_EVIDENCE:-270})
packing=40 # of evidence's seconds

device=cuda workers=8 threads=2 tests="cuda and not compiles_without" suspects="cuda and (alone or agree or given_pairs)"
ops=() seconds=0.3 speed=(--settle 100 --sentences 10) slower=1
[ "${1-}" = --toy ] && shift && device=cpu workers=0 threads=1 tests="plain and scipy" suspects="plain and scipy" \
    ops=(assign) seconds=0 speed=(--sizes table6_1 --updates 1 --skip 1 --settle 2 --sentences 1 --distil 4 --share-run config/runs/toy.yaml --share 2 --share-seconds 1) \
    slower=20
for stage in "$@"; do
    [ "${limit[$stage]-}" ] || { echo "on_gpu.sh: '$stage' is no stage; give some of: ${!limit[*]}"; exit 2; }
done
if [ $device = cuda ]; then
    NATLAB_CUDA_ARCHITECTURES=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .) || {
        echo "on_gpu.sh: there is no GPU here; --toy tries all of it on a CPU"; exit 2; }
    export NATLAB_CUDA_ARCHITECTURES
fi

run=${NATLAB_GPU_RUN:-config/runs/mple_multi30k_gpu.yaml} python=$(command -v "${PYTHON:-python3}") work=build/gpu
export OUT=${OUT:-$work/out} PACK=${NATLAB_GPU_PACK:-build/gpu_pack} NATLAB_JOBS_PER_GPU=${NATLAB_JOBS_PER_GPU:-8}
export PATH=$PWD/$work/venv/bin:$PATH NATLAB_MIRROR=$PACK/mirror NATLAB_KERNELS=results/kernels OMP_NUM_THREADS=$threads
export PYTHONUNBUFFERED=1
mkdir -p "$OUT" $work
rm -rf $work/{steps.tsv,tests.xml,kernels.json,speed.json,tables}
# --nolock: one that had to be killed leaves a lock
snakemake=(python -m snakemake --nolock --cores all --scheduler greedy --configfile "$run")

# step NAME SECONDS COMMAND...: runs it for so long at most and within its stage; notes how it ended and what it took.
step() {
    local name=$1 most=$(($2 * slower)) began=$SECONDS status=0 left=$((end - SECONDS))
    shift 2
    echo "== $stage: $name" | tee -a "$OUT/on_gpu.log"
    timeout --kill-after=15 $((left < 1 ? 1 : left < most ? left : most)) "$@" >> "$OUT/on_gpu.log" 2>&1 || status=$?
    printf '%s\t%s\t%s\t%s\n' "$stage" "$name" $status $((SECONDS - began)) >> $work/steps.tsv
    return $status
}

# A virtual environment that sees what the Python it is made with has, torch among it; $PACK/back into results/.
environment='
    "$0" -m venv --without-pip --clear "$1"
    "$0" -c "import site; print(*site.getsitepackages(), sep=\"\n\")" > "$(echo "$1"/lib/python3.*/site-packages)/outer.pth"
    "$0" -m pip --python "$1/bin/python" install -q --no-index --no-deps --no-compile --ignore-installed "$PACK"/wheels/*.whl
    "$0" -m pip --python "$1/bin/python" install -q --no-index --no-deps --no-build-isolation --editable .
    [ ! -d "$PACK/back" ] || "$1/bin/python" -m benchmarks.gpu.pack --restore "$PACK/back"'

install() {
    step environment 45 bash -euc "$environment" "$python" $work/venv &&
        step "corpora and kernels" 90 "${snakemake[@]}" -- corpora build_kernels
}

kernels() {
    step tests 90 python -m pytest -n $workers --dist loadfile -p no:cacheprovider --junitxml $work/tests.xml tests/kernels -k "$tests"
    step benchmarks 60 python -m benchmarks.kernels "${ops[@]}" --device $device --seconds $seconds --out $work/kernels.json
    # Each tensor has an allocation of its own, or what lies beyond one would be another's.
    step sanitizer 60 env PYTORCH_NO_CUDA_MEMORY_CACHING=1 compute-sanitizer --kernel-name kns=natlab --error-exitcode 9 \
        python -m pytest -p no:cacheprovider tests/kernels -k "$suspects"
}

speed() {
    step speed 240 python -m benchmarks.gpu.speed --run "$run" --out $work/speed.json --costs "$OUT/costs.yaml" "${speed[@]}"
}

# Seed by seed; told to end, trainings save, translations stop, and Snakemake starts no more. What is whole is packed.
evidence() {
    local whole=$end seed seeds= table
    end=$((end - packing))
    for seed in $(python -c "import sys, yaml; print(*yaml.safe_load(open(sys.argv[1]))['seeds'])" "$run"); do
        seeds=$seeds${seeds:+,}$seed
        # shellcheck disable=SC2086 # several options
        step "seed $seed" 600 "${snakemake[@]}" --resources gpu="$NATLAB_JOBS_PER_GPU" --retries 0 --keep-going \
            ${NATLAB_GPU_OPTIONS-} --config "seeds=[$seeds]" -- measured
        [ $? -lt 124 ] || break # out of time; a system that fails does not keep the next seed from the others
    done
    end=$whole
    step pack 30 python -m benchmarks.gpu.pack --run "$run" --out "$OUT" --files 5
    for table in $(python -c "import sys, yaml; print(*yaml.safe_load(open(sys.argv[1]))['tables'])" "$run"); do
        step "$table" 10 natlab table --table "config/papers/$table.yaml" --run "$run" --measurements results/measurements \
            --corpora results/corpora --out "$work/tables/${table/\//.}"
    done
}

for stage in install kernels speed evidence; do
    [[ " $* " == *" $stage "* ]] || continue
    left=$((${NATLAB_GPU_SECONDS:-590 * slower} - SECONDS - 5)) most=$((limit[$stage] * slower))
    end=$((SECONDS + (left < most ? left : most)))
    $stage
    "$python" benchmarks/gpu/table.py $work "$OUT" > /dev/null # so that what was measured is written whatever comes next
done
"$python" benchmarks/gpu/table.py $work "$OUT"
