"""What people read: links lead somewhere, what is named is there, and what is said of runs is what runs say."""

import csv
import functools
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml

from natlab import config

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDERS = ("benchmarks", "config", "docs", "profiles", "reports", "src", "tests", "workflow")
PAGES = [*REPOSITORY.glob("*.md"), REPOSITORY / "results/README.md"]
PAGES = sorted([*PAGES, *(page for folder in FOLDERS for page in (REPOSITORY / folder).rglob("*.md"))])
WRITTEN = [page for page in PAGES if page.parent.name not in ("tables", "figures", "claims")]  # by people
EXAMPLES = {"config/datasets/multi30k_deen.yaml"}  # which docs/adding.md adds
FENCED = re.compile(r"^```.*?^```", re.M | re.S)
CODE = re.compile(r"^ {4}.*$|`[^`]+`", re.M)  # a line, or a piece of one
LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$", re.M)
RUNS = {run["run"]: run for file in REPOSITORY.glob("config/runs/*.yaml") if (run := yaml.safe_load(file.read_text()))}
RUNS["demo"] = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())


def name(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def read(page: str) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


@functools.cache
def prose(page: Path) -> str:
    """The page without code, in which brackets are no links and a # is no heading."""
    return CODE.sub("", FENCED.sub("", page.read_text(encoding="utf-8")))


@functools.cache
def anchors(page: Path) -> set[str]:
    """Those of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#{1,6} (.+)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.M)
    slugs = [re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", head)).lower().replace(" ", "-") for head in headings]
    return {slug if not (before := slugs[:n].count(slug)) else f"{slug}-{before}" for n, slug in enumerate(slugs)}


def astray(page: Path) -> list[str]:
    """The links of a page that lead to no file, folder or heading of the repository."""
    found = []
    for link in ("".join(groups) for groups in LINK.findall(prose(page))):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if link.startswith(("https://", "http://")):
            continue
        if not target.exists() or not target.is_relative_to(REPOSITORY) or anchor and anchor not in anchors(target):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_headings_of_the_repository(page):
    assert astray(page) == []


def test_a_link_astray_is_found(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "REPOSITORY", tmp_path)
    (tmp_path / "there.md").write_text("# What `a_b` is, and why\n\n```\n# no heading\n```\n## Twice\n## Twice\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](there.md#what-a_b-is-and-why) [c](there.md#twice-1) [d](#here) [e][f] `[no](link)`\n\n"
        "    [no](link)\n\n![g](none.png) [h](there.md#no-heading) [i](../page.md) [j](https://example.org/none)\n\n"
        "# Here\n\n[f]: nowhere.md\n"
    )
    assert astray(page) == ["none.png", "there.md#no-heading", "../page.md", "nowhere.md"]


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_files_that_pages_name_are_there(page):
    named = re.findall(
        r"`((?:config|src|workflow|profiles|tests|docs|benchmarks)/[\w./-]*\w)`", page.read_text("utf-8")
    )
    assert [file for file in named if not (REPOSITORY / file).exists() and file not in EXAMPLES] == []


def test_the_readme_is_a_screen_and_a_half_with_the_two_commands():
    text = read("README.md")
    assert len(text.splitlines()) <= 90
    assert re.findall(r"^    make (\w+) +#", text, re.M) == ["demo", "test"]


def test_the_pages_are_listed_once_each():
    listed = re.findall(r"^\| \[([\w.]+)\]\(\1\) \|", read("docs/README.md"), re.M)
    assert sorted(listed) == sorted(page.name for page in REPOSITORY.glob("docs/*.md") if page.name != "README.md")


def test_the_dataset_that_is_added_is_valid_as_it_stands(tmp_path):
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    shutil.copytree(REPOSITORY / "workflow" / "schemas", tmp_path / "workflow" / "schemas")
    [example] = re.findall(r"```yaml\n(.*?)```", read("docs/adding.md"), re.DOTALL)
    (tmp_path / "config/datasets/multi30k_deen.yaml").write_text(example, encoding="utf-8")
    overrides = {"run": "multi30k_deen", "corpora": {"wmt14_ende": "multi30k_deen"}, "tables": ["mple/table2"]}
    run = config.from_snakemake(overrides, [], root=tmp_path)
    assert run.datasets["multi30k_deen"]["languages"] == {"src": "de", "tgt": "en"}
    assert {model.dataset for model in run.models} == {"multi30k_deen"}


def test_the_run_that_is_explained_is_the_one_there_is():
    [example] = re.findall(r"(?:^    .*\n)+", read("docs/configuring.md").partition("`config/runs/")[2], re.M)[:1]
    assert yaml.safe_load(example) == RUNS["multi30k_tiny"]


def rows_of_runs() -> dict[str, list[str]]:
    """{<paper>/<table>: its cells} of docs/papers.md."""
    rows = re.findall(r"^\| \[(.+?)\]\(\.\./config/papers/(\w+/\w+)\.yaml\) \|(.*)\|$", read("docs/papers.md"), re.M)
    return {key: [label, *re.split(r"(?<!\\)\|", cells)] for label, key, cells in rows}


def test_every_table_and_figure_of_the_papers_is_named_with_the_runs_that_make_it():
    rows = rows_of_runs()
    specs = {f"{file.parent.name}/{file.stem}": file for file in REPOSITORY.glob("config/papers/*/*.yaml")}
    assert sorted(rows) == sorted(specs)
    for key, (label, _, *columns) in rows.items():
        assert label == yaml.safe_load(specs[key].read_text()).get("table", "Claims"), key
        makes = [
            of for of, run in RUNS.items() if key in sum((run.get(k, []) for k in ("tables", "figures", "claims")), [])
        ]
        stands = [set(re.findall(r"[\[`](\w+)[\]`]", cells)) for cells in columns]
        generated = {of for of in makes if all(data.startswith("grammar_") for data in RUNS[of]["corpora"].values())}
        paper = {of for of in makes if RUNS[of]["scale"] == "paper"}
        assert stands == [generated, set(makes) - generated - paper, paper], f"docs/papers.md: {key}"


def test_runs_that_have_been_run_are_linked():
    cells = "".join(cell for _, _, *columns in rows_of_runs().values() for cell in columns)
    linked, others = set(re.findall(r"\[(\w+)\]", cells)), set(re.findall(r"`(\w+)`", cells))
    assert linked == set(re.findall(r"^\[(\w+)\]: \.\./reports/\1/README\.md$", read("docs/papers.md"), re.M))
    assert {of for of in linked | others if (REPOSITORY / f"reports/{of}/README.md").exists()} == linked


def test_the_readmes_verdicts_are_those_of_the_reports():
    rows = re.findall(r"\[(\w+)\]\(reports/\1/README\.md\) \| ([\d /]+) \|$", read("README.md"), re.M)
    assert len(rows) == 6  # the five papers and the families
    for run, counts in rows:
        [file] = (REPOSITORY / f"reports/{run}/claims").glob("*.csv")
        with open(file, encoding="utf-8", newline="") as lines:
            found = Counter(row["verdict"] for row in csv.DictReader(lines))
        said = [int(count) for count in counts.split("/")]
        assert said == [found[verdict] for verdict in ("holds", "refuted", "undecided", "not measured")], run


def test_what_lies_in_results_is_what_rules_make():
    written = {
        file
        for rule in REPOSITORY.glob("workflow/rules/*.smk")
        for file in re.findall(r"results/(\w+)", rule.read_text())
    }
    said = set(re.findall(r"^\| `(\w+)", read("results/README.md"), re.M))
    assert written <= said
    assert said - written == {"bundles", "runs", "mutants"}  # natlab export, the run's record, make mutants


def test_git_keeps_of_results_only_what_says_what_lies_where(tmp_path):
    shutil.copy(REPOSITORY / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    for file in ("README.md", "models/a/README.md", "README.txt"):
        (tmp_path / "results" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "results" / file).write_text("")
    status = subprocess.run(
        ["git", "status", "--porcelain", "-uall", "results"], cwd=tmp_path, text=True, capture_output=True
    )
    assert status.stdout.split() == ["??", "results/README.md"]
