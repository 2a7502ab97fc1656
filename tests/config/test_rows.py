"""What rows and scales say: how a system is trained, of which size, from what."""

import pytest
from tests.config.project import REPOSITORY, edit, load, row


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


def test_spec_of_teacher_and_student():
    run = load(REPOSITORY)
    teacher, student = run.spec("grammar_ende", "transformer", 1), run.spec("grammar_ende", "glat_kd", 2)
    assert not {"input", "objective", "terms"} & set(teacher) and teacher["architecture"] == {"name": "transformer"}
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
    masks = {"name": "nat", "fill": "mask"}
    edit(
        project,
        "config/systems.yaml",
        row("glat_raw", size="base", training={"lr": 0.1}, input={"name": "glat", "start": 0.7}, architecture=masks),
    )
    run = load(project)
    spec, other = run.spec("grammar_ende", "glat_raw", 1), run.spec("grammar_ende", "vanilla_kd", 1)
    assert spec["training"]["lr"] == 0.1 and other["training"]["lr"] != 0.1
    assert spec["size"]["d_model"] == 512 and other["size"]["d_model"] != 512
    assert spec["input"] == {"name": "glat", "start": 0.7}
    assert [made["architecture"]["fill"] for made in (spec, other)] == [{"name": "mask"}, {"name": "copy"}]


def test_a_system_that_starts_from_another_is_trained_as_the_scale_finetunes(project):
    edit(project, "config/scales/demo.yaml", lambda s: s["finetune"].update(updates=70))
    run = load(project)
    tuned, student = run.spec("grammar_ende", "vanilla_oaxe10k", 1), run.spec("grammar_ende", "vanilla_kd", 1)
    assert tuned["start"] == "vanilla_kd_10k" and "start" not in student
    finetune = run.scale["finetune"]
    assert tuned["training"] == {**student["training"], **finetune} and finetune["updates"] == 70


def test_at_papers_scale_a_cmlm_is_as_released_and_what_starts_from_a_model_has_its_size():
    run = load(REPOSITORY, "config/runs/oaxe_paper.yaml")
    released = {"learned_positions": 1024, "activation": "gelu", "scale_embeddings": False}
    sizes = {system: run.spec("wmt14_ende", system, 1)["size"] for system in run.systems}
    base = sizes["vanilla_kd"]
    assert not set(released) & set(base)
    assert sizes["xe_cmlm_raw"] == sizes["axe_cmlm_kd"] == sizes["oaxe_cmlm_kd_100k"] == {**base, **released}
    assert sizes["oaxe_vanilla_kd"] == sizes["vanilla_oaxe10k"] == sizes["transformer_kd"] == base
    small = load(REPOSITORY, "config/runs/oaxe_grammar.yaml")
    of = [small.spec("grammar_ende", system, 1)["size"] for system in ("vanilla_kd", "xe_cmlm_kd", "oaxe_cmlm_kd")]
    assert of[0] == of[1] == of[2]


def test_a_row_names_the_stage_of_its_scale_that_it_is_trained_in(project):
    contrast = {"updates": 140, "lr": 0.0001}
    edit(project, "config/scales/demo.yaml", lambda s: s["stages"].update(contrast=contrast))
    edit(project, "config/scales/demo.yaml", lambda s: s["finetune"].update(dropout=0.4))
    edit(project, "config/systems.yaml", row("vanilla_oaxe10k", stage="contrast"))  # which has a start
    edit(project, "config/systems.yaml", row("vanilla_kd_10k", stage="finetune", training={}))
    edit(project, "config/systems.yaml", row("vanilla_kd_400k", stage="student"))
    edit(project, "config/systems.yaml", row("transformer_tiny", stage="contrast"))
    run = load(project)
    teacher, student = ({**run.scale[role]} for role in ("teacher", "student"))
    assert run.training("vanilla_oaxe10k") == student | contrast
    assert run.training("vanilla_kd_10k") == student | run.scale["finetune"]
    assert run.training("vanilla_kd_400k") == student
    assert run.training("transformer_tiny") == teacher | contrast
    assert run.training("transformer") == teacher and run.training("vanilla_kd") == student


def test_a_dataset_says_by_what_checkpoints_are_chosen(project):
    assert "select_by" not in load(project).spec("grammar_ende", "vanilla_kd", 1)
    says = {"scores": ["bleu", "bleu_tok", "chrf", "rouge"], "select_by": "rouge_2"}
    edit(project, "config/datasets/grammar_ende.yaml", lambda dataset: dataset.update(says))
    run = load(project)
    assert run.spec("grammar_ende", "transformer", 1)["select_by"] == {
        "name": "rouge", "options": {}, "value": "rouge_2", "language": "de"
    }  # fmt: skip
    assert "select_by" not in run.spec("grammar_ende_mild", "vanilla_kd", 1)


def test_a_further_stage_can_differ_on_a_dataset(project):
    edit(project, "config/systems.yaml", row("vanilla_oaxe10k", stage="contrast", training={"clip_norm": 2}))
    own = {"student": {"updates": 11, "warmup": 7}, "contrast": {"updates": 12, "lr": 0.5, "clip_norm": 1}}
    edit(
        project,
        "config/scales/demo.yaml",
        lambda s: (s["stages"].update(contrast={"updates": 140}), s.update(datasets={"grammar_ende_mild": own})),
    )
    run = load(project)
    elsewhere = run.training("vanilla_oaxe10k", "grammar_ende")
    assert elsewhere == {**run.scale["student"], "updates": 140, "clip_norm": 2}
    assert run.training("vanilla_oaxe10k", "grammar_ende_mild") == {**elsewhere, "updates": 12, "warmup": 7, "lr": 0.5}


def test_a_number_takes_the_place_of_a_share_that_was_said_before_it(project):
    """The student's shares are not those of a stage that says how many; a share that is said later is one of that."""
    edit(project, "config/scales/demo.yaml", lambda s: s["student"].update(updates=1000, share=0.5, warmup_share=0.2))
    edit(project, "config/scales/demo.yaml", lambda s: s["finetune"].update(updates=300, warmup=0))
    edit(project, "config/scales/demo.yaml", lambda s: s["stages"].update(contrast={"updates": 80}))
    edit(project, "config/systems.yaml", row("vanilla_raw_mle", training={"warmup_share": 0.1}))
    edit(project, "config/systems.yaml", row("vanilla_raw_glat_kd", stage="contrast", training={}))
    run = load(project)
    named = ("vanilla_kd", "vanilla_oaxe300k", "vanilla_raw_mle", "vanilla_raw_glat_kd")
    found = [(training["updates"], training["warmup"]) for training in map(run.training, named)]
    assert found == [(500, 100), (300, 0), (300, 30), (80, 16)]
    assert not any({"share", "warmup_share"} & set(run.training(name)) for name in named)


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


def test_a_scale_says_which_sizes_stand_for_the_papers(project):
    edit(project, "config/scales/demo.yaml", lambda s: s.update(sizes={"big": "small"}))
    run = load(project)
    assert run.spec("grammar_ende", "transformer_big", 1)["size"]["d_model"] == run.sizes["small"]["d_model"]
    assert run.spec("grammar_ende", "transformer_tiny", 1)["size"]["d_model"] == run.sizes["tiny"]["d_model"]
