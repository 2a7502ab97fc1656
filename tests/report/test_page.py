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
from natlab.report.filled import build

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
    table = build(SPEC, RUN, measurements, tmp_path)
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


def section(text, anchor):
    """The HTML between a section's tags."""
    return text.split(f'<section id="{anchor}">')[1].split("</section>")[0].strip()


def test_a_table_on_the_page(args):
    page.run(args)
    assert section(Path(args.out).read_text(), "mple.table1").splitlines() == [
        "<h2>Table 1: A &amp; B</h2>",
        '<p class="soft">MPLE: &lt;em&gt;not a tag&lt;/em&gt;. </p>',
        '<div class="scroll"><table class="results">',
        '<thead><tr><th></th><th>BLEU<span class="unit">BLEU</span></th><th>speed<span class="unit">x</span></th></tr>'
        "</thead>",
        "<tbody>",
        '<tr><th class="group" colspan="3">NAT</th></tr>',
        '<tr><th>KD<span class="published"></span></th><td><span class="measured">21.50</span><span class="spread"> ± '
        '0.71</span><span class="published">20.87<span class="difference">+0.63</span></span></td>'
        '<td><span class="measured">6.0</span><span class="spread"> ± 0.0</span><span class="published">15.3'
        '<span class="difference">−9.3</span></span></td></tr>',
        '<tr><th>AXE<span class="published"></span></th><td><span class="none">–</span><span class="published">22.22'
        '</span></td><td><span class="none">–</span><span class="published"></span></td></tr>',
        "</tbody>",
        "</table></div>",
        '<ul class="notes"><li>Measured: run small, scale demo, seeds 1, 2; mean ± sample standard deviation over '
        "seeds.</li><li>Difference: measured less published. –: nothing measured.</li><li>Datasets: ds for wmt14_ende."
        "</li><li>Where another dataset stands for the paper&#x27;s, a difference is not one of reproduction.</li>"
        "</ul>",
        '<p class="files"><a href="tables/mple.table1.csv">CSV</a> · <a href="tables/mple.table1.md">Markdown</a> · '
        '<a href="tables/mple.table1.tex">LaTeX</a></p>',
    ]


def test_what_was_run_on_the_page(args):
    page.run(args)
    text = Path(args.out).read_text()
    facts = {
        "Scale": "demo", "Seeds": "1, 2", "Datasets": "ds for wmt14_ende", "Systems": "vanilla_kd",
        "Device": "Some CPU", "Commit": "c0ffee with uncommitted changes", "Packages": "torch 2.13",
    }  # fmt: skip
    lines = [f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in facts.items()]
    assert section(text, "run").split('<table class="facts">\n')[1].split("</table>")[0].splitlines() == lines
    assert text.startswith("<!DOCTYPE html>\n<html") and "<title>natlab: small</title>" in text
    assert '<nav><a href="#mple.table1">MPLE Table 1</a><a href="#run">' in text and "<h1>natlab: small</h1>" in text


def test_all_measurements_on_the_page_seed_by_seed(args):
    page.run(args)
    shown = section(Path(args.out).read_text(), "measurements")
    assert "<summary>12 values</summary>" in shown
    head, *lines = shown.split('<table class="all">')[1].split("</table>")[0].splitlines()
    keys = "dataset system seed decoding split metric value unit".split()
    assert head == f"<thead><tr>{''.join(f'<th>{key}</th>' for key in keys)}</tr></thead>"
    assert lines[0] == "<tbody>" and lines[-1] == "</tbody>" and len(lines) == 14
    cells = "".join(f"<td>{text}</td>" for text in ("ds", "vanilla_kd", 1, "argmax", "test", "bleu"))
    assert f'<tr>{cells}<td class="value">21.000</td><td>BLEU</td></tr>' in lines
    cells = "".join(f"<td>{text}</td>" for text in ("ds", "vanilla_kd", 2, "", "", "latency/argmax/median"))
    assert f'<tr>{cells}<td class="value">4.500</td><td>ms</td></tr>' in lines


def test_a_measurements_line_in_the_csv_says_all_it_rests_on(args):
    page.run(args)
    with open(Path(args.out).with_name("measurements.csv"), newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == list(page.MEASUREMENT_FIELDS) and "\r" not in Path(args.out).read_text()
    (found,) = [line for line in lines if line["seed"] == "1" and line["metric"] == "bleu"]
    assert found == {
        "dataset": "ds", "scale": "demo", "system": "vanilla_kd", "seed": "1", "decoding": "argmax", "split": "test",
        "metric": "bleu", "value": "21.0", "unit": "BLEU", "sentences": "7", "signature": "s", "commit": "c0ffee",
        "dirty": "True", "device": "Some CPU", "fingerprint": "f1",
    }  # fmt: skip
    (found,) = [line for line in lines if line["seed"] == "2" and line["metric"] == "speedup/argmax"]
    assert (found["value"], found["unit"], found["signature"], found["decoding"]) == ("6.0", "x", "", "")
    assert [line["metric"] for line in lines[:2]] == ["bleu", "chrf"]  # file by file, in the files' order
    assert {line["metric"] for line in lines if line["seed"] == "1"} == {
        "bleu", "chrf", "speedup/argmax", *(f"latency/argmax/{name}" for name in ("mean", "median", "p95")),
    }  # fmt: skip


def test_rows_of_ours_descriptions_and_stand_ins_are_marked(args):
    spec = SPEC | {
        "caption": "A <caption>.",
        "columns": [{"key": "n", "label": "#", "descriptive": True, "digits": 0}, *SPEC["columns"][:1]],
        "rows": [
            {"label": "a", "cell": {"corpus": "wmt14_ende", "system": "vanilla_kd"}, "published": {"n": 5}},
            {"label": "b", "group": "more", "ours": True, "cell": {"system": "none"}},
            {"label": "c"},
        ],
    }
    table = build(spec, RUN, args.measurements, "nowhere")
    found = page._section("mple/table1", table)
    assert '<p class="soft">MPLE: &lt;em&gt;not a tag&lt;/em&gt;. A &lt;caption&gt;.</p>' in found
    body = found.split("</thead>\n")[1].split("</table>")[0].splitlines()
    assert body[:2] == [
        "<tbody>",
        '<tr><th>a<span class="published">ds</span></th><td>5</td><td><span class="measured">21.50</span>'
        '<span class="spread"> ± 0.71</span><span class="published"></span></td></tr>',
    ]
    assert body[2:5] == ["</tbody>", "<tbody>", '<tr><th class="group" colspan="3">more</th></tr>']
    assert body[5].startswith(
        '<tr class="ours"><th>b *<span class="published"></span></th><td></td><td><span class="none">'
    )
    assert body[6:8] == ["</tbody>", "<tbody>"] and body[8].startswith("<tr><th>c<") and body[9:] == ["</tbody>"]


def test_a_figure_on_the_page_has_its_values_folded_away(full):
    page.run(full)
    lines = section(Path(full.out).read_text(), "mple.figure5").splitlines()
    assert lines[0] == "<h2>Figure 5: A &amp; B</h2>"
    assert lines[2].startswith('<figure><img alt="A &amp; B" src="data:image/png;base64,')
    assert lines[3] == "<details><summary>Its values</summary>" and lines[-2] == "</details>"
    assert lines[-1] == (
        '<p class="files"><a href="figures/mple.figure5.png">PNG</a> · <a href="figures/mple.figure5.pdf">PDF</a> · '
        '<a href="figures/mple.figure5.csv">CSV</a> · <a href="figures/mple.figure5.md">Markdown</a></p>'
    )
    text = Path(full.out).read_text()
    links = ("mple.table1", "MPLE Table 1"), ("mple.figure5", "MPLE Figure 5"), ("mple.claims", "MPLE claims")
    assert "".join(f'<a href="#{anchor}">{name}</a>' for anchor, name in links) + '<a href="#run">' in text


def test_the_arguments():
    parser = argparse.ArgumentParser()
    page.add_arguments(parser)
    assert vars(parser.parse_args("--run r --out o --measurements m --papers p".split())) == {
        "run_file": "r", "out": "o", "measurements": "m", "papers": "p",
    }  # fmt: skip
    for given in (["--run", "r"], ["--out", "o"]):
        with pytest.raises(SystemExit):
            parser.parse_args(given)
    parser = argparse.ArgumentParser()
    show.add_arguments(parser)
    assert vars(parser.parse_args(["t.md"])) == {"table": "t.md"}


def test_no_table_is_shown_with_what_to_do(tmp_path):
    with pytest.raises(UserError) as refused:
        show.run(argparse.Namespace(table=f"{tmp_path}/none.md"))
    problem = "no such table; run the workflow first, or see reports/ for those there are"
    assert str(refused.value) == f"{tmp_path}/none.md: {problem}"


def test_facts_of_several_measurements_stand_once_each_and_nothing_is_a_dash():
    rows = [
        {"system": "a", "device": "CPU", "commit": "c1", "dirty": False, "packages": {"torch": "2", "numpy": "1"}},
        {"system": "b", "device": "CPU", "commit": "c2", "dirty": True, "packages": {"torch": "3"}},
        {"system": "a", "device": None, "commit": None, "dirty": False, "packages": None},
    ]
    found = page._facts(RUN, rows)
    for name, text in (
        ("Systems", "a, b"), ("Device", "CPU"), ("Commit", "c1, c2 with uncommitted changes"),
        ("Packages", "torch 2, numpy 1; torch 3; "),
    ):  # fmt: skip
        assert f"<tr><th>{name}</th><td>{text}</td></tr>\n" in found
    assert "<tr><th>Device</th><td>–</td></tr>" in page._facts(RUN, [])


def test_texts_are_shown_as_they_are_and_are_no_numbers(tmp_path):
    """A text with ± is no mean with a deviation, and measurements.csv has numbers only."""
    column = {"key": "text", "label": "sample", "text": True, "cell": {"metric": "sample"}}
    row = {"label": "ours", "cell": {"system": "s", "decoding": "d", "sentence": 1, "sample": 1}}
    spec = SPEC | {"columns": [column], "rows": [row]}
    identity = {"dataset": "ds", "scale": "demo", "system": "s", "seed": 1, "provenance": PROVENANCE}
    values = {"sample/1/1": {"value": "a ± <b>"}, "sample_score/1/1": {"value": -1.5}}
    path = tmp_path / "m/ds/demo/s/seed1/d.test.samples.json"
    write_json(path, identity | {"values": values})
    table = build(spec, RUN, tmp_path / "m", tmp_path / "c")
    shown = page._grid(table)
    assert '<td class="text"><span class="measured">a ± &lt;b&gt;</span>' in shown
    assert [(row["metric"], row["value"]) for row in page.measurement_rows([path])] == [("sample_score/1/1", -1.5)]
