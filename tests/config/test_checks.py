"""What is wrong with a run is refused in one line."""

import shutil

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.config.project import NPD, REPOSITORY, edit, load, only, refused, row

from natlab.errors import UserError


def test_a_training_that_would_end_within_its_warm_up_is_refused(project):
    edit(project, "config/systems.yaml", row("vanilla_kd_50k", training={"share": 0.1}))
    with pytest.raises(UserError, match="vanilla_kd_50k.training: 70 updates at scale demo end within their warm-up"):
        load(project)
    edit(project, "config/config.yaml", lambda r: r.update(systems=["transformer", "vanilla_kd"]))
    assert load(project).models  # which does not train it


@pytest.mark.parametrize(
    "differs, message",
    [
        ({"grammar_xx": {}}, "datasets: unknown name 'grammar_xx'"),
        ({"grammar_ende": {"teacher": {"size": "tiny"}}}, "datasets.grammar_ende.teacher.size: .*; write teacher.size"),
        (
            {"grammar_ende": {"contrast": {"lr": 1}}},
            "datasets.grammar_ende: unknown name 'contrast'; allowed: teacher, student, finetune$",
        ),
    ],
)
def test_what_a_scale_cannot_say_of_a_dataset_is_refused(project, differs, message):
    edit(project, "config/scales/demo.yaml", lambda s: s.update(datasets=differs))
    with pytest.raises(UserError, match=message):
        load(project)


def test_a_stage_that_the_scale_has_not_got_is_refused_where_it_is_trained_in(project):
    """Systems are of all scales, so one that the run does not train may name a stage of another scale."""
    edit(project, "config/systems.yaml", row("vanilla_kd_50k", stage="contrast"))
    allowed = "teacher, student, finetune"
    with pytest.raises(
        UserError,
        match=f"systems.vanilla_kd_50k.stage, at scale demo: unknown name 'contrast'; allowed: {allowed}$",
    ):
        load(project)
    edit(project, "config/config.yaml", lambda r: r.update(systems=["transformer", "vanilla_kd"]))
    assert load(project).models


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
        ("config/scales/demo.yaml", lambda s: s.update(stages={"later": {"size": "giant"}}), ["later.size", "giant"]),
        ("config/scales/demo.yaml", lambda s: s.update(stages={"later": {"lrr": 1}}), ["stages.later", "lrr", "lr"]),
        ("config/scales/demo.yaml", lambda s: s.update(stages={"student": {}}), ["stages", "student", "other than"]),
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
        (
            "config/systems.yaml",
            lambda s: s["decodings"]["argmax"].update(beam=5),
            ["argmax", "beam", "length_candidates"],
        ),
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
