"""What a multilingual encoder's row may say, and what starts from one."""

from dataclasses import replace

import pytest
from tests.config.project import REPOSITORY, edit, load, only

from natlab.config import checks, rows
from natlab.errors import UserError

MULTILINGUAL = {"architecture": "multilingual", "target": "raw"}
CODES = {"name": "multilingual", "codebook": {"name": "moving", "size": 64}}
CODED = {"name": "nat", "fill": "codes", "codebook": {"name": "moving", "size": 64}}
WIDE = {"name": "moving", "size": 64, "dim": 64}
NAT = {"architecture": CODED, "target": "raw", "input": "codes", "stage": "student"}


@pytest.fixture(scope="module")
def shipped():
    return load(REPOSITORY)


def with_rows(run, **systems):
    """The run with these rows beside those that others rest on."""
    kept = {name: run.systems[name] for name in (*run.offering("autoregressive"), "vanilla_raw", "vanilla_kd")}
    return replace(run, systems=kept | systems)


def refusal(run):
    """The one line with which the rows of a run are refused."""
    with pytest.raises(UserError) as caught:
        checks.check_systems(run)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix("config/systems.yaml: systems.")


def test_both_stages_and_a_nat_that_takes_their_codes_hold(shipped):
    stages = {
        "multilingual": MULTILINGUAL,
        "prealigned": {"architecture": CODES, "target": "raw", "start": "multilingual", "terms": ["commitment"]},
        "nat": NAT | {"start": {"name": "prealigned", "encoder": True}},
    }
    run = with_rows(shipped, **stages)
    checks.check_systems(run)
    assert run.rests_on("nat") == ["multilingual", "prealigned"]
    spec = run.spec("grammar_ende", "prealigned", 1)
    assert spec["architecture"]["codebook"]["name"] == "moving" and not {"input", "predictor"} & set(spec)
    assert spec["objective"] == {"name": "denoising"} and spec["terms"] == [{"name": "commitment"}]
    assert rows.stage(stages["multilingual"]) == "student" and "languages" not in spec
    pretrained = {"architecture": CODES | {"encoder": "mbart"}, "target": "raw"}
    spec = with_rows(shipped, pretrained=pretrained).spec("grammar_ende", "pretrained", 1)
    assert spec["languages"] == ["en", "de"] and spec["architecture"]["encoder"] == {"name": "mbart"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"input": "vanilla"},
            "made.input: a multilingual encodes sentences and writes none; remove the key (allowed with ",
        ),
        (
            {"predictor": "vanilla_raw"},
            "made.predictor: a multilingual encodes sentences and writes none; remove the key",
        ),
        (
            {"architecture": CODES | {"fill": "mask"}},
            "made.architecture: unknown name 'fill'; allowed: codebook, encoder",
        ),
        (
            {"architecture": CODES | {"encoder": "bert"}},
            "made.architecture.encoder: unknown name 'bert'; allowed: mbart",
        ),
        (
            {"architecture": CODES | {"encoder": {"name": "mbart", "tuned": 1}}},
            "made.architecture.encoder.tuned: 1 is not allowed; allowed: true or false",
        ),
        ({"objective": "ctc"}, "made.objective: objective ctc needs a canvas of another length than the target's"),
        ({"target": "dynamic"}, "made.target: target dynamic needs a decoder that predicts all tokens at once"),
        (
            {"terms": ["commitment"]},
            "made.terms: term commitment needs codes to say the source in, which this system has not",
        ),
        (
            {"terms": ["state_codes"], "architecture": CODES},
            "made.terms: term state_codes needs a decoder that predicts",
        ),
        ({"terms": ["length"]}, "made.terms: term length needs a canvas as long as the target"),
        ({"start": "vanilla_raw"}, "made.start: unknown name 'vanilla_raw'; allowed: "),
    ],
)
def test_what_a_multilingual_system_has_not_is_refused_in_one_line(shipped, changes, message):
    found = refusal(with_rows(shipped, made=MULTILINGUAL | changes))
    assert found.startswith(message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage": None}, "made: key stage is missing: most of it starts afresh; say its stage"),
        (
            {"architecture": CODED | {"codebook": {"name": "moving", "size": 32}}},
            "made.start: 'prealigned' has 64 codes of 64 dimensions, made 32 of 64; give both",
        ),
        (
            {"architecture": CODED | {"codebook": {"name": "moving", "size": 64, "dim": 8}}},
            "made.start: 'prealigned' has 64 codes of 64 dimensions, made 64 of 8",
        ),
        (
            {"architecture": "nat", "input": "vanilla"},
            "made.start: made has no codebook, which is what made takes of prealigned; add",
        ),
        (
            {"start": "multilingual"},
            "made.start: multilingual has no codebook, which is what made takes of multilingual",
        ),
        (
            {
                "start": {"name": "prealigned", "encoder": True},
                "size": "mini",
                "architecture": CODED | {"codebook": WIDE},
            },
            "made.start.encoder: 'prealigned' has size micro, made size mini; drop encoder, or change one",
        ),
        ({"input": {"name": "codes", "frozen": True}}, "made.input: input codes needs a model of its own architecture"),
        (
            {"start": {"name": "vanilla_raw", "encoder": True}},
            "made.start.encoder: vanilla_raw is of its own architecture: it takes all; drop the key",
        ),
    ],
)
def test_what_a_nat_cannot_take_of_an_encoder_is_refused_in_one_line(shipped, changes, message):
    stages = {"multilingual": MULTILINGUAL, "prealigned": MULTILINGUAL | {"architecture": CODES}}
    row = {key: value for key, value in (NAT | {"start": "prealigned"} | changes).items() if value is not None}
    assert refusal(with_rows(shipped, **stages, made=row)).startswith(message)


def test_cells_ask_of_an_encoder_what_it_has(project):
    """Retrieval, the perplexity of its codes and its losses; no translations, and so no BLEU and no speed."""
    edit(project, "config/systems.yaml", lambda s: s["systems"].update(multilingual=MULTILINGUAL))
    asked = {"a": {"system": "multilingual", "metric": "retrieval"}, "b": {"system": "multilingual", "metric": "kl"}}
    edit(
        project,
        "config/config.yaml",
        lambda r: (r.pop("systems", None), r.update(tables=["mple/table2"], figures=[], claims=[])),
    )
    edit(project, "config/papers/mple/table2.yaml", lambda t: only(t, asked))
    run = load(project)
    assert {model.system for model in run.models} == {"multilingual"} and not run.decodings_of(
        "grammar_ende", "multilingual"
    )
    assert not run.knows_truth("grammar_ende", "multilingual") and not run.measures_distortion(
        "grammar_ende", "multilingual"
    )
    spoil = asked | {"c": {"system": "multilingual", "metric": "bleu_tok", "decoding": "argmax"}}
    edit(project, "config/papers/mple/table2.yaml", lambda t: only(t, spoil))
    with pytest.raises(
        UserError, match="bleu_tok is of translations, and multilingual encodes sentences and writes none"
    ):
        load(project)
