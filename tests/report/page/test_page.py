"""A run's page: well formed, by itself, of what lies beside it; and the verb that writes it."""

import argparse
import csv
import json
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from tests.report.whole import HOSTILE, RUN, SENTENCE

from natlab import cli
from natlab.files import read_json, write_json
from natlab.report import page, record


class Page(HTMLParser):
    """Collects tags with their attributes, texts, and the JSON of its scripts by name; checks that tags close in
    order."""

    VOID = {"meta", "br", "link", "img", "input", "wbr"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text, self.data = [], [], [], {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        tag, attributes = self.open[-1] if self.open else ("", {})
        if tag == "script":
            if "id" in attributes:
                self.data[attributes["id"]] = json.loads(data)
        elif tag != "style":
            self.text.append(data)


@pytest.fixture(scope="module")
def read(whole):
    return Page((whole.report / page.NAME).read_text("utf-8"))


def test_the_page_is_well_formed_and_needs_nothing_else(whole, read):
    assert read.open == []
    names = {tag for tag, _ in read.tags}
    assert not names & {"iframe", "object", "embed", "em"}
    for tag, attributes in read.tags:
        assert not any(name.startswith("on") for name in attributes)
        if tag == "script":
            assert "src" not in attributes
        elif tag in ("link", "img") and (attributes.get("href") or attributes.get("src")):
            assert (attributes.get("href") or attributes["src"]).startswith("data:")
    anchors = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(anchors) == len(set(anchors))
    links = {attributes["href"] for tag, attributes in read.tags if tag == "a"}
    inside = {link.removeprefix("#") for link in links if link.startswith("#")}
    assert {"summary", "mple.claims", "mple.claims.a", "mple.table1", "mple.figure1", "curves", "words"} < inside
    for link in links:
        address = urlsplit(link)
        assert not address.scheme and not address.netloc
        assert address.fragment in anchors if address.fragment else (whole.report / address.path).is_file()
    for kind in ("tables", "figures", "claims"):
        linked = {link.removeprefix(f"{kind}/") for link in links if link.startswith(f"{kind}/")}
        assert linked == {path.name for path in (whole.report / kind).iterdir()}


def test_the_page_shows_what_was_measured_and_published_and_what_was_run(read):
    text = " ".join(" ".join(read.text).split())
    for shown in ("21.15", "± 0.07", "20.90", "10.5", "25.90", "Some CPU", "natlab: small"):
        assert shown in text
    assert "+0.25" not in text  # another corpus than the paper's was measured
    assert "c0ffee0123456789 with uncommitted changes" in text and "alert(1)" in text


def test_text_from_outside_makes_no_tag_and_arrives_as_it_is(read):
    assert not any(name in ("alert", "</table>") for name, _ in read.tags)
    scripts = [attributes for tag, attributes in read.tags if tag == "script"]
    assert [attributes.get("type") for attributes in scripts] == ["application/json"] * 2 + [None]
    assert any(SENTENCE in text for text in read.text)
    assert list(read.data) == ["evidence", "copies"]
    assert HOSTILE in read.data["copies"]["mple.table1"]["md"].replace("\\", "")
    titles = {attributes["title"] for tag, attributes in read.tags if tag == "button" and "title" in attributes}
    assert f"{HOSTILE}, BLEU" in titles


def test_every_value_that_leads_somewhere_has_its_origin(read):
    places = [attributes["data-at"] for _, attributes in read.tags if "data-at" in attributes]
    cells = read.data["evidence"]["cells"]
    assert places and len(places) == len(set(places))
    for place in places:
        table, row, column = place.split("|")
        assert cells[table][f"{row}|{column}"]
    buttons = [attributes for _, attributes in read.tags if "data-copy" in attributes]
    copied = {(attributes["data-of"], attributes["data-copy"]) for attributes in buttons}
    assert copied == {(name, kind) for name, of in read.data["copies"].items() for kind in of}
    assert {name for name, _ in copied} == {"mple.table1", "natlab.table2", "mple.figure5", "mple.figure1"}


def test_what_is_not_asked_for_has_no_place(changed):
    """No figures, claims or curves: no headings of them, in the contents neither."""
    write_json(changed.run_file, {key: of for key, of in RUN.items() if key not in ("figures", "claims")})
    provenance = read_json(changed.report / "provenance.json")
    write_json(changed.report / "provenance.json", provenance | {"models": []})
    assert changed.write_report() == 0
    found = Page((changed.report / page.NAME).read_text("utf-8"))
    anchors = {attributes["id"] for _, attributes in found.tags if "id" in attributes}
    assert {"summary", "tables", "words"} <= anchors and not {"figures", "claims", "curves"} & anchors
    links = {attributes["href"] for tag, attributes in found.tags if tag == "a"}
    assert not any(link.startswith(("#curves", "#p.figure", "#mple.claims")) for link in links)
    assert read_json(changed.report / "provenance.json")["models"] == [] and found.open == []


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        ("tables/mple.table1.csv", "make the run's tables first"),
        ("figures/mple.figure5.csv", "make the run's figures first"),
        ("figures/mple.figure5.svg", "make the run's figures first"),
        ("claims/mple.claims.csv", "make the run's claims first"),
        ("provenance.json", "make the run's provenance first"),
    ],
)
def test_what_has_not_been_made_is_named(changed, capsys, gone, says):
    before = (changed.report / page.NAME).read_bytes()
    (changed.report / gone).unlink()
    assert changed.write_report() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"natlab report: {changed.report / gone}: no such file; {says}"
    assert (changed.report / page.NAME).read_bytes() == before


def test_a_table_of_another_spec_is_refused(changed, capsys):
    (changed.report / "tables/mple.table1.csv").write_bytes((changed.report / "tables/natlab.table2.csv").read_bytes())
    assert changed.write_report() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "mple.table1.csv: " in line and line.endswith("write the table again")


def test_the_verb_writes_the_page_its_measurements_and_its_record(changed):
    before = changed.files()
    curves = [name for name in before if name.startswith("curves/")]
    for name in (page.NAME, "measurements.csv", record.NAME, *curves):
        (changed.report / name).unlink()
    assert changed.write_report() == 0 and changed.files() == before
    with open(changed.report / "measurements.csv", encoding="utf-8", newline="") as file:
        assert {row["system"] for row in csv.DictReader(file)} == {"transformer", "kd", "axe", "oaxe"}


def test_the_arguments(capsys):
    parser = argparse.ArgumentParser()
    page.add_arguments(parser)
    assert vars(parser.parse_args("--run r --out o --results m --papers p".split())) == {
        "run_file": "r", "out": "o", "results": "m", "papers": "p",
    }  # fmt: skip
    defaults = parser.parse_args(["--run", "r", "--out", "o"])
    assert (defaults.results, defaults.papers) == ("results", "config/papers")
    for given in (["--run", "r"], ["--out", "o"]):
        with pytest.raises(SystemExit):
            parser.parse_args(given)


def test_a_run_that_is_none_is_refused(tmp_path, capsys):
    (tmp_path / "run.yaml").write_text("run: x\n", encoding="utf-8")
    assert cli.main(["report", "--run", f"{tmp_path}/run.yaml", "--out", f"{tmp_path}/out"]) == 2
    assert capsys.readouterr().err.startswith(f"natlab report: {tmp_path}/run.yaml: ")
