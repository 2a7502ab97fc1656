"""What is wrong with a run is refused in one line."""

import functools
import shutil
from dataclasses import replace

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import plain
from tests.config.project import NPD, REPOSITORY, edit, load, only, refused, row

from natlab import config, families
from natlab.config import checks, rows
from natlab.errors import UserError
from natlab.models.architectures import ARCHITECTURES


def test_a_training_that_would_end_within_its_warm_up_is_refused(project):
    edit(project, "config/systems.yaml", row("vanilla_kd_50k", training={"share": 0.1}))
    with pytest.raises(UserError, match="vanilla_kd_50k.training: 70 updates at scale demo end within their warm-up"):
        load(project)
    edit(
        project, "config/config.yaml", lambda r: r.update(systems=["transformer", "vanilla_kd"], tables=["mple/table2"])
    )
    assert load(project).models  # which does not train it


@pytest.mark.parametrize(
    "differs, message",
    [
        ({"grammar_xx": {}}, "datasets: unknown name 'grammar_xx'"),
        ({"grammar_ende": {"teacher": {"size": "tiny"}}}, "datasets.grammar_ende.teacher.size: .*; write teacher.size"),
        (
            {"grammar_ende": {"unheard": {"lr": 1}}},
            "datasets.grammar_ende: unknown name 'unheard'; "
            "allowed: teacher, student, finetune, aeqa, aeqa_graph, cmlm, contrast, graph, oaxe$",
        ),
    ],
)
def test_what_a_scale_cannot_say_of_a_dataset_is_refused(project, differs, message):
    edit(project, "config/scales/demo.yaml", lambda s: s.update(datasets=differs))
    with pytest.raises(UserError, match=message):
        load(project)


def test_a_stage_that_the_scale_has_not_got_is_refused_where_it_is_trained_in(project):
    """Systems are of all scales, so one that the run does not train may name a stage of another scale."""
    edit(project, "config/systems.yaml", row("vanilla_kd_50k", stage="unheard"))
    allowed = "teacher, student, finetune, cmlm, contrast, graph, aeqa_graph, oaxe, aeqa"
    with pytest.raises(
        UserError,
        match=f"systems.vanilla_kd_50k.stage, at scale demo: unknown name 'unheard'; allowed: {allowed}$",
    ):
        load(project)
    edit(
        project, "config/config.yaml", lambda r: r.update(systems=["transformer", "vanilla_kd"], tables=["mple/table2"])
    )
    assert load(project).models


def of_dataset(**says):
    return lambda dataset: dataset.update(says)


@pytest.mark.parametrize(
    ("says", "mentions"),
    [
        ({"scores": ["meteor"]}, ["scores: unknown name 'meteor'", "rouge"]),
        ({"scores": [{"name": "rouge", "stem": True}]}, ["scores: rouge: unknown name 'stem'"]),
        ({"scores": []}, ["scores"]),
        ({"select_by": "rouge_l"}, ["select_by: unknown name 'rouge_l'; allowed: bleu_tok"]),
        (
            {"scores": ["rouge"], "select_by": "chrf"},
            ["select_by", "'chrf'; allowed: bleu_tok, rouge_1, rouge_2, rouge_l"],
        ),
    ],
)
def test_what_a_dataset_cannot_be_scored_by_is_refused_also_where_no_run_uses_it(project, says, mentions):
    refused(project, "config/datasets/multi30k_ende.yaml", of_dataset(**says), *mentions)


def test_a_cell_asks_for_what_its_dataset_is_scored_by(project):
    edit(project, "config/datasets/grammar_ende.yaml", of_dataset(scores=["bleu", "rouge"]))
    with pytest.raises(
        UserError, match="grammar_ende is not scored by bleu_tok; add bleu_tok to scores in config/data"
    ):
        load(project)
    edit(project, "config/datasets/grammar_ende.yaml", of_dataset(scores=["bleu", "bleu_tok"]))
    assert load(project)


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
    allowed = "allowed: argmax, argmax_reference_length, lpd3, lpd3_longer, npd7, lpd5, "
    with pytest.raises(UserError, match=f"decoding of vanilla_kd: unknown name 'sample'; {allowed}"):
        load(project)


@pytest.mark.parametrize("reranker", ["vanilla_kd", "nobody"])
def test_a_reranker_is_autoregressive(project, reranker):
    edit(project, "config/systems.yaml", lambda s: s["decodings"].update(npd={**NPD, "reranker": reranker}))
    with pytest.raises(UserError, match=f"decodings.npd.reranker: unknown name '{reranker}'; allowed: transformer"):
        load(project)


@pytest.mark.parametrize(
    ("weights", "mentions"),
    [({"comet": "nowhere"}, ["weights.comet: nowhere: no such folder"]), ({"meteor": "."}, ["meteor"]), ({}, [])],
)
def test_weights_are_folders_of_models_that_score(project, weights, mentions):
    refused(project, "config/config.yaml", lambda run: run.update(weights=weights), "weights", *mentions)


def test_datasets_are_told_apart_by_more_than_capitals(project):
    file = project / "config/datasets/grammar_ende.yaml"
    file.with_name("Grammar_ende.yaml").write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(UserError, match="^config/datasets: grammar_ende: differs from Grammar_ende in capitals only"):
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
        ("config/sizes.yaml", lambda s: s["tiny"].update(activation="tanh"), ["tiny.activation", "relu, gelu"]),
        ("config/sizes.yaml", lambda s: s["tiny"].update(learned_positions=0), ["tiny.learned_positions", "minimum"]),
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
            ["input.count", "floor, round, bernoulli"],
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
            row("vanilla_oaxe10k", architecture={"name": "nat", "fill": "mask"}),
            ["vanilla_oaxe10k.start", "architecture", "'fill': {'name': 'copy'}", "'fill': {'name': 'mask'}"],
        ),
        ("config/systems.yaml", row("vanilla_oaxe10k", size="big"), ["vanilla_oaxe10k.start", "size micro"]),
        ("config/systems.yaml", row("vanilla_kd_10k", start="vanilla_oaxe10k"), ["start", "itself rests on"]),
        (  # a circle that another system, oaxe_vanilla_kd, starts from
            "config/systems.yaml",
            row("vanilla_kd", start="vanilla_kd_400k"),
            ["vanilla_kd.start", "'vanilla_kd_400k' itself rests on vanilla_kd"],
        ),
        ("config/systems.yaml", row("raw", architecture="transformer", target="raw"), ["systems.raw", "candidates"]),
        (
            "config/systems.yaml",
            row("Glat_KD", architecture="nat", target="raw", input="glat"),
            ["glat_kd: differs from Glat_KD in capitals only"],
        ),
        (
            "config/systems.yaml",
            lambda s: s["decodings"].update(ARGMAX={"kind": "argmax"}),
            ["argmax: differs from ARGMAX in capitals only"],
        ),
        ("config/systems.yaml", row("glat_kd", predictor="glat_raw"), ["glat_kd.predictor", "glat_raw", "vanilla_kd"]),
        (
            "config/systems.yaml",
            row("vanilla_kd", predictor="vanilla_raw"),
            ["vanilla_kd.predictor", "needs an input that reveals tokens"],
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


NAT = {"architecture": "nat", "target": "raw", "input": "vanilla"}  # a row to spoil


def nat(**parts):
    return {"name": "nat", **parts}


@functools.cache
def shipped():
    return load(REPOSITORY)


def spoilt(system="made", decodings=(), **row):
    """The shipped run with a row of a system beside those that others rest on, and with more decodings."""
    run = shipped()
    kept = [
        name for name in run.systems if name in run.offering("autoregressive") or name in ("vanilla_raw", "vanilla_kd")
    ]
    systems = {name: run.systems[name] for name in kept} | {system: row}
    return replace(run, systems=systems, decodings={**run.decodings, **dict(decodings)})


def refusal(run):
    """The one line with which the rows of a run are refused."""
    with pytest.raises(UserError) as caught:
        checks.check_systems(run)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- the parts that a system is composed of


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        # a member that is not there
        ({"target": "rew"}, "target: unknown name 'rew'; allowed: axe, dynamic, kd, oaxe, raw"),
        ({"input": "glatt"}, "input: unknown name 'glatt'; allowed: cmlm, codes, glat, vanilla"),
        ({"objective": "xee"}, "objective: unknown name 'xee'; allowed: axe, ctc, dag, denoising, oaxe, xe"),
        ({"objective": {"name": "ce"}}, "objective: unknown name 'ce'; allowed: axe, ctc, dag, denoising, oaxe, xe"),
        (
            {"terms": ["lenght"]},
            "terms: unknown name 'lenght'; allowed: commitment, contrastive, length, masking, reward, sentence_codes, "
            "state_codes",
        ),
        (
            {"architecture": nat(lengths="diff")},
            "architecture.lengths: unknown name 'diff'; allowed: absolute, difference, source",
        ),
        (
            {"architecture": nat(fill="kopy")},
            "architecture.fill: unknown name 'kopy'; allowed: codes, copy, mask, soft_copy",
        ),
        ({"architecture": "rnn"}, "architecture: unknown name 'rnn'; allowed: nat, transformer, multilingual"),
        # an option that is not, or that may not be so
        ({"target": {"name": "raw", "delta": 1}}, "target: raw: unknown name 'delta'; allowed: (no option)"),
        ({"input": {"name": "cmlm", "rate": 0.5}}, "input: cmlm: unknown name 'rate'; allowed: ratio, least"),
        ({"objective": {"name": "axe", "tau": 5}}, "objective: axe: unknown name 'tau'; allowed: delta, predict"),
        ({"objective": {"name": "axe", "delta": 0}}, "objective.delta: 0 is not allowed; allowed: a number > 0"),
        (
            {"objective": {"name": "oaxe", "predict": "some"}},
            "objective.predict: 'some' is not allowed; allowed: all, masks",
        ),
        ({"terms": [{"name": "length", "wait": 1}]}, "terms: length: unknown name 'wait'; allowed: weight"),
        (
            {"terms": [{"name": "length", "weight": -1}]},
            "terms.weight: -1 is not allowed; allowed: a number >= 0",
        ),
        (
            {"architecture": nat(lengths={"name": "absolute", "longest": 0})},
            "architecture.lengths.longest: 0 is not allowed; allowed: a whole number >= 1",
        ),
        ({"architecture": nat(lengths="source")}, "architecture.lengths: source needs the key factor; add it"),
        (
            {"architecture": nat(fill={"name": "soft_copy", "tau": 0})},
            "architecture.fill.tau: 0 is not allowed; allowed: a number > 0",
        ),
        (
            {"architecture": nat(canvas="mask")},
            "architecture: unknown name 'canvas'; allowed: lengths, fill, codebook, links, deep_supervision",
        ),
        # when a term counts
        (
            {"terms": [{"name": "length", "after": 1.5}]},
            "terms: length.after: 1.5 is not a share of the training; give a number from 0 to 1",
        ),
        (
            {"terms": [{"name": "length", "until": True}]},
            "terms: length.until: True is not a share of the training; give a number from 0 to 1",
        ),
        (
            {"terms": [{"name": "length", "after": 0.5, "until": 0.5}]},
            "terms: length.until: 0.5 is not after 0.5; the term would never count",
        ),
        ({"terms": ["length", {"name": "length", "weight": 2}]}, "terms: length stands twice; remove one"),
        # a need that nothing offers
        (
            {"target": "oaxe", "objective": "oaxe"},
            "objective: objective oaxe needs a target that is what somebody wrote, and not yet placed by what the "
            "model predicts, which this system has not; allowed: target dynamic, kd, raw; or objective xe",
        ),
        (
            {"architecture": nat(lengths={"name": "source", "factor": 2})},
            "objective: objective xe needs a canvas as long as the target, which this system has not; "
            "allowed: lengths absolute, difference; or objective ctc",
        ),
        (
            {"architecture": nat(lengths={"name": "source", "factor": 2}), "target": {"name": "axe", "delta": 1}},
            "target: target axe needs a canvas as long as the target, which this system has not; "
            "allowed: lengths absolute, difference; or target dynamic, kd, raw",
        ),
        (
            {"terms": ["masking"]},
            "terms: term masking needs a head that predicts what the input masks, which this system has not; "
            "it comes with the key predictor",
        ),
        (
            {"predictor": "vanilla_kd"},
            "predictor: term masking needs an input that reveals tokens, which this system has not; "
            "allowed: input cmlm, glat",
        ),
    ],
)
def test_a_part_that_is_wrong_or_suits_no_other_is_refused_in_one_line(changes, message):
    checks.check_systems(spoilt(**NAT))
    assert refusal(spoilt(**NAT | changes)) == f"config/systems.yaml: systems.made.{message}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": {"name": "transformer", "fill": "mask"}}, "architecture: unknown name 'fill'; allowed: name"),
        ({"objective": "xe"}, "objective: a transformer reads what it has written; remove the key"),
        ({"terms": []}, "terms: a transformer reads what it has written; remove the key"),
        (
            {"target": "dynamic"},
            "target: target dynamic needs a decoder that predicts all tokens at once, which this system has not; "
            "it comes with architecture nat; or target kd, raw",
        ),
    ],
)
def test_what_an_autoregressive_system_has_not_is_refused_in_one_line(changes, message):
    found = refusal(spoilt(**{"architecture": "transformer", "target": "raw"} | changes))
    assert found.startswith(f"config/systems.yaml: systems.made.{message}")


@pytest.mark.parametrize(
    ("decoding", "message"),
    [
        (
            {"kind": "viterbi"},
            ": unknown name 'viterbi'; allowed: argmax, beam, collapse, graph, graph_sample, noisy, sample",
        ),
        ({"kind": "beam"}, ": beam needs the key beam; add it"),
        ({"kind": "beam", "beam": 0}, ".beam: 0 is not allowed; allowed: a whole number >= 1"),
        ({"kind": "sample", "seed": -1}, ".seed: -1 is not allowed; allowed: a whole number >= 0 and <= 4294967295"),
        ({"kind": "sample", "predictor": "x"}, ".predictor: a predictor is the system's; write it in the row of the"),
        ({"kind": "beam", "beam": {"tuned": [5, 0]}}, ".beam: 0 is not allowed; allowed: a whole number >= 1"),
        (
            {"kind": "argmax", "reranker": {"tuned": ["a", "b"]}},
            ".reranker: a reranker is a system and cannot be tuned",
        ),
    ],
)
def test_a_decoding_that_is_wrong_is_refused_in_one_line(decoding, message):
    found = refusal(spoilt(decodings={"new": decoding}, **NAT))
    assert found.startswith(f"config/systems.yaml: decodings.new{message}")


@pytest.mark.parametrize("predicted", [["length"], [{"name": "length", "weight": 0, "after": 0.2, "until": 1}], []])
def test_terms_that_stand_in_a_row_change_those_that_its_parts_bring(predicted):
    own = [*predicted, {"name": "masking", "until": 0.5}]
    run = spoilt(**NAT | {"input": "cmlm", "predictor": "vanilla_raw", "terms": own})
    checks.check_systems(run)
    terms = run.spec("grammar_ende", "made", 1)["terms"]
    assert terms == [plain.member((predicted or ["length"])[0]), {"name": "masking", "until": 0.5}]
    assert run.spec("grammar_ende", "vanilla_kd", 1)["terms"] == [{"name": "length"}]


def test_every_need_has_words_and_something_that_offers_it():
    needs, offers = set(), {"masking head", "links", "start"}  # of keys of a row
    offers.update(*(architecture.offers for architecture in ARCHITECTURES.values()))
    for family in families.FOLDERS:
        for name in families.names(family):
            needs |= {*families.trait(family, name, "needs", ())}
            offers |= {*families.trait(family, name, "offers", ())}
    assert needs <= checks.NEEDS.keys() and needs <= offers


def test_any_target_input_and_objective_go_together_or_are_refused_in_one_line_with_the_reason():
    """By the table that decides what tests/losses trains; with xe, axe and oaxe the canvas is as long as the target,
    with ctc and dag it follows from the source."""
    suit = 0
    for made in plain.rows_of_all_members(families.names("length")):
        teacher = {"teacher": "transformer"} if made["target"]["name"] == "kd" else {}
        run, lacking = spoilt(**made, **teacher), [need for *_, need in rows.unmet(made)]
        chosen, free = made["target"]["name"] in ("axe", "oaxe"), made["objective"]["name"] in ("ctc", "dag")
        placed = chosen and made["objective"]["name"] != "xe"
        alone = made["objective"]["name"] == "denoising"
        assert bool(lacking) is (alone or placed or free is not (made["architecture"]["lengths"]["name"] == "source"))
        if lacking:
            remedy = "it comes with " if lacking[0] == "both sides" else "allowed: "
            said = f"needs {checks.NEEDS[lacking[0]]}, which this system has not; {remedy}"
            assert said in refusal(run) and "systems.made." in refusal(run)
        else:
            checks.check_systems(run)
            suit += 1
    assert suit == 2 * 44 + 24


def test_natlab_check_refuses_a_canvas_that_the_objective_cannot_fill(project, monkeypatch, capsys):
    from natlab import cli

    edit(
        project,
        "config/systems.yaml",
        row("made", **NAT | {"architecture": nat(lengths={"name": "source", "factor": 3})}),
    )
    monkeypatch.chdir(project)
    assert cli.main(["check", "config/config.yaml"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "objective xe needs a canvas as long as the target" in error


CHECKED = ["config/config.yaml", "config/systems.yaml", "config/sizes.yaml", "config/scales/demo.yaml"]
OPEN = {("corpora",), ("decodings",), ("sizes",), ("stages",), ("systems",)}  # mappings from names of a person's choice


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


@pytest.mark.parametrize(
    ("values", "mentions"),
    [([5], ["tuned", "[5] is too short"]), ([5, 5], ["tuned", "non-unique"]), ("5", ["tuned", "'array'"])],
)
def test_what_cannot_be_tuned_is_refused(project, values, mentions):
    tuned = {"beam": {"kind": "beam", "beam": {"tuned": values}}}
    refused(project, "config/systems.yaml", lambda s: s["decodings"].update(tuned), "decodings.beam.beam", *mentions)


def test_another_mapping_as_an_option_is_refused(project):
    wrong = {"beam": {"kind": "beam", "beam": {"best": [1, 2]}}}
    mentions = ["decodings.beam.beam", "allowed keys: tuned"]
    refused(project, "config/systems.yaml", lambda s: s["decodings"].update(wrong), *mentions)


@pytest.mark.parametrize(
    ("system", "decoding", "metric"),
    [
        ("transformer", "beam5", "oracle_bleu"),  # one hypothesis has no oracle
        ("transformer", "beam5", "revealed/bleu/50"),  # it reads what it has written
        ("glat_kd", "sample", "revealed/accuracy/0"),  # what it shows it has drawn
    ],
)
def test_a_decoding_of_which_a_metric_is_not_known_is_refused(project, system, decoding, metric):
    cells = {"a": {"system": system, "decoding": decoding, "metric": metric}}
    with pytest.raises(UserError, match=f"decoding of {system}: unknown name '{decoding}'"):
        edit(project, "config/papers/mple/table1.yaml", lambda t: only(t, cells))
        load(project)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (
            {"system": "glat_kd", "decoding": "argmax", "engine": "ctranslate2"},
            "allowed: natlab, natlab_graphs, onnx, o",
        ),
        (
            {"system": "transformer", "decoding": "beam5", "engine": "onnx"},
            "allowed: natlab, natlab_graphs, ctranslate2, ctranslate2_int8",
        ),
        ({"system": "glat_kd", "decoding": "sample"}, r"takes more than its model \(predictor\)"),
        ({"system": "glat_kd", "decoding": "npd7"}, r"takes more than its model \(reranker\)"),
        ({"system": "glat_kd", "decoding": "argmax_reference_length"}, r"\(reference_length\), and so is not timed"),
        ({"system": "aeqa_raw", "decoding": "argmax_reordered", "engine": "onnx"}, "allowed: natlab, natlab_graphs$"),
        ({"system": "dat_raw", "decoding": "dag_samples_stepwise", "engine": "onnx"}, "allowed: natlab$"),
        ({"system": "glat_kd", "decoding": "aeqa_shown_00"}, "unknown name 'aeqa_shown_00'"),
        ({"system": "dat_raw", "decoding": "dag_shown_tuned"}, "unknown name 'dag_shown_tuned'"),
        ({"system": "aeqa_raw", "decoding": "dag_shown_00"}, "unknown name 'dag_shown_00'"),
        (
            {"system": "aeqa_dat3_raw", "decoding": "dag_shown_00", "engine": "ctranslate2"},
            "allowed: natlab, natlab_graphs, onnx, onnx_",
        ),
        ({"system": "glat_kd", "decoding": "argmax", "metric": "bleu_tok", "engine": "onnx"}, "drop engine"),
        ({"system": "glat_kd", "decoding": "argmax", "split": "valid"}, "speeds are of test; drop split"),
        ({"system": "glat_kd", "decoding": "npd_noise7", "engine": "onnx"}, "allowed: natlab$"),
        ({"system": "glat_kd", "decoding": "npd_noise7", "engine": "natlab_graphs"}, "allowed: natlab$"),
    ],
)
def test_an_engine_that_cannot_decode_so_is_refused(project, cell, message):
    cells = {"a": {"metric": "speed/mean/1", **cell}}
    edit(project, "config/papers/natlab/speed.yaml", lambda t: only(t, cells))
    run = {
        "run": "r",
        "scale": "demo",
        "seeds": [1],
        "tables": ["natlab/speed"],
        "corpora": {"wmt14_ende": "grammar_ende"},
    }
    with pytest.raises(UserError, match=message) as caught:
        config.load(run, "r.yaml", project)
    assert "\n" not in str(caught.value)


def test_ctranslate2_distils_on_a_cpu(project):
    scale = "config/scales/demo.yaml"
    edit(project, scale, lambda s: s["distil"].update(engine="ctranslate2"))
    assert load(project).scale["distil"]["engine"] == "ctranslate2"
    refused(project, scale, lambda s: s.update(gpus=1), "distil.engine: ctranslate2 is for a CPU")


def test_ctranslate2_translates_on_a_cpu(project):
    scale = "config/scales/demo.yaml"
    edit(project, scale, lambda s: s.update(translate={"engine": "natlab"}, gpus=1))
    load(project)
    refused(project, scale, lambda s: s["translate"].update(engine="onnx"), "translate.engine", "natlab", "ctranslate2")
    refused(
        project, scale, lambda s: s["translate"].update(engine="ctranslate2"), "translate.engine: ctranslate2 is for a"
    )
