"""What a run resolves to: models, decodings, measurements and datasets."""

from tests.config.project import NPD, edit, load, only, row

from natlab import config


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
        del run.trained  # of what the file asks for
        assert rest(run, system) == expected


def test_decodings_carry_the_datasets_lengths(project):
    edit(project, "config/datasets/grammar_ende.yaml", lambda d: d.update(length_penalty=0.6, length_factor=1.05))
    run = load(project)
    assert run.decoding("grammar_ende", "beam5", "transformer") == {"kind": "beam", "beam": 5, "length_penalty": 0.6}
    lpd = {"kind": "argmax", "length_candidates": 3, "length_factor": 1.05, "deduplicate": True, "reranker": None}
    lpd |= {"reference_length": False, "shown": None, "reorder": None}
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
    assert run.auxiliary("grammar_ende", "glat_kd_tiny") == ["transformer_small", "vanilla_kd_tiny"]
    trained = {model.system for model in run.trained}
    assert trained == {"glat_kd_tiny", "transformer_tiny", "transformer_small", "vanilla_kd_tiny"}
    assert run.measures_distortion("grammar_ende", "glat_kd_tiny")
    assert not run.measures_distortion("grammar_ende", "transformer_tiny")
    assert not run.measures_distortion("multi30k_ende", "glat_kd_tiny")


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


def test_the_truth_is_asked_for_where_it_is_known(project):
    def ask(table):
        table["rows"][0]["cells"] = {table["columns"][0]["key"]: {"metric": "kl", "system": "vanilla_raw"}}

    edit(project, "config/papers/mple/table1.yaml", ask)
    edit(project, "config/config.yaml", lambda r: r.update(tables=["mple/table1"]))
    run = load(project)
    asked = {
        (dataset, system)
        for dataset in run.datasets
        for system in ("transformer", "vanilla_raw")
        if run.knows_truth(dataset, system)
    }
    assert asked == {("grammar_ende", "vanilla_raw")}
    assert not run.knows_truth("multi30k_ende", "vanilla_raw")


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


def test_a_scales_engine_translates_what_it_can(project):
    def engines():
        run = load(project)
        return [run.engine("grammar_ende", system) for system in ("transformer", "vanilla_raw")]

    assert engines() == ["natlab", "natlab"]
    edit(project, "config/scales/demo.yaml", lambda s: s.update(translate={"engine": "ctranslate2"}))
    assert engines() == ["ctranslate2", "natlab"]


def test_cuda_graphs_are_timed_where_there_is_a_gpu(project):
    cell = {"metric": "speed/mean/1", "system": "glat_raw", "decoding": "argmax", "engine": "natlab_graphs"}
    own = {**cell, "engine": "natlab"}
    edit(project, "config/papers/natlab/speed.yaml", lambda t: only(t, {"a": cell, "b": own}))
    edit(project, "config/config.yaml", lambda r: r.update(tables=["natlab/speed"], claims=[], figures=[]))

    def engines():
        return [way["engine"] for way in load(project).ways("grammar_ende")]

    assert engines() == ["natlab"]
    edit(project, "config/scales/demo.yaml", lambda s: s.update(gpus=1))
    assert engines() == ["natlab", "natlab_graphs"]


def test_the_surface_of_a_figure(project):
    edit(project, "config/config.yaml", lambda r: r.update(figures=["mple/figure1", "mple/figure8"]))
    run = load(project)
    assert run.surface("mple/figure1") == ("grammar_ende", ["vanilla_raw", "vanilla_raw_mle", "vanilla_raw_glat_kd"])
    assert run.surface("mple/figure8") is None
    assert run.splits_of("grammar_ende", "vanilla_raw_mle") == ["valid"]


def test_a_scale_says_how_many_codes_stand_for_a_systems(project):
    def size(system):
        return load(project).spec("grammar_ende", system, 1)["architecture"]["codebook"]["size"]

    edit(project, "config/scales/demo.yaml", lambda s: s.update(codes={"512": 8, "2048": 32}))
    # by its name, by its default, and what stands for nothing else
    assert [size(system) for system in ("aeqa_k512_raw", "aeqa_raw", "aeqa_k1_raw")] == [8, 32, 1]
    edit(project, "config/scales/demo.yaml", lambda s: s.pop("codes"))
    assert [size(system) for system in ("aeqa_k512_raw", "aeqa_raw", "aeqa_k1_raw")] == [512, 2048, 1]
    assert "codebook" not in load(project).spec("grammar_ende", "vanilla_raw", 1)["architecture"]


def test_deep_supervision_stands_in_the_specification_of_a_system_that_has_it(project):
    made = load(project).spec("grammar_ende", "aeqa_dslp_raw", 1)["architecture"]
    assert made["deep_supervision"] is True
    assert "deep_supervision" not in load(project).spec("grammar_ende", "aeqa_raw", 1)["architecture"]
