"""Tables as CSV, Markdown and LaTeX: what is shown of measured and published values, and what stays a dash."""

import argparse
import copy
import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.report.example import RUN, SPEC, bleu, built, measurement

from natlab.errors import UserError
from natlab.papers import spec as specs
from natlab.report import markup, tables
from natlab.report.filled import Table, build

REPOSITORY = Path(__file__).resolve().parents[2]


def test_missing_seeds_are_said(results):
    shutil.rmtree(results / "m/grammar_ende/demo/transformer/seed2")
    table = built(results)
    assert table.entries[0, "at"].seeds == table.entries[0, "gap"].seeds == (1, 3)
    assert "31.50 ± 2.12 (n=2)" in tables.markdown(table)


def test_one_seed_has_no_deviation(results):
    table = built(results, run=RUN | {"seeds": [2]})
    assert table.entries[0, "at"].std is None
    text = tables.markdown(table)
    assert "±" not in text and "seed 2." in text


def test_unmeasured_rows_are_dashes_in_every_format(results):
    table = built(results)
    for row in (1, 2):
        assert all(table.entries[row, column["key"]].measured is None for column in SPEC["columns"])
    measured = [line for line in tables.markdown(table).splitlines() if "| measured" in line]
    assert len(measured) == 3 and all(line.count("–") == len(SPEC["columns"]) for line in measured[1:])
    assert tables.latex(table).count(r"measured" + " & --" * len(SPEC["columns"])) == 2


@given(
    st.lists(st.floats(-60, 60).filter(lambda value: abs(value) > 0.01), min_size=4, max_size=4),
    st.sets(st.sampled_from(["at", "nat"]), max_size=1),
)
def test_a_published_value_never_stands_as_measured(tmp_path_factory, published, measured):
    """Whatever the paper prints, a cell without its measurement file has no measured value, nor a difference."""
    folder = tmp_path_factory.mktemp("results")
    row = {
        "label": "x",
        "cell": {"corpus": "own"},
        "published": dict(zip(("c", "gap", "at", "nat"), published, strict=True)),
    }
    spec = SPEC | {"rows": [row]}
    for key in measured:
        system, name = {"at": ("transformer", "beam5.test"), "nat": ("vanilla_raw", "argmax.test")}[key]
        measurement(folder / "m", "own", system, 1, name, bleu(1234.5))
    table = built(folder, spec)
    for column in SPEC["columns"]:
        entry = table.entries[0, column["key"]]
        assert entry.measured == (1234.5 if column["key"] in measured else None)
        assert (entry.difference is None) == (column["key"] not in measured)
    (line,) = [line for line in tables.markdown(table).splitlines() if "| measured" in line]
    shown = set(re.findall(r"[−\d.]+", line))
    assert shown <= {"1234.50", "1"}  # (n=1): one of three seeds


def test_csv_round_trip(results, tmp_path):
    table = built(results)
    tables.write_csv(table, tmp_path / "t.csv")
    back = tables.read_csv(tmp_path / "t.csv", SPEC, RUN)
    assert back.entries == table.entries
    assert tables.markdown(back) == tables.markdown(table) and tables.latex(back) == tables.latex(table)


def test_csv_has_one_line_a_cell_and_says_where_from(results, tmp_path):
    tables.write_csv(built(results), tmp_path / "t.csv")
    head, *body = (tmp_path / "t.csv").read_text().splitlines()
    assert len(body) == len(SPEC["rows"]) * len(SPEC["columns"])
    for (
        field
    ) in "table row column unit published measured std difference seeds dataset scale sentences n_seeds".split():
        assert field in head.split(",")
    assert sum("grammar_ende,demo" in line for line in body) == 4


def test_a_csv_of_another_spec_is_refused(results, tmp_path):
    tables.write_csv(built(results), tmp_path / "t.csv")
    other = yaml.safe_load(yaml.safe_dump(SPEC))
    other["rows"][0]["published"]["c"] = 9.9
    with pytest.raises(UserError, match="not of this spec"):
        tables.read_csv(tmp_path / "t.csv", other, RUN)
    with pytest.raises(UserError, match="cells are not those"):
        tables.read_csv(tmp_path / "t.csv", SPEC | {"rows": [*SPEC["rows"], {"label": "z"}]}, RUN)


def test_notes_state_scale_seeds_datasets_and_what_is_ours(results):
    text = tables.markdown(built(results))
    assert "scale demo, seeds 1, 2, 3" in text
    assert "grammar_ende for wmt14_ende, nothing for wmt16, own for own" in text
    assert "exact C (not in the paper): by enumeration." in text and "own *" in text


def test_references_and_descriptions_are_not_measured(tmp_path):
    spec = SPEC | {
        "columns": [
            {"key": "iters", "label": "# iters", "digits": 0, "descriptive": True},
            {"key": "speed", "label": "speed", "cell": {"metric": "speedup", "corpus": "own", "decoding": "beam5"}},
        ],
        "rows": [
            {"label": "AT", "cell": {"system": "t"}, "reference": ["speed"], "published": {"iters": "L", "speed": 1.0}},
            {"label": "old", "quoted": True, "published": {"iters": 4, "speed": 3.0}},
        ],
    }
    table = built(tmp_path, spec)
    body = [[text for text in texts] for _, _, texts in tables.lines(table)]
    assert body == [["L", "1.00"], ["", "ref."], ["4", "3.00"]]


@given(st.text(alphabet=st.sampled_from("ab \\&%$#_{}~^<>–−±×≈†§≤≥∥‖Δβδελπτ"), max_size=30))
def test_latex_escapes_every_special_character(text):
    bare = markup.latex(text)
    for kept in (
        r"\textbackslash{}",
        r"\textasciitilde{}",
        r"\textasciicircum{}",
        r"\textless{}",
        r"\textgreater{}",
        r"\S{}",
        "-{}",
    ):
        bare = bare.replace(kept, "")
    bare = re.sub(r"\$(-|\\[a-zA-Z]+)\$", "", bare)
    assert not re.search(r"(?<!\\)[&%$#_{}~^<>]", bare)
    assert bare.isascii()


def test_latex_is_a_booktabs_table_with_as_many_cells_in_each_line(results):
    text = tables.latex(built(results))
    inside = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
    lines = [line for line in inside.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {len(SPEC["columns"]) + 1}
    assert text.count(r"\begin{") == text.count(r"\end{") and r"Gaps \& such" in text and r"100 \% of it" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(results, whole, tmp_path):
    """Whatever can be written, all tables that are shipped, as nothing measured fills them, those of a small run, and
    those of the reports in git."""
    shipped = [specs.load(path) for path in sorted((REPOSITORY / "config/papers").glob("*/*.yaml")) if _has_cells(path)]
    made = [built(results, of) for of in (SPEC, *shipped)]
    small = [path.read_text("utf-8") for path in sorted((whole.report / "tables").glob("*.tex"))]
    kept = [path.read_text("utf-8") for path in sorted((REPOSITORY / "reports").glob("*/tables/*.tex"))]
    assert len(small) == 2 and len(shipped) > 30
    parts = [markup.latex("".join(markup._LATEX)), *map(tables.latex, made), *small, *kept]
    for number, text in enumerate(parts):
        # a separator of lines is no letter
        (tmp_path / f"part{number}.tex").write_text(text.replace("\u2028", " "), encoding="utf-8")
    read = r"\clearpage".join(rf"\input{{part{number}}}" for number in range(len(parts)))
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{read}\end{{document}}"
    (tmp_path / "doc.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "doc.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]


def _has_cells(path):
    return specs.kind(yaml.safe_load(path.read_text("utf-8"))) != "claims"


def test_the_verb_writes_three_files(results, tmp_path):
    (tmp_path / "table1.yaml").write_text(yaml.safe_dump(SPEC))
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(RUN))
    parser = argparse.ArgumentParser()
    tables.add_arguments(parser)
    given = f"--table {tmp_path}/table1.yaml --run {tmp_path}/run.yaml --measurements {results}/m --corpora {results}/c"
    tables.run(parser.parse_args([*given.split(), "--out", f"{tmp_path}/out/p.table1"]))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["p.table1.csv", "p.table1.md", "p.table1.tex"]
    assert "31.33 ± 1.53" in (tmp_path / "out/p.table1.md").read_text()


def test_a_table_of_ours_has_no_published_lines(tmp_path):
    spec = copy.deepcopy(SPEC)
    for column in spec["columns"]:
        column |= {"measured_only": True, "note": "ours"}
    for row in spec["rows"]:
        row.pop("published", None)
    table = build(spec, RUN, tmp_path / "m", tmp_path / "c")
    assert {kind for _, kind, _ in tables.lines(table)} == {"measured"}
    text = "\n".join(tables.notes(table))
    assert "published" not in text and "not in the paper" not in text
    assert all(f"| {row['label']}" in tables.markdown(table) for row in spec["rows"])


SMALL = {
    "table": "Table 7",
    "paper": "MPLE: a paper",
    "title": "Speed & such",
    "caption": "All of it.",
    "cell": {"corpus": "wmt14_ende"},
    "columns": [
        {"key": "iters", "label": "iters", "digits": 0, "descriptive": True},
        {"key": "bleu", "label": "BLEU", "unit": "BLEU", "cell": {"metric": "bleu_tok"}},
        {"key": "l", "label": "L", "latex": "$L$", "unit": "bits/token", "digits": 1, "cell": {"metric": "loss"}},
        {"key": "n", "label": "own", "measured_only": True, "note": "counted here", "cell": {"metric": "repetition"}},
    ],
    "rows": [
        {"label": "AT", "group": "teachers", "cell": {"system": "at", "decoding": "beam5"}, "reference": ["l"],
         "published": {"iters": "T", "bleu": 27.1, "l": 2.0}},
        {"label": "KD", "group": "students", "cell": {"system": "kd", "decoding": "argmax"},
         "published": {"iters": 1, "bleu": 20.87}},
        {"label": "old", "group": "students", "quoted": True, "published": {"iters": 10, "bleu": 20.0, "l": 3.0}},
        {"label": "new", "group": "students", "ours": True, "cell": {"system": "new", "corpus": "own"}},
    ],
}  # fmt: skip


@pytest.fixture
def small(tmp_path):
    """Two seeds of two systems, the second only once."""
    run = RUN | {"seeds": [1, 2]}
    for seed, value in ((1, 26.0), (2, 28.0)):
        values = {"bleu_tok": {"value": value, "signature": "s"}, "repetition": {"value": 1.0}}
        measurement(tmp_path / "m", "grammar_ende", "at", seed, "beam5.test", values)
        measurement(tmp_path / "m", "grammar_ende", "at", seed, "loss", {"loss": {"value": 2.5}})
    measurement(tmp_path / "m", "grammar_ende", "kd", 2, "argmax.test", {"bleu_tok": {"value": 19.5}})
    measurement(tmp_path / "m", "grammar_ende", "kd", 2, "loss", {"loss": {"value": 3.25}})
    return build(SMALL, run, tmp_path / "m", tmp_path / "c")


BODY = [
    ["AT", "published", "T", "27.10", "2.0", ""],
    ["", "measured", "", "27.00 ± 1.41", "ref.", "1.00 ± 0.00"],
    ["", "difference", "", "−0.10", "", ""],
    ["KD", "published", "1", "20.87", "–", ""],
    ["", "measured", "", "19.50 (n=1)", "3.2 (n=1)", "–"],
    ["", "difference", "", "−1.37", "", ""],
    ["old", "published", "10", "20.00", "3.0", ""],
    ["new *", "measured", "", "–", "–", "–"],
]


NOTES = [
    "Measured: run small, scale demo, seeds 1, 2; mean ± sample standard deviation over seeds.",
    "Difference: measured less published. –: nothing measured.",
    "Datasets: grammar_ende for wmt14_ende, own for own.",
    "Where another dataset stands for the paper's, a difference is not one of reproduction.",
    "own (not in the paper): counted here.",
    "Rows marked * are not in the paper's table.",
    "ref.: what the column's values are relative to.",
]


def test_a_table_in_markdown_is_padded_so_that_it_can_be_read_as_text(small):
    title, empty, caption, _, *grid = tables.markdown(small).splitlines()
    assert (title, empty, caption) == ("## Table 7: Speed & such", "", "MPLE: a paper. All of it.")
    end = grid.index("")
    head, rule, *body = grid[:end]
    assert [text.strip() for text in head.split("|")] == ["", "", "", "iters", "BLEU", "L (bits/token)", "own", ""]
    assert [[text.strip() for text in line.split("|")[1:-1]] for line in body] == BODY
    assert len({len(line) for line in (head, rule, *body)}) == 1
    assert [set(part) for part in rule.split("|")[1:-1]] == [{"-"}] * 2 + [{"-", ":"}] * 4
    assert all(part.endswith("-:") for part in rule.split("|")[3:-1])
    _, kind, *numbers = body[1].split("|")[1:-1]
    assert kind == " measured   " and numbers[1] == " 27.00 ± 1.41 " and numbers[2] == "           ref. "
    assert tables.notes(small) == NOTES
    assert grid[end + 1 :] == [f"- {markup.markdown_line(note)}" for note in NOTES]
    assert tables.markdown(small).endswith("\n")


def test_a_table_in_latex(small):
    assert tables.latex(small).splitlines() == [
        r"% Needs \usepackage{booktabs}; for letters that pdfLaTeX has not got, LuaLaTeX or XeLaTeX.",
        r"\begin{table}",
        r"\centering\scriptsize\setlength{\tabcolsep}{2.5pt}",
        r"\caption{Speed \& such. MPLE: a paper, Table 7. All of it.}",
        r"\makebox[\linewidth]{\begin{tabular}{llrrrr}",
        r"\toprule",
        r" &  & iters & BLEU & $L$ & own \\",
        r" &  &  & BLEU & bits/token &  \\",
        r"\midrule",
        r"AT & published & T & 27.10 & 2.0 &  \\",
        r" & measured &  & 27.00 $\pm$ 1.41 & ref. & 1.00 $\pm$ 0.00 \\",
        r" & difference &  & $-$0.10 &  &  \\",
        r"\midrule",
        r"KD & published & 1 & 20.87 & -- &  \\",
        r" & measured &  & 19.50 (n=1) & 3.2 (n=1) & -- \\",
        r" & difference &  & $-$1.37 &  &  \\",
        r"\addlinespace[1pt]",
        r"old & published & 10 & 20.00 & 3.0 &  \\",
        r"\addlinespace[1pt]",
        r"new {*} & measured &  & -- & -- & -- \\",
        r"\bottomrule",
        r"\end{tabular}}",
        r"\par\smallskip\begin{minipage}{\linewidth}\scriptsize",
        " ".join(markup.latex(note) for note in NOTES),
        r"\end{minipage}",
        r"\end{table}",
    ]
    assert tables.latex(small).endswith("\\end{table}\n")


def test_a_table_as_csv(small, tmp_path):
    tables.write_csv(small, tmp_path / "t.csv")
    with open(tmp_path / "t.csv", newline="") as file:
        lines = {(line["line"], line["column"]): line for line in csv.DictReader(file)}
    assert list(lines) == [(str(n), key) for n in range(1, 5) for key in ("iters", "bleu", "l", "n")]
    assert lines["1", "bleu"] == {
        "table": "Table 7", "line": "1", "row": "AT", "group": "teachers", "column": "bleu", "unit": "BLEU",
        "published": "27.1", "measured": "27.0", "std": str(2**0.5), "difference": str(27.0 - 27.1), "n_seeds": "2",
        "seeds": "1 2", "dataset": "grammar_ende", "scale": "demo", "system": "at", "decoding": "beam5",
        "split": "test", "metric": "bleu_tok", "sentences": "1000", "signature": "s", "baseline": "", "above": "",
    }  # fmt: skip
    nothing = {key: "" for key in lines["4", "n"]}
    assert lines["4", "n"] == nothing | {
        "table": "Table 7",
        "line": "4",
        "row": "new",
        "group": "students",
        "column": "n",
    }
    assert lines["1", "iters"]["published"] == "T" and lines["1", "l"]["measured"] == ""
    assert (tmp_path / "t.csv").read_bytes().count(b"\r") == 0


def test_a_table_as_a_spreadsheet_has_a_line_for_each_kind_of_value(small):
    """In the layout of the table, numbers unrounded; no line of nothing."""
    head, *lines = csv.reader(io.StringIO(tables.values_csv(small)))
    assert head == ["row", "group", "value", "iters", "BLEU", "L (bits/token)", "own"]
    assert lines == [
        ["AT", "teachers", "published", "T", "27.1", "2.0", ""],
        ["AT", "teachers", "measured", "", "27.0", "", "1.0"],
        ["AT", "teachers", "std", "", str(2**0.5), "", "0.0"],
        ["AT", "teachers", "difference", "", str(27.0 - 27.1), "", ""],
        ["KD", "students", "published", "1", "20.87", "", ""],
        ["KD", "students", "measured", "", "19.5", "3.25", ""],
        ["KD", "students", "difference", "", str(19.5 - 20.87), "", ""],
        ["old", "students", "published", "10", "20.0", "3.0", ""],
    ]


def test_a_spreadsheet_keeps_labels_and_texts_as_they_are(texts):
    lines = list(csv.reader(io.StringIO(tables.values_csv(texts))))
    assert lines[2][:4] == ["ours", "", "measured", "1.5"] and "\r" not in tables.values_csv(texts)


def test_notes_of_one_seed_and_a_paper_s_own_corpora(small):
    run = RUN | {"seeds": [3], "corpora": {"wmt14_ende": "wmt14_ende"}}
    spec = SMALL | {"columns": SMALL["columns"][:3], "rows": SMALL["rows"][1:3]}
    assert tables.notes(build(spec, run, "nowhere", "nowhere")) == [
        "Measured: run small, scale demo, seed 3.",
        "Difference: measured less published. –: nothing measured.",
        "Datasets: wmt14_ende for wmt14_ende.",
    ]


@pytest.mark.parametrize(
    "value, options, shown",
    [
        (None, {}, "–"), ("L/2", {}, "L/2"), (1.25, {}, "1.25"), (-2.5, {"digits": 1}, "−2.5"),
        (3, {"digits": 0}, "3"),
        (0.126, {"signed": True}, "+0.13"), (-0.126, {"signed": True}, "−0.13"), (float("inf"), {}, "inf"),
        (1e-9, {"digits": 3, "signed": True}, "+0.000"),
    ],
)  # fmt: skip
def test_numbers_as_text(value, options, shown):
    assert tables.number(value, **options) == shown


def test_a_unit_stands_in_the_head_unless_it_is_plain():
    for unit, head in ((None, "a"), ("BLEU", "a"), ("x", "a"), ("%", "a (%)"), ("bits/token", "a (bits/token)")):
        assert tables.head({"label": "a"} | ({"unit": unit} if unit else {})) == head


def test_a_row_says_which_dataset_stands_for_its_own_corpus():
    run = {"corpora": {"wmt14": "small", "same": "same"}}
    for row, expected in (
        ({"label": "x", "cell": {"corpus": "wmt14"}}, "small"), ({"label": "x", "cell": {"corpus": "same"}}, ""),
        ({"label": "x", "cell": {"corpus": "unmapped"}}, ""), ({"label": "x"}, ""),
    ):  # fmt: skip
        assert tables.standing(row, run) == expected
        heads = [tables.row_head(row, kind, Table(SMALL, run, {})) for kind in ("published", "measured", "difference")]
        assert heads == ["x", expected, ""]
    ours = {"label": "x", "ours": True, "cell": {"corpus": "wmt14"}}
    shown = Table(SMALL, run, {})
    assert [tables.row_head(ours, kind, shown) for kind in ("measured", "difference")] == ["x *", "x *"]


def test_a_csv_that_lacks_or_changes_lines_is_refused_with_what_to_do(small, tmp_path):
    tables.write_csv(small, tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_text()
    for changed, problem in (
        (text.replace(",27.1,", ",27.2,"), "line 1, bleu: not of this spec; write the table again"),
        (text[: text.rindex("Table 7")], "its cells are not those of Table 7; write the table again"),
    ):
        (tmp_path / "t.csv").write_text(changed)
        with pytest.raises(UserError) as refused:
            tables.read_csv(tmp_path / "t.csv", SMALL, small.run)
        assert str(refused.value) == f"{tmp_path / 't.csv'}: {problem}"


def test_the_arguments():
    parser = argparse.ArgumentParser()
    tables.add_arguments(parser)
    given = "--table t --run r --measurements m --corpora c --out o".split()
    assert vars(parser.parse_args(given)) == {
        "table": "t", "run_file": "r", "measurements": "m", "corpora": "c", "out": "o",
    }  # fmt: skip
    for at in range(0, len(given), 2):
        with pytest.raises(SystemExit):
            parser.parse_args(given[:at] + given[at + 2 :])


def test_a_table_without_a_caption_has_its_paper_alone(small):
    bare = tables.Table({key: value for key, value in SMALL.items() if key != "caption"}, small.run, small.entries)
    assert tables.markdown(bare).splitlines()[2] == "MPLE: a paper."
    assert r"\caption{Speed \& such. MPLE: a paper, Table 7.}" in tables.latex(bare).splitlines()


TEXTS = {
    **SPEC,
    "columns": [
        {"key": "text", "label": "sample", "text": True, "cell": {"metric": "sample"}},
        {"key": "allowed", "label": "allowed", "text": True, "measured_only": True, "note": "by P",
         "cell": {"metric": "sample_allowed"}},
        {"key": "score", "label": "score", "measured_only": True, "note": "its", "cell": {"metric": "sample_score"}},
    ],
    "rows": [
        {"label": "theirs", "quoted": True, "published": {"text": "There is an increase."}},
        {"label": "ours", "cell": {"corpus": "wmt14_ende", "system": "s", "decoding": "d", "sentence": 1, "sample": 2}},
    ],
}  # fmt: skip


@pytest.fixture
def texts(results):
    """Seed 1 has no samples, seeds 2 and 3 have."""
    for seed, text in ((2, "1.5"), (3, "er | sie ± es")):
        values = {
            "sample/1/2": {"value": text},
            "sample_allowed/1/2": {"value": "yes"},
            "sample_score/1/2": {"value": -seed},
        }
        measurement(results / "m", "grammar_ende", "s", seed, "d.test.samples", values)
    return built(results, TEXTS)


def test_a_text_is_that_of_the_first_seed_that_has_one(texts):
    entry = texts.entries[1, "text"]
    assert (entry.measured, entry.std, entry.seeds, entry.difference) == ("1.5", None, (2,), None)
    assert texts.entries[1, "allowed"].measured == "yes"
    assert (texts.entries[1, "score"].measured, texts.entries[1, "score"].seeds) == (-2.5, (2, 3))


def test_texts_come_back_from_their_file_as_texts(texts, tmp_path):
    tables.write_csv(texts, tmp_path / "t.csv")
    assert tables.read_csv(tmp_path / "t.csv", TEXTS, RUN).entries == texts.entries


def test_texts_stand_to_the_left_and_numbers_to_the_right(texts):
    text = tables.markdown(texts)
    rule = next(line for line in text.splitlines() if line.startswith("|--"))
    assert [part.endswith(":") for part in rule.strip("|").split("|")] == [False, False, False, False, True]
    assert "| There is an increase. |" in text and "(n=1)" not in text
    assert r"\begin{tabular}{llllr}" in tables.latex(texts)


def test_a_long_text_is_broken_in_latex(texts, results):
    long = {"sample/1/2": {"value": "word " * 20}}
    measurement(results / "m", "grammar_ende", "s", 2, "d.test.samples", long)
    assert r"\begin{tabular}{llp{.4\linewidth}lr}" in tables.latex(built(results, TEXTS))


def test_a_column_may_be_the_mean_of_others(results):
    spec = {**SPEC, "columns": [*SPEC["columns"], {"key": "mean", "label": "mean", "mean": ["at", "nat", "gap"]}]}
    entry = built(results, spec).entries[0, "mean"]
    assert entry.measured == pytest.approx((94 / 3 + 20.5 + 94 / 3 - 20.5) / 3) and entry.seeds == (1, 2, 3)
