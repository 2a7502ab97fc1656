"""What jobs cost: model sizes against the models themselves, hours against published and measured ones, and a machine's
time against bounds that any schedule obeys."""

import copy
import functools
import gzip
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import plain

from natlab import config, families
from natlab.corpus import dataset, grammar
from natlab.costs import Cost, Costs, Work, simulate
from natlab.jobs import Job

REPOSITORY = Path(__file__).resolve().parents[1]
RUNS = functools.cache(lambda run: config.load_file(REPOSITORY / run, REPOSITORY))


@pytest.fixture
def costs_of(tmp_path, monkeypatch):
    """The costs of a shipped run on a machine where nothing has been made, whose CPU has bfloat16."""
    monkeypatch.setattr("natlab.costs.arithmetic", lambda precision, gpu: precision)
    for name in ("config", "workflow"):
        (tmp_path / name).symlink_to(REPOSITORY / name)

    def of(run: str) -> Costs:
        return Costs(copy.deepcopy(RUNS(run)), tmp_path)

    return of


def job(number=1, rule="train", output=(), after=(), threads=1, gpus=0, **wildcards) -> Job:
    return Job(number, rule, wildcards, list(output), [], list(after), threads, gpus)


def model(run: config.Run, system: str, **changes) -> Job:
    dataset = next(iter(run.datasets))
    wildcards = {"dataset": dataset, "system": system, "seed": "1"}
    return job(**{"threads": run.scale["threads"], "gpus": run.scale["gpus"], **wildcards, **changes})


# ---- models


LENGTHS = ["difference", "absolute", {"name": "absolute", "longest": 60, "read": "mean"}]
LENGTHS += [{"name": "source", "factor": 2}]


@pytest.mark.parametrize("positions", [{}, {"learned_positions": 50}])
@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize(
    "architecture",
    [
        {"name": "transformer"},
        *(plain.architecture(lengths=lengths) for lengths in LENGTHS),
        plain.architecture(lengths=LENGTHS[-1], links=True),
        plain.architecture(deep_supervision=True),
        {"name": "multilingual"},
        *(plain.architecture(fill=fill, masking=True) for fill in families.names("fill")),
    ],
)
def test_parameters_are_the_models(architecture, joint, positions):
    from natlab.models.load import build

    size = {"d_model": 32, "d_hidden": 96, "encoder_layers": 2, "decoder_layers": 3, "heads": 4} | positions
    spec = {"architecture": architecture, "size": size, "joint_vocabulary": joint, "objective": {"name": "denoising"}}
    source, target = (900, 900) if joint else (700, 900)
    words = {"source_vocabulary": source, "target_vocabulary": target, "joint_vocabulary": joint}
    described = {"architecture": architecture, **size, "dropout": 0.0, **words}
    counted = sum(parameter.numel() for parameter in build(described).parameters())
    assert Work.of(spec, (source, target)).parameters == counted


def test_work_is_the_matrix_products(costs_of):
    spec = costs_of("config/runs/multi30k_tiny.yaml").run.spec("multi30k_ende", "transformer", 1)
    work = Work.of(spec, (5992, 5992))
    # d 128, FFN 512, 3 + 3 layers
    assert work.encoder == 3 * (4 * 128**2 + 2 * 128 * 512)
    assert work.decoder == 3 * (8 * 128**2 + 2 * 128 * 512)
    assert work.forward == 2 * (work.encoder + work.decoder + 5992 * 128)
    assert work.decoded(10, {"beam": 5}) == 20 * (work.encoder + 5 * (work.decoder + work.output))


def test_an_encoder_of_both_sides_encodes_each_twice_and_predicts_the_masked_words_of_both():
    size = {"d_model": 32, "d_hidden": 96, "encoder_layers": 2, "decoder_layers": 3, "heads": 4}
    spec = {"size": size, "joint_vocabulary": False, **plain.multilingual(masked=0.25)}
    work = Work.of(spec, (700, 900))
    assert work.encoder == 4 * 2 * (4 * 32**2 + 2 * 32 * 96) and not work.decoder
    assert work.output == 0.25 * (700 + 900) * 32
    mbart = Work.of(spec | {"architecture": {"name": "multilingual", "encoder": {"name": "mbart"}}}, (700, 900))
    assert mbart.encoder == 4 * 12 * (4 * 1024**2 + 2 * 1024 * 4096)
    assert mbart.parameters == pytest.approx(407e6, rel=0.01)  # 250,027 pieces and 12 layers of 1,024


# ---- hours


def test_a_vanilla_nat_at_the_papers_scale_takes_the_published_hours(costs_of):
    """MPLE, appendix G: about 20 hours on 8 V100."""
    costs = costs_of("config/runs/wmt14_ende.yaml")
    hours = costs.cost(model(costs.run, "vanilla_raw")).seconds / 3600
    assert hours == pytest.approx(160, rel=0.03)
    glat = costs.cost(model(costs.run, "glat_raw")).seconds / 3600
    assert glat / hours == pytest.approx(costs.table["inputs"]["glat"], rel=0.02)
    eight = costs.cost(model(costs.run, "vanilla_raw", gpus=8)).seconds / 3600
    assert eight == pytest.approx(20, rel=0.03)


@pytest.mark.parametrize("system", ["transformer", "vanilla_raw", "vanilla_kd", "glat_kd"])
def test_trainings_of_the_reference_run_are_estimated_within_a_factor_of_two(costs_of, system):
    costs = costs_of("config/runs/multi30k_tiny.yaml")
    curve = (REPOSITORY / f"reports/multi30k_tiny/log/{system}.seed1.jsonl").read_text(encoding="utf-8").splitlines()
    measured = max(json.loads(line).get("wall", 0) for line in curve)
    assert 0.5 < costs.cost(model(costs.run, system)).seconds / measured < 2


def test_threads_and_precision_count(costs_of):
    costs = costs_of("config/runs/multi30k_tiny.yaml")
    one, two = (costs.cost(model(costs.run, "vanilla_raw", threads=threads)).seconds for threads in (1, 2))
    assert 1.9 < one / two <= 2
    costs.run.scale["student"]["precision"] = "fp32"
    assert 1.5 < costs.cost(model(costs.run, "vanilla_raw")).seconds / one < 2.5


def test_scoring_by_a_model_is_its_work_on_all_sides_of_the_splits_asked_for(costs_of):
    costs = costs_of("config/runs/multi30k_tiny.yaml")
    costs.run.translated = lambda dataset, system, metric: ["argmax.test", "argmax.valid", "lpd3.test"]
    of = {"rule": "score", "dataset": "multi30k_ende", "system": "vanilla_kd", "seed": "1"}
    comet, bleurt = (costs.cost(job(**of, metric=metric)) for metric in ("comet", "bleurt"))
    start, corpus = costs.table["devices"]["cpu"]["start_seconds"], costs.corpus("multi30k_ende")
    sentences = 2 * corpus.test + corpus.valid
    # XLM-R large: 24 layers of 12 d^2, d 1,024; three texts a sentence; 23 GFLOP/s
    expected = 2 * 24 * 12 * 1024**2 * 3 * corpus.tokens * sentences / 23e9
    assert comet.seconds - start == pytest.approx(expected, rel=0.01)
    assert bleurt.seconds - start == pytest.approx(expected * (32 * 1152**2 * 2) / (24 * 1024**2 * 3), rel=0.01)
    assert comet.memory > 1.2e9


def test_a_distilled_shard_is_its_share(costs_of):
    costs = costs_of("config/runs/multi30k_tiny.yaml")
    of = {"rule": "distil", "dataset": "multi30k_ende", "teacher": "transformer", "seed": "1", "split": "train"}
    one, half = (costs.cost(job(**of, shard="1", shards=shards)) for shards in ("1", "2"))
    start = costs.table["devices"]["cpu"]["start_seconds"]
    assert one.seconds - start == pytest.approx(2 * (half.seconds - start))
    # benchmarks/README.md: 184.7 sentences/s on 2 threads
    assert 29000 / (one.seconds - start) == pytest.approx(184.7 / 2, rel=0.1)


def test_candidates_take_room_for_each_target_and_each_pair_of_them(costs_of):
    costs = costs_of("config/runs/multi30k_tiny.yaml")
    one, five = (
        costs.cost(job(rule="candidates", dataset="multi30k_ende", seed="1", output=("results/candidates/x/y/seed1",)))
        for costs.run.candidates in ([], ["a", "b", "c", "d"])
    )
    a_side = (one.disk - 2 * 29000) / 2
    assert five.disk == pytest.approx(6 * a_side + 2 * 25 * 29000) and a_side > 29000


def test_every_rule_of_the_workflow_has_a_cost(costs_of):
    costs = costs_of("config/config.yaml")
    text = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "workflow/rules").glob("*.smk"))
    rules = {line.split()[1].rstrip(":") for line in text.splitlines() if line.startswith("rule ")}
    assert len(rules) > 10
    assert rules - set(costs.table["rules"]) == {"train", "distil", "translate", "score", "latency", "speed"}


def test_an_unknown_rule_costs_nothing_and_is_named(costs_of):
    costs = costs_of("config/config.yaml")
    assert costs.cost(job(rule="divination")) == Cost(0.0)
    assert costs.unknown_rules == {"divination"}


def test_the_speed_of_twice_as_many_ways_takes_twice_as_long(costs_of):
    costs = costs_of("config/runs/speed_grammar.yaml")
    begun = costs.table["devices"]["cpu"]["start_seconds"]
    of = job(rule="speed", dataset="grammar_ende", scale="grammar_graph", seed="1")
    whole, ways = costs.cost(of).seconds, costs.run.ways("grammar_ende")
    costs.run.ways = lambda dataset: ways[: len(ways) // 2]
    assert whole > begun and whole - begun == pytest.approx(2 * (costs.cost(of).seconds - begun))


# ---- corpora and disk


def test_a_corpus_that_is_there_is_read_and_others_are_expected(costs_of, tmp_path):
    costs = costs_of("config/config.yaml")
    stated = costs.run.dataset("grammar_ende")["source"]["pairs"]
    assert costs.corpus("grammar_ende").pairs == stated
    assert costs.corpus("grammar_ende_noise_a").pairs == stated, "a noise corpus has its base's pairs"
    assert costs.corpus("wmt14_deen").pairs == 4_500_000, "a reversed one too"
    assert costs.corpus("grammar_ende_long").tokens == 3 * costs.corpus("grammar_ende").tokens, "of three clauses"
    made = tmp_path / "results/corpora/grammar_ende/bin/stats.json"
    made.parent.mkdir(parents=True)
    sentences = {"src": 50, "tgt": 50}
    splits = {
        split: {"sentences": sentences, "tokens": {"src": 400, "tgt": 450}} for split in ("train", "valid", "test")
    }
    made.write_text(json.dumps({"dictionary": {"src": 11, "tgt": 12}, "splits": splits}), encoding="utf-8")
    corpus = costs_of("config/config.yaml").corpus("grammar_ende")
    assert (corpus.pairs, corpus.tokens, corpus.vocabulary) == (50, 10.0, (11, 12))


def unknown(tmp_path) -> None:
    """Multi30k under a name that costs.yaml does not know."""
    (tmp_path / "config").unlink()
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    (tmp_path / "config/datasets/own.yaml").write_text(
        json.dumps(
            {
                "source": {
                    "kind": "parallel",
                    "files": {
                        side: {"url": f"https://example.org/{side}.gz", "sha256": "unverified"} for side in ("en", "de")
                    },
                    "splits": {"train": [{"src": "en", "tgt": "de"}], "valid": {"every": 50}, "test": {"every": 49}},
                },
                "languages": {"src": "en", "tgt": "de"},
                "clean": {"max_length": 100, "max_ratio": None, "deduplicate": True},
                "tokenise": "moses",
                "lowercase": False,
                "bpe": {"joint": True, "merges": 700},
                "licence": "none",
            }
        ),
        encoding="utf-8",
    )


def test_a_corpus_of_which_nothing_is_known_costs_nobody_knows_what(costs_of, tmp_path):
    unknown(tmp_path)
    costs = costs_of("config/runs/multi30k_tiny.yaml")
    costs.run.root = tmp_path
    assert costs.corpus("own") is None and costs.cost(model(costs.run, "transformer", dataset="own")) is None
    assert costs.unknown_corpora == {"own": "its files are not here"}
    assert costs.cost(job(rule="fetch", address="example.org/de.gz")) is None
    assert costs.cost(job(rule="clean", dataset="own")) is None and costs.cost(job(rule="table")).seconds > 0


@pytest.mark.parametrize("place", ["results/downloads", "mirror"])
def test_a_corpus_that_can_be_had_here_is_looked_into(costs_of, tmp_path, monkeypatch, place):
    """Neither a million pairs nor any other guess: what its files hold, fetched or in the mirror."""
    unknown(tmp_path)
    monkeypatch.setenv("NATLAB_MIRROR", str(tmp_path / "mirror"))
    for side, line in (("en", "a b c d"), ("de", "eine Zeile von gleich vielen Bytes und sechs")):
        path = tmp_path / place / "example.org" / f"{side}.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(f"{line}\n".encode() * 4900))
    costs = costs_of("config/runs/multi30k_tiny.yaml")
    costs.run.root = tmp_path
    corpus = costs.corpus("own")
    # each 50th and 49th line is held out, two of them both
    assert (corpus.valid, corpus.test, corpus.pairs) == (98, 98, 4900 - 196)
    assert corpus.vocabulary == (700, 700) and corpus.tokens == pytest.approx(1 + 45 / 4.9)
    assert costs.cost(model(costs.run, "transformer", dataset="own")).seconds > 0
    assert costs.download("example.org/de.gz") == path.stat().st_size
    assert not list(tmp_path.glob("results/corpora/*"))

    file = tmp_path / "config/datasets/own.yaml"
    in_bpe = file.read_text(encoding="utf-8").replace("700", '"given"').replace("moses", "none")
    file.write_text(in_bpe, encoding="utf-8")
    again = costs_of("config/runs/multi30k_tiny.yaml")
    again.run.root = tmp_path
    assert again.corpus("own").vocabulary == (12, 12), "the words of both sides"

    path.write_bytes(b"no gzip")
    again = costs_of("config/runs/multi30k_tiny.yaml")
    again.run.root = tmp_path
    assert again.corpus("own") is None and "damaged" in again.unknown_corpora["own"]


@pytest.mark.parametrize("step", ["text", "tok", "bpe"])
def test_a_corpus_that_is_begun_is_read(costs_of, tmp_path, step):
    folder = tmp_path / f"results/corpora/multi30k_ende/{step}"
    folder.mkdir(parents=True)
    made = {"splits": {split: {"pairs_out": n} for split, n in (("train", 100), ("valid", 20), ("test", 30))}}
    (folder / "stats.json").write_text(json.dumps(made), encoding="utf-8")
    for side, length in (("src", 20), ("tgt", 49)):
        (folder / f"train.{side}").write_text(("x" * length + "\n") * 100, encoding="utf-8")
    costs = costs_of("config/runs/multi30k_tiny.yaml")
    corpus = costs.corpus("multi30k_ende")
    per_token = costs.table["disk"]["corpus_bytes_per_token"][step]
    assert (corpus.pairs, corpus.valid, corpus.test, corpus.vocabulary) == (100, 20, 30, (6000, 6000))
    assert corpus.tokens == pytest.approx(1 + 50 / per_token) and corpus.source.endswith(step)


@pytest.mark.parametrize("name", ["grammar_ende", "grammar_dede", "grammar_summary", "grammar_order_2"])
def test_a_generated_corpus_is_read_as_soon_as_its_text_is_there(costs_of, tmp_path, name):
    """Its first step writes what the others' first steps write."""
    source = dataset.load(REPOSITORY / f"config/datasets/{name}.yaml")["source"]
    sizes = {"pairs": 50, "valid": 10, "test": 20}
    recipe = grammar.Recipe(**{key: value for key, value in source.items() if key != "kind"} | sizes)
    folder = tmp_path / f"results/corpora/{name}/text"
    folder.mkdir(parents=True)
    grammar.generate(recipe, folder)
    costs = costs_of("config/runs/multi30k_tiny.yaml")
    costs.run.root = tmp_path
    corpus = costs.corpus(name)
    assert (corpus.pairs, corpus.valid, corpus.test) == (50, 10, 20) and corpus.source.endswith("text")


def test_disk_is_that_of_what_was_measured(costs_of):
    """multi30k_ende's folders and a tiny student's checkpoints, in MB, as `du` gave them."""
    costs = costs_of("config/runs/multi30k_tiny.yaml")
    for folder, measured in {"text": 4.1, "tok": 4.2, "bpe": 4.6, "bin": 2.7}.items():
        cost = costs.cost(job(rule="bpe", output=[f"results/corpora/multi30k_ende/{folder}"], dataset="multi30k_ende"))
        assert cost.disk / 1e6 == pytest.approx(measured, rel=0.1)
    assert costs.cost(model(costs.run, "vanilla_raw")).disk / 1e6 == pytest.approx(211 + 9, rel=0.03)


def test_memory_is_the_gpus_where_there_is_one(costs_of):
    costs = costs_of("config/runs/wmt14_ende.yaml")
    on_gpu, on_cpu = costs.cost(model(costs.run, "vanilla_raw")), costs.cost(model(costs.run, "vanilla_raw", gpus=0))
    assert on_cpu.gpu_memory == 0 and on_cpu.memory > on_gpu.gpu_memory > 16 * 60e6
    assert on_gpu.gpu_memory < 32e9, "the paper's batches fit its GPUs"


# ---- the clock


@st.composite
def dags(draw):
    """(jobs, their costs): each job may wait for any before it."""
    count = draw(st.integers(1, 12))
    planned = [
        job(
            number,
            after=draw(st.lists(st.integers(0, number - 1), unique=True, max_size=3)) if number else [],
            threads=draw(st.integers(1, 4)),
            gpus=draw(st.integers(0, 2)),
        )
        for number in range(count)
    ]
    seconds = draw(st.lists(st.integers(0, 50), min_size=count, max_size=count))
    return planned, {number: Cost(float(time), memory=1.0) for number, time in enumerate(seconds)}


@given(dags(), st.integers(1, 6), st.integers(0, 3))
def test_no_schedule_beats_the_longest_path_or_the_machine(dag, cores, gpus):
    planned, costs = dag
    clock, memory = simulate(planned, costs, cores, gpus)
    ends = {}
    for each in planned:
        ends[each.number] = max((ends[other] for other in each.after), default=0) + costs[each.number].seconds
    total = sum(cost.seconds for cost in costs.values())
    busy = sum(min(each.threads, cores) * costs[each.number].seconds for each in planned)
    assert max(*ends.values(), busy / cores, 0) <= clock <= total
    assert 1 <= memory <= len(planned)


def test_two_cores_halve_what_is_independent_and_one_gpu_does_not():
    planned = [job(number) for number in range(4)]
    costs = {number: Cost(10.0, memory=5.0) for number in range(4)}
    assert simulate(planned, costs, cores=2, gpus=1) == (20.0, 10.0)
    on_gpu = [job(number, gpus=1) for number in range(4)]
    assert simulate(on_gpu, costs, cores=8, gpus=1) == (40.0, 5.0)
    assert simulate(on_gpu, costs, cores=8, gpus=4) == (10.0, 20.0)
    chain = [job(number, after=[number - 1] if number else []) for number in range(4)]
    assert simulate(chain, costs, cores=8, gpus=1)[0] == 40.0
