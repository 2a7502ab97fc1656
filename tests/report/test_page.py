"""The report: one page that needs nothing else, and its measurements as a tidy CSV; and `show`."""

import argparse
import csv
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from natlab.errors import UserError
from natlab.files import write_json
from natlab.report import claims, figures, page, show, tables

RUN = {"run": "small", "scale": "demo", "seeds": [1, 2], "corpora": {"wmt14_ende": "ds"}, "tables": ["mple/table1"]}
SPEC = {
    "table": "Table 1",
    "paper": "MPLE: <em>not a tag</em>",
    "title": "A & B",
    "cell": {"corpus": "wmt14_ende", "decoding": "argmax"},
    "columns": [
        {"key": "bleu", "label": "BLEU", "unit": "BLEU", "cell": {"metric": "bleu"}},
        {"key": "speed", "label": "speed", "unit": "x", "digits": 1, "cell": {"metric": "speedup"}},
    ],
    "rows": [
        {"label": "KD", "group": "NAT", "cell": {"system": "vanilla_kd"}, "published": {"bleu": 20.87, "speed": 15.3}},
        {"label": "AXE", "group": "NAT", "published": {"bleu": 22.22}},
    ],
}
PROVENANCE = {
    "commit": "c0ffee",
    "dirty": True,
    "device": "Some CPU",
    "fingerprint": "f1",
    "packages": {"torch": "2.13"},
}


@pytest.fixture
def args(tmp_path):
    measurements = tmp_path / "m"
    for seed in (1, 2):
        identity = {"dataset": "ds", "scale": "demo", "system": "vanilla_kd", "seed": seed, "provenance": PROVENANCE}
        values = {
            "bleu": {"value": 20.0 + seed, "unit": "BLEU", "signature": "s"},
            "chrf": {"value": 50.0, "unit": "chrF"},
        }
        model = measurements / f"ds/demo/vanilla_kd/seed{seed}"
        write_json(
            model / "argmax.test.json",
            identity | {"decoding": "argmax", "split": "test", "sentences": 7, "values": values},
        )
        values = {
            "latency/argmax": {"mean": 5.0, "median": 4.5, "p95": 9.0, "unit": "ms"},
            "speedup/argmax": {"value": 6.0, "unit": "x"},
        }
        write_json(model.with_name(f"seed{seed}.latency.json"), identity | {"sentences": 7, "values": values})
    write_json(measurements / "ds/demo/of_another_run/seed1/argmax.test.json", {})
    (tmp_path / "papers/mple").mkdir(parents=True)
    (tmp_path / "papers/mple/table1.yaml").write_text(yaml.safe_dump(SPEC))
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(RUN))
    table = tables.build(SPEC, RUN, measurements, tmp_path)
    out = tmp_path / "reports/small"
    tables.write_csv(table, out / "tables/mple.table1.csv")
    (out / "tables/mple.table1.md").write_text(tables.markdown(table))
    return argparse.Namespace(
        run_file=str(tmp_path / "run.yaml"),
        measurements=str(measurements),
        papers=str(tmp_path / "papers"),
        out=str(out / "report.html"),
    )


class Page(HTMLParser):
    """Collects tags with their attributes, and checks that they close in order."""

    VOID = {"meta", "br", "link", "img"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_well_formed_and_needs_nothing_else(args):
    page.run(args)
    found = Page(Path(args.out).read_text())
    assert found.open == []
    names = {tag for tag, _ in found.tags}
    assert not names & {"script", "link", "img", "iframe", "em"}
    links = [attributes["href"] for tag, attributes in found.tags if tag == "a"]
    assert all("://" not in link for link in links) and "tables/mple.table1.tex" in links
    anchors = {attributes.get("id") for _, attributes in found.tags}
    assert all(link[1:] in anchors for link in links if link.startswith("#"))


def test_the_page_shows_measured_published_and_difference_and_what_was_run(args):
    page.run(args)
    text = " ".join(" ".join(Page(Path(args.out).read_text()).text).split())
    for shown in ("21.50", "± 0.71", "20.87", "+0.63", "6.0", "−9.3", "22.22", "c0ffee with uncommitted changes"):
        assert shown in text
    for shown in (
        "Some CPU",
        "torch 2.13",
        "provenance.json",
        "1, 2",
        "ds for wmt14_ende",
        "A & B",
        "<em>not a tag</em>",
    ):
        assert shown in text


def test_measurements_are_one_tidy_csv_of_what_the_tables_read(args):
    page.run(args)
    with open(Path(args.out).with_name("measurements.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["system"] for row in rows} == {"vanilla_kd"}
    assert len(rows) == 2 * (2 + 3 + 1)
    found = {(row["seed"], row["metric"]): row for row in rows}
    assert found["2", "bleu"]["value"] == "22.0" and found["2", "bleu"]["commit"] == "c0ffee"
    assert found["1", "latency/argmax/p95"]["value"] == "9.0" and found["1", "chrf"]["unit"] == "chrF"


CLAIMS = {
    "paper": "MPLE: a paper",
    "title": "What it claims",
    "claims": [
        {
            "id": "a",
            "claim": "KD & co are better",
            "source": "section 1",
            "parts": [
                {"says": "in order", "order": {"table": "mple/table1", "x": "bleu", "y": "speed"}},
                {
                    "says": "better than lpd3",
                    "comparison": {
                        "higher": {
                            "metric": "bleu",
                            "corpus": "wmt14_ende",
                            "system": "vanilla_kd",
                            "decoding": "argmax",
                        },
                        "than": [{"metric": "bleu", "corpus": "wmt14_ende", "system": "other", "decoding": "lpd3"}],
                    },
                },
            ],
        }
    ],
}


@pytest.fixture
def full(args):
    """The same run with a figure and claims."""
    folder, out = Path(args.papers).parent, Path(args.out).parent
    figure = SPEC | {"table": "Figure 5", "draw": {"kind": "bars", "value": "bleu"}}
    (folder / "papers/mple/figure5.yaml").write_text(yaml.safe_dump(figure))
    (folder / "papers/mple/claims.yaml").write_text(yaml.safe_dump(CLAIMS))
    run = RUN | {"figures": ["mple/figure5"], "claims": ["mple/claims"]}
    (folder / "run.yaml").write_text(yaml.safe_dump(run))
    other = {"dataset": "ds", "scale": "demo", "system": "other", "seed": 1, "provenance": PROVENANCE}
    values = {"bleu": {"value": 19.0, "unit": "BLEU"}}
    write_json(folder / "m/ds/demo/other/seed1/lpd3.test.json", other | {"decoding": "lpd3", "values": values})
    given = f"--run {folder}/run.yaml --measurements {folder}/m --corpora {folder}"
    for verb, options in (
        (figures, f"--table {args.papers}/mple/figure5.yaml --out {out}/figures/mple.figure5"),
        (claims, f"--claims {args.papers}/mple/claims.yaml --papers {args.papers} --out {out}/claims/mple.claims"),
    ):
        parser = argparse.ArgumentParser()
        verb.add_arguments(parser)
        verb.run(parser.parse_args([*given.split(), *options.split()]))
    return args


def test_figures_lie_in_the_page_itself(full):
    page.run(full)
    found = Page(Path(full.out).read_text())
    assert found.open == []
    (picture,) = [attributes for tag, attributes in found.tags if tag == "img"]
    kind, _, data = picture["src"].partition(",")
    made = (Path(full.out).parent / "figures/mple.figure5.png").read_bytes()
    assert kind == "data:image/png;base64" and b64decode(data) == made and picture["alt"] == "A & B"
    links = [attributes["href"] for tag, attributes in found.tags if tag == "a"]
    assert all((Path(full.out).parent / link).exists() for link in links if link.startswith(("figures/", "claims/")))
    assert {"#mple.figure5", "#mple.claims", "figures/mple.figure5.pdf", "claims/mple.claims.md"} <= set(links)


def test_claims_are_shown_with_verdicts_and_their_values_are_in_the_csv(full):
    page.run(full)
    text = " ".join(" ".join(Page(Path(full.out).read_text()).text).split())
    assert "(a) KD & co are better section 1" in text
    assert "in order not measured" in text
    assert (
        "better than lpd3 undecided vanilla_kd (argmax) 21.00 against other (lpd3) 19.00 2.00 – – one value each 1"
        in text
    )
    assert "1 of 2 parts were tested." in text
    with open(Path(full.out).with_name("measurements.csv"), newline="") as file:
        assert "other" in {row["system"] for row in csv.DictReader(file)}


def test_missing_figures_and_claims_are_named(full):
    (Path(full.out).parent / "figures/mple.figure5.png").unlink()
    with pytest.raises(UserError, match="mple.figure5.png: no such file; make the run's figures first"):
        page.run(full)


def test_a_missing_table_is_named(args):
    (Path(args.out).parent / "tables/mple.table1.csv").unlink()
    with pytest.raises(UserError, match="mple.table1.csv: no such file; make the run's tables first"):
        page.run(args)
    assert not Path(args.out).exists()


def test_the_verbs_arguments_have_the_workflows_defaults():
    parser = argparse.ArgumentParser()
    page.add_arguments(parser)
    parsed = parser.parse_args(["--run", "r.yaml", "--out", "o.html"])
    assert parsed.measurements == "results/measurements" and parsed.papers == "config/papers"


def test_show_prints_the_table_and_where_the_report_lies(args, capsys):
    path = Path(args.out).parent / "tables/mple.table1.md"
    show.run(argparse.Namespace(table=str(path)))
    assert "Report:" not in capsys.readouterr().out
    page.run(args)
    show.run(argparse.Namespace(table=str(path)))
    printed = capsys.readouterr().out
    assert printed.startswith("Table 1: A & B") and "| KD" in printed and f"Report: {args.out}" in printed
    with pytest.raises(UserError, match="no such table"):
        show.run(argparse.Namespace(table="none.md"))
