"""The head of a page: what was run, what became of the claims, and where the time went."""

import re
from pathlib import Path

import pytest
from tests.report.whole import HOSTILE, PAPER, RUN

from natlab.jobs import Spent
from natlab.papers.labels import UNLABELLED
from natlab.report.filled import Entry, Table
from natlab.report.page import summary


def of_page(whole):
    page = (whole.report / "index.html").read_text("utf-8")
    return page.partition('<section id="summary">')[2].partition("</section>")[0]


def plain(html):
    return " ".join(re.sub("<[^>]*>", " ", html).split())


def facts(html):
    found = re.findall('<tr><th scope="row">([A-Za-z]+)</th><td>(.*?)</td></tr>', html.partition('class="facts"')[2])
    return dict(found)


def test_what_was_run_and_at_what_scale(whole):
    assert facts(of_page(whole)) == {
        "Data": "ds (generated, 12,000 pairs); stands for wmt14_ende; own",
        "Models": "8, 64 dimensions, 2 encoder + 2 decoder layers, trained for 500 updates",
        "Scale": "demo",
        "Seeds": "1, 2",
        "Device": "Some CPU",
        "Time": "5 h 0 min on the clock, 10.0 core-hours",
        "Commit": "c0ffee0123456789 with uncommitted changes",
    }
    text = plain(of_page(whole))
    assert text.startswith(
        "small Published results of non-autoregressive text generation, measured again on ds, own, in place of the "
        "papers' corpora, with 2 seeds, by models of 64 dimensions, 2 encoder + 2 decoder layers, trained for 500 "
        "updates: MPLE : learning from proxies"
    )
    assert "MPLE : learning from proxies (Somebody 2022): Table 1, Figures 5, 1 natlab: of our own: Table 2" in text


def test_each_claim_has_its_verdicts_and_leads_to_its_evidence(whole):
    html = of_page(whole)
    verdicts = '<span class="verdict {}">{}</span>'.format
    lines = re.findall(r'<tr><th scope="row"><a href="#mple\.claims\.(\w)">(.*?)</a></th><td>(.*)</td></tr>', html)
    assert [(anchor, re.findall('class="verdict (.*?)">(.*?)<', badges)) for anchor, _, badges in lines] == [
        ("a", [("holds", "holds 1"), ("unmeasured", "not measured 1")]),
        ("b", [("undecided", "undecided 1"), ("refuted", "refuted 2")]),
        ("c", [("unmeasured", "not measured 1")]),
    ]
    # what this run does not measure is folded away
    folded = html.partition("<details><summary>1 claim that this run does not measure</summary>")[2]
    assert re.findall(r'href="#([\w.]+)"', folded.partition("</details>")[0]) == ["mple.claims.c"]
    assert "&lt;script&gt;alert(1)" in lines[0][1]
    for badge in (verdicts("holds", "holds 1"), verdicts("refuted", "refuted 2")):
        assert badge in html.partition("What became of the claims")[2].partition("<table")[0]


def test_how_much_of_each_table_was_measured(whole):
    """Of cells that could be: quoted rows and columns that say what a row is are not counted."""
    html = of_page(whole).partition("What was measured")[2]
    found = re.findall(
        r'<a href="#([\w.]+)">.*?</a>(<span class="tag">nothing published</span>)?.*?<td>(.*?)</td>', html
    )
    assert [(anchor, bool(ours), said) for anchor, ours, said in found] == [
        ("mple.table1", False, "9 of 18 cells"), ("natlab.table2", True, "2 of 2 cells"),
        ("mple.figure5", False, "5 of 6 cells"), ("mple.figure1", False, "0 of 3 cells"),
    ]  # fmt: skip


def test_the_stages_have_their_jobs_and_core_hours_along_the_street(whole):
    html = of_page(whole).partition('<ul class="stages"')[2].partition("</ul>")[0]
    assert [plain(line) for line in re.findall("<li>(.*?)</li>", html)] == [
        "Corpora 1 job 2.00 core-hours", "Teachers 1 job 2.00 core-hours", "Students 3 jobs 6.00 core-hours",
    ]  # fmt: skip


def spent(rule, started, ended, **more):
    return Spent(rule, more.pop("wildcards", {}), 3600 * started, 3600 * ended, **{"threads": 1, "gpus": 0} | more)


@pytest.mark.parametrize(
    ("hours", "total"),
    [
        ([], 0),
        ([(0, 1)], 1),
        ([(0, 1), (0, 1)], 1),
        ([(0, 2), (1, 3)], 3),
        ([(0, 5), (1, 2)], 5),
        ([(0, 1), (9, 11)], 3),
    ],
)
def test_on_the_clock_jobs_that_run_at_once_count_once(hours, total):
    for order in (hours, hours[::-1]):
        assert summary.wall(spent("train", *of) for of in order) == pytest.approx(total)


def test_every_rule_of_the_workflow_has_its_stage():
    rules = Path(__file__).resolve().parents[3] / "workflow/rules"
    named = {
        name
        for path in rules.glob("*.smk")
        for name in re.findall(r"^ *(?:rule|checkpoint) (\w+):", path.read_text("utf-8"), re.M)
    }
    staged = [rule for rules in summary.STAGES.values() for rule in rules]
    assert named - {"train"} <= set(staged) and len(staged) == len(set(staged))


def test_models_of_several_sizes_and_lengths():
    size = {"d_model": 64, "encoder_layers": 2, "decoder_layers": 3}
    sizes = [size, size, size | {"d_model": 512}]
    models = [
        {"spec": {"size": of, "training": {"updates": updates}}}
        for of, updates in zip(sizes, (500, 1500, 500), strict=True)
    ]
    assert summary.scale({"models": models}) == (
        "64 dimensions, 2 encoder + 3 decoder layers (most), trained for 500 to 1,500 updates"
    )
    assert summary.scale({"models": []}) == summary.scale({}) == ""


def test_datasets_of_each_kind():
    run = RUN | {"corpora": {"one": "made", "two": "made", "real": "real", "three": "noisy", "new": "new"}}
    datasets = {
        "made": {"source": {"kind": "grammar", "pairs": 1200}},
        "real": {"source": {"kind": "files"}},
        "noisy": {"source": {"kind": "noise"}},
    }
    assert summary.data(run, {"configuration": {"datasets": datasets}}) == [
        "made (generated, 1,200 pairs); stands for one, two", "real (real text)", "noisy (generated); stands for three",
        "new",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tables", "shown"),
    [
        (["Table 1"], "Table 1"),
        (["Table 1", "Figure 5", "Table 2"], "Tables 1, 2, Figure 5"),
        (["headline", "Table 3", "speed, quality"], "headline, speed, quality, Table 3"),
        ([], ""),
    ],
)
def test_tables_in_a_row(tables, shown):
    assert summary.listed(tables) == shown


def test_a_run_without_claims_record_or_provenance_says_what_it_can(whole):
    of = whole.asked()
    table = Table(of.tables["natlab/table2"], RUN, {(0, "exact"): Entry(measured=1.25), (0, "says"): Entry()})
    bare = type(of)({**RUN, "seeds": [1]}, {"natlab/table2": of.tables["natlab/table2"]}, {}, {}, {}, UNLABELLED)
    html = summary.section(bare, {"natlab/table2": table}, {}, {"models": []}, [], False)
    assert facts(html) == {"Data": "ds; stands for wmt14_ende; own", "Scale": "demo", "Seeds": "1"}
    assert (
        "measured again on ds, own, in place of the papers' corpora, with one seed:" in plain(html)
        and "1 of 2 cells" in html
    )
    assert "claims" not in html and "stages" not in html


def test_time_on_gpus_is_said_where_there_is_any(whole):
    jobs = [spent("train", 0, 0.5, gpus=2, threads=4), spent("binarise", 0, 0.25)]
    html = summary.section(whole.asked(), {}, {"mple/claims": []}, {}, jobs, False)
    assert facts(html)["Time"] == "30 min on the clock, 2.2 core-hours, 1.0 GPU-hours"


def test_papers_that_only_claims_are_about_are_named(whole):
    of = whole.asked()
    assert summary.papers(of) == {PAPER: ["Table 1", "Figure 5", "Figure 1"], "natlab: of our own": ["Table 2"]}
    assert summary.papers(type(of)(RUN, {}, {}, of.claims, of.behind, UNLABELLED)) == {PAPER: []}


def test_texts_from_outside_make_no_tags(whole):
    html = of_page(whole)
    assert "<script" not in html and '"double"' not in html and plain(html).count("alert(1)") >= 2
    assert HOSTILE not in html


def test_a_page_leads_to_what_is_said_of_the_run_in_words_where_that_is(whole):
    link = '<a href="README.md">What it shows, in words</a>'
    pages = [summary.section(whole.asked(), {}, {"mple/claims": []}, {}, [], described) for described in (True, False)]
    assert [link in page for page in pages] == [True, False]


def test_generated_sentences_are_said_to_stand_for_the_papers(whole):
    kinds = {dataset: {"source": {"kind": "grammar"}} for dataset in ("ds", "own")}
    found = summary.section(whole.asked(), {}, {"mple/claims": []}, {"configuration": {"datasets": kinds}}, [], False)
    assert "on sentences that a grammar of this project generates, in place of the papers' corpora," in found
