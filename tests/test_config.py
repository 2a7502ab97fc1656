"""The configuration: every shipped run is valid, what is wrong is refused in one line, and what a run resolves to."""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from natlab import config
from natlab.errors import UserError
from natlab.proxy import registry

REPOSITORY = Path(__file__).resolve().parents[1]
RUNS = ["config/config.yaml", *sorted(str(p.relative_to(REPOSITORY)) for p in REPOSITORY.glob("config/runs/*.yaml"))]


@pytest.fixture
def project(tmp_path):
    """A copy of the configuration and its schemas that a test may spoil; the demo builds all that its tables name."""
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    shutil.copytree(REPOSITORY / "workflow" / "schemas", tmp_path / "workflow" / "schemas")
    edit(tmp_path, "config/config.yaml", lambda r: r.pop("systems"))
    return tmp_path


def edit(project: Path, file: str, change) -> None:
    """Apply ``change`` to the value of a YAML file."""
    path = project / file
    value = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(yaml.safe_dump(value), encoding="utf-8")


def load(project: Path, run: str = "config/config.yaml") -> config.Run:
    settings = yaml.safe_load((project / run).read_text(encoding="utf-8"))
    return config.load(settings, run, project)


def refused(project: Path, file: str, change, *mentions: str, run: str = "config/config.yaml") -> None:
    """The changed file makes loading fail with one line that names the file and all of ``mentions``."""
    edit(project, file, change)
    with pytest.raises(UserError) as caught:
        load(project, run)
    message = str(caught.value)
    assert "\n" not in message
    for mention in (file, *mentions):
        assert mention in message


def row(name: str, **changes):
    """A change of a system's row."""
    return lambda value: value["systems"].setdefault(name, {}).update(changes)


# ---- what is shipped


@pytest.mark.parametrize("run", RUNS)
def test_every_shipped_run_is_valid_and_measures_something(run):
    loaded = load(REPOSITORY, run)
    assert loaded.models
    assert set(loaded.datasets) == set(loaded.settings["corpora"].values())


@pytest.mark.parametrize("name", ["run", "scale", "sizes", "systems", "table", "claims"])
def test_schemas_describe_every_key(name):
    schema = yaml.safe_load((REPOSITORY / f"workflow/schemas/{name}.schema.yaml").read_text(encoding="utf-8"))
    assert list(keys(schema))
    for key, value in keys(schema):
        assert "description" in value or "const" in value, key


@pytest.mark.parametrize("path", sorted((REPOSITORY / "workflow/schemas").glob("*.yaml")), ids=lambda path: path.stem)
def test_patterns_end_where_the_text_does(path):
    """$ is also before a line break at the end, which then reaches a path or a command."""
    assert not re.search(r'pattern: [^\n]*\$[)"\']', path.read_text(encoding="utf-8"))


def keys(schema):
    """(key, its schema) of all properties within a schema."""
    if isinstance(schema, list):
        schema = dict(enumerate(schema))
    if isinstance(schema, dict):
        for part, value in schema.items():
            if part == "properties":
                yield from value.items()
            yield from keys(value)


def test_configuration_needs_neither_torch_nor_fairseq():
    program = "import sys, natlab.config; sys.exit(any(name in sys.modules for name in ('torch', 'fairseq')))"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_papers_scale_is_appendix_g():
    run = load(REPOSITORY, "config/runs/wmt14_ende.yaml")
    training = run.spec("wmt14_ende", "vanilla_kd", 1)["training"]
    assert training["batch_tokens"] * training["update_freq"] == 65536
    assert (training["updates"], training["lr"], training["warmup"]) == (300_000, 5e-4, 10_000)
    assert (training["dropout"], training["weight_decay"], training["label_smoothing"]) == (0.1, 0.01, 0.1)
    teacher = run.spec("wmt14_ende", "transformer", 1)["training"]
    assert (teacher["updates"], teacher["dropout"]) == (100_000, 0.3)
    zhen = load(REPOSITORY, "config/runs/wmt17_zhen.yaml")
    assert zhen.spec("wmt17_zhen", "transformer", 1)["training"]["updates"] == 300_000


# ---- what a run resolves to


def test_spec_of_teacher_and_student():
    run = load(REPOSITORY)
    teacher, student = run.spec("grammar_ende", "transformer", 1), run.spec("grammar_ende", "glat_kd", 2)
    assert "input" not in teacher and "canvas" not in teacher
    assert teacher["target"] == {"name": "raw"}
    assert student["target"] == {"name": "kd", "teacher": "transformer"}
    assert student["input"] == {"name": "glat"}
    assert (student["dataset"], student["scale"], student["system"], student["seed"]) == (
        "grammar_ende",
        "demo",
        "glat_kd",
        2,
    )
    assert "size" not in student["training"] and student["training"]["dropout"] is not None
    assert set(student["size"]) == {"d_model", "d_hidden", "encoder_layers", "decoder_layers", "heads"}


def test_a_system_overrides_its_scale(project):
    edit(
        project,
        "config/systems.yaml",
        row("glat_kd", size="base", training={"lr": 0.1}, input={"name": "glat", "start": 0.7}, canvas="mask"),
    )
    run = load(project)
    spec, other = run.spec("grammar_ende", "glat_kd", 1), run.spec("grammar_ende", "vanilla_kd", 1)
    assert spec["training"]["lr"] == 0.1 and other["training"]["lr"] != 0.1
    assert spec["size"]["d_model"] == 512 and other["size"]["d_model"] != 512
    assert spec["input"] == {"name": "glat", "start": 0.7}
    assert (spec["canvas"], other["canvas"]) == ("mask", "copy")


def test_a_system_that_starts_from_another_is_trained_as_the_scale_finetunes(project):
    edit(project, "config/scales/demo.yaml", lambda s: s["finetune"].update(updates=70))
    run = load(project)
    tuned, student = run.spec("grammar_ende", "vanilla_oaxe10k", 1), run.spec("grammar_ende", "vanilla_kd", 1)
    assert tuned["start"] == "vanilla_kd_10k" and "start" not in student
    finetune = run.scale["finetune"]
    assert tuned["training"] == {**student["training"], **finetune} and finetune["updates"] == 70


@pytest.mark.parametrize("scale", ["demo", "multi30k_tiny", "paper"])
def test_a_share_of_the_updates_has_its_own_share_of_warm_up(project, scale):
    """MPLE, appendix G: 10k updates of 300k are warm-up, so that after a thirtieth of a training it is over, and is a
    fifth of a sixth of it."""
    edit(project, "config/config.yaml", lambda r: r.update(scale=scale, tables=["mple/table2"]))
    run = load(project)
    whole, tenth, sixth = map(run.training, ("vanilla_kd", "vanilla_kd_10k", "vanilla_kd_50k"))
    assert tenth["updates"] == tenth["warmup"] == round(0.0333 * whole["updates"])
    assert sixth["updates"] == round(0.1667 * whole["updates"]) and sixth["warmup"] == round(0.2 * sixth["updates"])
    same = {"updates", "warmup"}
    assert {key: value for key, value in tenth.items() if key not in same} == {
        key: value for key, value in whole.items() if key not in same
    }


def test_a_training_that_would_end_within_its_warm_up_is_refused(project):
    edit(project, "config/systems.yaml", row("vanilla_kd_50k", training={"share": 0.1}))
    with pytest.raises(UserError, match="vanilla_kd_50k.training: 70 updates at scale demo end within their warm-up"):
        load(project)


def test_figure_1_branches_for_a_thirtieth_of_a_training_at_the_papers_scale(project):
    edit(project, "config/config.yaml", lambda r: r.update(scale="paper", tables=["mple/table2"]))
    run = load(project)
    corners = [run.training(system) for system in ("vanilla_raw_mle", "vanilla_raw_glat_kd")]
    assert all(corner["updates"] == 10_000 and corner["warmup"] == 0 for corner in corners)


def test_a_scale_can_differ_on_a_dataset(project):
    edit(
        project,
        "config/scales/demo.yaml",
        lambda s: s.update(datasets={"grammar_ende_mild": {"teacher": {"updates": 900}}}),
    )
    run = load(project)
    of = {name: run.spec(name, "transformer", 1)["training"] for name in ("grammar_ende", "grammar_ende_mild")}
    assert of["grammar_ende_mild"] == {**of["grammar_ende"], "updates": 900} != of["grammar_ende"]
    students = [run.spec(name, "vanilla_kd", 1)["training"] for name in ("grammar_ende", "grammar_ende_mild")]
    assert students[0] == students[1]


@pytest.mark.parametrize(
    "differs, message",
    [
        ({"grammar_xx": {}}, "datasets: unknown name 'grammar_xx'"),
        ({"grammar_ende": {"teacher": {"size": "tiny"}}}, "datasets.grammar_ende.teacher.size: .*; write teacher.size"),
    ],
)
def test_what_a_scale_cannot_say_of_a_dataset_is_refused(project, differs, message):
    edit(project, "config/scales/demo.yaml", lambda s: s.update(datasets=differs))
    with pytest.raises(UserError, match=message):
        load(project)


def test_a_scale_says_which_sizes_stand_for_the_papers(project):
    edit(project, "config/scales/demo.yaml", lambda s: s.update(sizes={"big": "small"}))
    run = load(project)
    assert run.spec("grammar_ende", "transformer_big", 1)["size"]["d_model"] == run.sizes["small"]["d_model"]
    assert run.spec("grammar_ende", "transformer_tiny", 1)["size"]["d_model"] == run.sizes["tiny"]["d_model"]


def test_a_run_trains_all_that_its_systems_rest_on(project):
    def rest(run, system):
        return {model.system for model in run.trained if model.dataset == "grammar_ende"} - {system}

    for system, expected in {
        "vanilla_raw": set(),
        "vanilla_oaxe10k": {"transformer", "vanilla_kd_10k"},
        "glat_kd": {"transformer", "vanilla_kd"},
        "glat_dynamic": {"transformer", "transformer_tiny", "transformer_small", "transformer_big"},
    }.items():
        run = load(project)
        run.models = [config.Model("grammar_ende", system, 1)]
        run.filled = {}
        assert rest(run, system) == expected


def test_decodings_carry_the_datasets_lengths(project):
    edit(project, "config/datasets/grammar_ende.yaml", lambda d: d.update(length_penalty=0.6, length_factor=1.05))
    run = load(project)
    assert run.decoding("grammar_ende", "beam5", "transformer") == {"kind": "beam", "beam": 5, "length_penalty": 0.6}
    lpd = {"kind": "argmax", "candidates": 3, "length_factor": 1.05, "deduplicate": True}
    assert run.decoding("grammar_ende", "lpd3", "glat_kd") == lpd
    sample = {"kind": "sample", "length_factor": 1.05, "seed": 1, "predictor": "vanilla_kd"}
    assert run.decoding("grammar_ende", "sample", "glat_kd") == sample


def test_what_a_decoding_takes_besides_is_trained(project):
    cells = {"a": {"system": "glat_kd_tiny", "decoding": "npd"}, "b": {"system": "glat_kd_tiny", "decoding": "sample"}}
    edit(project, "config/papers/mple/table1.yaml", lambda t: only(t, cells))
    edit(project, "config/systems.yaml", lambda s: s["decodings"].update(npd={**NPD, "reranker": "transformer_small"}))
    edit(project, "config/systems.yaml", row("glat_kd_tiny", predictor="vanilla_kd_tiny"))
    edit(
        project,
        "config/config.yaml",
        lambda r: r.update(tables=["mple/table1"], corpora={"wmt14_ende": "grammar_ende"}),
    )
    run = load(project)
    assert run.beside("grammar_ende", "glat_kd_tiny") == ["transformer_small", "vanilla_kd_tiny"]
    trained = {model.system for model in run.trained}
    assert trained == {"glat_kd_tiny", "transformer_tiny", "transformer_small", "vanilla_kd_tiny"}
    assert run.measures_distortion("grammar_ende", "glat_kd_tiny")
    assert not run.measures_distortion("grammar_ende", "transformer_tiny")
    assert not run.measures_distortion("multi30k_ende", "glat_kd_tiny")


NPD = {"kind": "argmax", "candidates": 7}


def only(table, cells):
    """Leave a table one row and these cells."""
    columns = [{"key": key, "label": key, "cell": {"metric": "bleu_tok", **cell}} for key, cell in cells.items()]
    row = {"label": "WMT14 En-De", "cell": {"corpus": "wmt14_ende"}}
    for key in [key for key in table if key not in ("table", "paper", "title", "caption")]:
        del table[key]
    table.update(rows=[row], columns=columns)


def test_input_sampling_is_of_systems_with_a_predictor(project):
    edit(
        project,
        "config/papers/mple/table1.yaml",
        lambda t: only(t, {"a": {"system": "vanilla_kd", "decoding": "sample"}}),
    )
    edit(
        project,
        "config/config.yaml",
        lambda r: r.update(tables=["mple/table1"], corpora={"wmt14_ende": "grammar_ende"}),
    )
    allowed = "allowed: argmax, lpd3, lpd3_longer, npd7"
    with pytest.raises(UserError, match=f"decoding of vanilla_kd: unknown name 'sample'; {allowed}"):
        load(project)


@pytest.mark.parametrize("reranker", ["vanilla_kd", "nobody"])
def test_a_reranker_is_autoregressive(project, reranker):
    edit(project, "config/systems.yaml", lambda s: s["decodings"].update(npd={**NPD, "reranker": reranker}))
    with pytest.raises(UserError, match=f"decodings.npd.reranker: unknown name '{reranker}'; allowed: transformer"):
        load(project)


def test_the_tables_decide_what_is_built(project):
    edit(project, "config/config.yaml", lambda r: r.update(tables=["mple/table1"], seeds=[3, 4]))
    run = load(project)
    assert {model.system for model in run.models} == {"transformer", "vanilla_raw"}
    assert {model.dataset for model in run.models} == set(run.datasets)
    assert {model.seed for model in run.models} == {3, 4}
    assert set(run.decodings_of("grammar_ende", "transformer")) == {"beam5"}
    assert run.timed_decodings_of("grammar_ende", "vanilla_raw") == {}
    assert "grammar_ende/demo/vanilla_raw/seed4/loss.json" in run.sources("mple/table1")
    assert run.exact_datasets("mple/table1") == ["grammar_ende", "grammar_ende_mild"]


def test_a_run_can_build_some_systems_only(project):
    edit(project, "config/config.yaml", lambda r: r.update(systems=["vanilla_kd"], tables=["mple/table2"]))
    assert {model.system for model in load(project).models} == {"vanilla_kd"}


def test_figures_and_claims_ask_for_what_they_show(project):
    small = {"tables": ["mple/table1"], "corpora": {"wmt14_ende": "grammar_ende"}}
    edit(project, "config/config.yaml", lambda r: r.update(small, figures=["mple/figure7"]))
    run = load(project)
    assert {model.system for model in run.models} == {"transformer", "vanilla_raw", "cmlm_kd", "glat_kd"}
    assert set(run.decodings_of("grammar_ende", "cmlm_kd")) == {"argmax", "sample"}
    assert "grammar_ende/demo/glat_kd/seed1/sample.test.json" in run.sources("mple/figure7")
    edit(project, "config/config.yaml", lambda r: r.update(claims=["mple/claims"], figures=[]))
    run = load(project)
    # of the table that a claim is about, and of a comparison
    assert "grammar_ende/demo/vanilla_axe1/seed1/target.json" in run.sources("mple/claims")
    assert "grammar_ende/demo/glat_kd_big/seed1/argmax.test.json" in run.sources("mple/claims")
    assert {"vanilla_axe1", "glat_kd_big"} <= {model.system for model in run.models}
    assert set(run.tables) == {"mple/table1"}


def test_the_surface_of_a_figure(project):
    edit(project, "config/config.yaml", lambda r: r.update(figures=["mple/figure1", "mple/figure8"]))
    run = load(project)
    assert run.surface("mple/figure1") == ("grammar_ende", ["vanilla_raw", "vanilla_raw_mle", "vanilla_raw_glat_kd"])
    assert run.surface("mple/figure8") is None
    assert run.splits_of("grammar_ende", "vanilla_raw_mle") == ["valid"]


def test_a_run_is_tracked_offline_unless_it_says_otherwise(project):
    assert load(project).tracking == {"backend": "comet", "online": False}
    overrides = {"tracking": {"online": True}}
    assert config.from_snakemake(overrides, [], root=project).tracking == {"backend": "comet", "online": True}


def test_overrides_replace_and_a_config_file_stands_alone(project):
    overridden = config.from_snakemake({"scale": "small_gpu", "seeds": ["1", "2"]}, [], project)
    assert overridden.settings["scale"] == "small_gpu" and overridden.settings["seeds"] == [1, 2]
    assert overridden.name == "demo"
    file = "config/runs/multi30k_tiny.yaml"
    alone = config.from_snakemake({}, [project / file], project)
    assert set(alone.datasets) == {"multi30k_ende"} and alone.settings == load(project, file).settings
    other = {"corpora": {"wmt14_ende": "grammar_ende"}, "tracking": {"online": "true"}}
    overridden = config.from_snakemake(other, [project / file], project)
    assert set(overridden.datasets) == {"grammar_ende"} and overridden.tracking["online"] is True


# ---- what is refused


@pytest.mark.parametrize(
    ("file", "change", "mentions"),
    [
        ("config/config.yaml", lambda r: r.update(sede=1), ["sede", "allowed", "seeds"]),
        ("config/config.yaml", lambda r: r.pop("scale"), ["scale"]),
        ("config/config.yaml", lambda r: r.update(scale="huge"), ["huge", "allowed", "paper"]),
        ("config/config.yaml", lambda r: r.update(seeds=[]), ["seeds"]),
        ("config/config.yaml", lambda r: r.update(seeds=["one"]), ["seeds.0", "one"]),
        ("config/config.yaml", lambda r: r.update(tracking={"backend": "wandb"}), ["tracking.backend", "comet, none"]),
        ("config/config.yaml", lambda r: r.update(tables=["mple/table99"]), ["mple/table99", "mple/table1"]),
        ("config/config.yaml", lambda r: r.update(tables=["mple/figure5"]), ["tables", "mple/figure5", "mple/table2"]),
        ("config/config.yaml", lambda r: r.update(figures=["mple/table2"]), ["figures", "mple/table2", "mple/figure5"]),
        ("config/config.yaml", lambda r: r.update(claims=["mple/table2"]), ["claims", "mple/table2", "mple/claims"]),
        (
            "config/config.yaml",
            lambda r: r.update(
                corpora={"wmt16_enro": "grammar_ende"}, tables=["mple/table1"], figures=["mple/figure5"]
            ),
            ["figures: mple/figure5 would be empty", "wmt14_ende"],
        ),
        ("config/config.yaml", lambda r: r.update(systems=["glat"]), ["systems", "'glat'", "glat_kd"]),
        ("config/config.yaml", lambda r: r["corpora"].update(wmt14_ende="nowhere"), ["nowhere", "grammar_ende"]),
        ("config/config.yaml", lambda r: r["corpora"].update(wmt99="grammar_ende"), ["wmt99", "wmt14_ende"]),
        (
            "config/config.yaml",
            lambda r: r.update(corpora={"synthetic_a": "grammar_ende"}),
            ["mple/table2", "empty", "wmt14_ende"],
        ),
        ("config/scales/demo.yaml", lambda s: s["student"].update(updatez=1), ["student", "updatez", "updates"]),
        ("config/scales/demo.yaml", lambda s: s["student"].pop("lr"), ["student", "lr"]),
        ("config/scales/demo.yaml", lambda s: s["student"].update(lr="high"), ["student.lr", "number"]),
        ("config/scales/demo.yaml", lambda s: s["teacher"].update(size="giant"), ["teacher.size", "giant", "tiny"]),
        ("config/scales/demo.yaml", lambda s: s["teacher"].update(precision="int8"), ["int8", "fp32"]),
        ("config/scales/demo.yaml", lambda s: s.update(gpus=3), ["3 GPUs", "update_freq 1", "a multiple of 3"]),
        ("config/sizes.yaml", lambda s: s["tiny"].update(heads=3), ["tiny.heads"]),
        ("config/sizes.yaml", lambda s: s["tiny"].update(width=3), ["tiny", "width", "d_model"]),
        ("config/systems.yaml", row("glat_kd", target="kdd"), ["glat_kd.target", "kdd", "allowed", "raw"]),
        ("config/systems.yaml", row("glat_kd", input="glad"), ["glat_kd.input", "glad", "vanilla"]),
        ("config/systems.yaml", row("glat_kd", input={"name": "glat", "begin": 1}), ["begin", "start"]),
        (
            "config/systems.yaml",
            row("glat_kd", input={"name": "glat", "start": "half"}),
            ["input.start", "half", "number"],
        ),
        ("config/systems.yaml", row("glat_kd", input={"name": "glat", "start": 1.5}), ["input.start", "1.5", "<= 1"]),
        (
            "config/systems.yaml",
            row("glat_kd", input={"name": "glat", "count": "up"}),
            ["input.count", "floor, bernoulli"],
        ),
        ("config/systems.yaml", row("vanilla_axe1", target="axe"), ["vanilla_axe1.target", "axe", "delta"]),
        ("config/systems.yaml", row("vanilla_axe1", target={"name": "axe", "delta": 0}), ["target.delta", "0", "> 0"]),
        ("config/systems.yaml", row("vanilla_dynamic", target={"name": "dynamic", "gamma": "wmt"}), ["gamma", "tuned"]),
        (
            "config/systems.yaml",
            row("vanilla_dynamic", target={"name": "dynamic", "gamma": [1, 2]}),
            ["vanilla_dynamic.target.gamma", "2 numbers for 5", "transformer_big, raw"],
        ),
        ("config/systems.yaml", row("vanilla_dynamic", teacher="transformer"), ["vanilla_dynamic.teacher", "dynamic"]),
        ("config/systems.yaml", lambda s: s.update(candidates=["vanilla_kd"]), ["candidates", "vanilla_kd"]),
        ("config/systems.yaml", row("transformer", target="oaxe"), ["transformer.target", "oaxe", "kd, raw"]),
        ("config/systems.yaml", row("transformer", start="transformer_big"), ["transformer.start"]),
        (
            "config/systems.yaml",
            row("vanilla_oaxe10k", start="nowhere"),
            ["vanilla_oaxe10k.start", "nowhere", "vanilla_kd"],
        ),
        ("config/systems.yaml", row("vanilla_oaxe10k", start="transformer"), ["vanilla_oaxe10k.start", "transformer"]),
        (
            "config/systems.yaml",
            row("vanilla_oaxe10k", canvas="mask"),
            ["vanilla_oaxe10k.start", "canvas copy", "mask"],
        ),
        ("config/systems.yaml", row("vanilla_oaxe10k", size="big"), ["vanilla_oaxe10k.start", "size micro"]),
        ("config/systems.yaml", row("vanilla_kd_10k", start="vanilla_oaxe10k"), ["start", "itself rests on"]),
        ("config/systems.yaml", row("glat_kd", predictor="glat_raw"), ["glat_kd.predictor", "glat_raw", "vanilla_kd"]),
        (
            "config/systems.yaml",
            row("vanilla_kd", predictor="vanilla_raw"),
            ["vanilla_kd.predictor", "reveals no token"],
        ),
        ("config/scales/demo.yaml", lambda s: s.pop("finetune"), ["finetune"]),
        ("config/scales/demo.yaml", lambda s: s["sizes"].update(tiny="giant"), ["sizes.tiny", "giant"]),
        ("config/scales/demo.yaml", lambda s: s["sizes"].update(giant="tiny"), ["sizes", "giant"]),
        ("config/systems.yaml", row("glat_kd", training={"updatez": 1}), ["glat_kd.training", "updatez", "updates"]),
        ("config/systems.yaml", row("glat_kd", training={"size": "tiny"}), ["glat_kd.size"]),
        ("config/systems.yaml", row("glat_kd", size="giant"), ["giant", "tiny"]),
        ("config/systems.yaml", row("glat_kd", architecture="rnn"), ["rnn", "transformer", "nat"]),
        (
            "config/systems.yaml",
            lambda s: s["systems"]["glat_kd"].pop("teacher"),
            ["glat_kd", "teacher", "transformer"],
        ),
        ("config/systems.yaml", row("glat_kd", teacher="teech"), ["glat_kd.teacher", "teech", "transformer"]),
        ("config/systems.yaml", row("glat_kd", teacher="vanilla_raw"), ["autoregressive", "transformer"]),
        ("config/systems.yaml", row("glat_raw", teacher="transformer"), ["glat_raw.teacher", "raw"]),
        ("config/systems.yaml", row("transformer", input="vanilla"), ["transformer.input"]),
        ("config/systems.yaml", lambda s: s["systems"]["glat_raw"].pop("input"), ["glat_raw", "input", "vanilla"]),
        ("config/systems.yaml", lambda s: s.update(reference="glat_kd"), ["reference", "transformer"]),
        ("config/systems.yaml", lambda s: s["decodings"]["argmax"].update(beam=5), ["argmax", "beam", "candidates"]),
        ("config/systems.yaml", lambda s: s["decodings"]["beam5"].update(kind="viterbi"), ["viterbi", "argmax"]),
        (
            "config/papers/mple/table1.yaml",
            lambda t: t["columns"][-2]["cell"].update(decoding="beam5"),
            ["vanilla_raw", "beam5", "argmax"],
        ),
        (
            "config/papers/mple/table1.yaml",
            lambda t: t["columns"][-3]["cell"].update(decoding="argmax"),
            ["transformer", "argmax", "beam5"],
        ),
        ("config/papers/mple/table2.yaml", lambda t: t["rows"][0]["cell"].update(system="mle"), ["mle", "vanilla_raw"]),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(project, file, change, mentions):
    refused(project, file, change, *mentions)


@pytest.mark.parametrize(
    ("file", "change", "mentions"),
    [
        (
            "config/papers/mple/claims.yaml",
            lambda c: c["claims"][0]["parts"][0]["order"].update(table="mple/table99"),
            ["mple/table99", "mple/table1"],
        ),
        (
            "config/papers/mple/claims.yaml",
            lambda c: c["claims"][3]["parts"][0]["comparison"]["higher"].update(system="kd"),
            ["claim c, part 1: system", "'kd'", "vanilla_kd"],
        ),
        (
            "config/papers/mple/claims.yaml",
            lambda c: c["deviation"].append("grammar_sedes"),
            ["deviation", "'grammar_sedes'", "grammar_seeds"],
        ),
        ("config/papers/mple/figure1.yaml", lambda f: f["draw"]["systems"].insert(0, "start"), ["draw.systems"]),
        (
            "config/papers/mple/figure1.yaml",
            lambda f: f["draw"]["systems"].__setitem__(0, "start"),
            ["start", "vanilla_raw_mle"],
        ),
    ],
)
def test_what_is_wrong_of_figures_and_claims_is_refused_in_one_line(project, file, change, mentions):
    refused(project, file, change, *mentions, run="config/runs/mple_grammar.yaml")


def test_yaml_that_is_none_is_refused(project):
    (project / "config/systems.yaml").write_text("systems: [", encoding="utf-8")
    with pytest.raises(UserError, match="config/systems.yaml: not YAML"):
        load(project)


CHECKED = ["config/config.yaml", "config/systems.yaml", "config/sizes.yaml", "config/scales/demo.yaml"]
OPEN = {("corpora",), ("decodings",), ("sizes",), ("systems",)}  # mappings from names of a person's choice


def mappings(value, path=()):
    """The paths of all mappings within a value whose keys are fixed."""
    if isinstance(value, dict):
        if path not in OPEN:
            yield path
        for key, inner in value.items():
            yield from mappings(inner, (*path, key))


PLACES = [
    (file, path)
    for file in CHECKED
    for path in mappings(yaml.safe_load((REPOSITORY / file).read_text(encoding="utf-8")))
    if not (file == "config/sizes.yaml" and path == ())
]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(PLACES), key=st.from_regex(r"[a-z]{1,6}_[xyz]{2}", fullmatch=True))
def test_an_unknown_key_is_refused_wherever_it_stands(tmp_path_factory, place, key):
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(REPOSITORY / "config", project / "config")
    shutil.copytree(REPOSITORY / "workflow" / "schemas", project / "workflow" / "schemas")
    file, path = place

    def insert(value):
        for part in path:
            value = value[part]
        value[key] = 1

    refused(project, file, insert, key, "allowed")


# ---- proxies are read without being imported


def test_registry_reads_names_and_options():
    assert {"raw", "kd"} <= set(registry.names("targets"))
    assert {"vanilla", "glat"} <= set(registry.names("inputs"))
    options = registry.options("inputs", "glat")
    assert (options["start"].default, options["end"].default) == (0.5, 0.3)
    assert registry.trait("kd", "references") == "distilled" and not registry.trait("kd", "blank")
    assert registry.options("targets", "kd") == {}


def test_registry_loads_what_it_reads():
    glat = registry.load("inputs", "glat", start=0.9)
    assert glat.start == 0.9
    assert registry.options("inputs", "glat").keys() == vars(glat).keys()
    with pytest.raises(KeyError):
        registry.load("inputs", "nothing")


def test_check_says_what_a_run_builds(capsys, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    config.run(argparse.Namespace(run="config/config.yaml"))
    said = capsys.readouterr().out
    assert "mple/table1" in said and "transformer (grammar_ende)" in said
