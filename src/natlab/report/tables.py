"""Tables: published values beside measured ones, as CSV, Markdown and LaTeX. The verb ``table``."""

import argparse
import csv
import io
import math
from pathlib import Path

from natlab.errors import UserError
from natlab.files import written_aside
from natlab.papers import cells as resolve
from natlab.papers import spec as specs
from natlab.report import correlation, markup, significance
from natlab.report.filled import Entry, Table, build

EMPTY = "–"
CSV_FIELDS = (
    "table line row group column unit published measured std difference n_seeds seeds dataset scale system decoding"
    " split metric sentences signature baseline above"
).split()


TEXTS = "dataset system decoding split metric signature baseline".split()  # of an entry


def write_csv(table: Table, path: str | Path) -> None:
    """One line a cell, tidy; numbers unrounded, empty where there is none."""
    spec = table.spec
    with written_aside(path) as file:
        writer = csv.DictWriter(file, CSV_FIELDS, lineterminator="\n")
        writer.writeheader()
        for (number, key), entry in table.entries.items():
            column = next(column for column in spec["columns"] if column["key"] == key)
            row = spec["rows"][number]
            line = {
                "table": spec["table"],
                "line": number + 1,
                "row": row["label"],
                "group": row.get("group", ""),
                "column": key,
                "unit": column.get("unit", ""),
                "n_seeds": len(entry.seeds) if entry.seeds else "",
                "seeds": " ".join(map(str, entry.seeds)),
                "scale": table.run["scale"] if entry.measured is not None else "",
            }
            for name in CSV_FIELDS:
                if name not in line:
                    value = getattr(entry, name)
                    line[name] = "" if value is None else value
            writer.writerow(line)


def values_csv(table: Table) -> str:
    """The table as it is laid out, for a spreadsheet: a line each for what was published, measured, its deviation over
    seeds and the difference, numbers unrounded, empty where there is none."""
    spec, text = table.spec, io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "group", "value", *(head(column) for column in spec["columns"])])
    for number, row in enumerate(spec["rows"]):
        entries = [table.entries[number, column["key"]] for column in spec["columns"]]
        for kind in ("published", "measured", "std", "difference"):
            values = [getattr(entry, kind) for entry in entries]
            if any(value is not None for value in values):
                shown = ["" if value is None else value for value in values]
                writer.writerow([label(row), row.get("group", ""), kind, *shown])
    return text.getvalue()


def read_csv(path: str | Path, spec: dict, run: dict) -> Table:
    """The table that ``write_csv`` wrote from ``spec`` and ``run``. UserError when the CSV is of another spec."""
    with open(path, encoding="utf-8", newline="") as file:
        cells = {(int(line["line"]) - 1, line["column"]): line for line in csv.DictReader(file)}
    if list(cells) != [(n, column["key"]) for n in range(len(spec["rows"])) for column in spec["columns"]]:
        raise UserError(f"{path}: its cells are not those of {spec['table']}; write the table again")
    texts = {column["key"] for column in spec["columns"] if column.get("text")}
    entries = {}
    for (number, key), line in cells.items():
        measured = line["measured"] or None
        published = spec["rows"][number].get("published", {}).get(key)
        if line["published"] != ("" if published is None else str(published)):
            raise UserError(f"{path}: line {number + 1}, {key}: not of this spec; write the table again")
        entries[number, key] = Entry(
            published=published,
            measured=measured if measured is None or key in texts else float(measured),
            std=float(line["std"]) if line["std"] else None,
            seeds=tuple(int(seed) for seed in line["seeds"].split()),
            sentences=int(line["sentences"]) if line["sentences"] else None,
            above=float(line["above"]) if line["above"] else None,
            **{name: line[name] for name in TEXTS},
        )
    return Table(spec, run, entries)


def number(value: float | str | None, digits: int = 2, signed: bool = False) -> str:
    """A value as text with a true minus sign; the dash for None; a text as it is."""
    if value is None:
        return EMPTY
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        return str(value)
    shown = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return shown.replace("-", "−")


def measured_text(row: dict, column: dict, entry: Entry, run: dict) -> str:
    """Mean ± standard deviation; with the number of seeds where some of the run's are missing; the dash for nothing."""
    if column.get("descriptive"):
        return ""
    if column["key"] in row.get("reference", ()):
        return "ref."
    text = number(entry.measured, column.get("digits", 2))
    if column.get("text"):
        return text
    if entry.std is not None:
        text += f" ± {number(entry.std, column.get('digits', 2))}"
    if entry.seeds and len(entry.seeds) < len(run["seeds"]):
        text += f" (n={len(entry.seeds)})"
    return text


def head(column: dict) -> str:
    """A column's label with its unit."""
    unit = column.get("unit")
    return column["label"] if unit in (None, "BLEU", "x") else f"{column['label']} ({unit})"


def lines(table: Table) -> list[tuple[dict, str, list[str]]]:
    """The body as (row, kind, texts by column), kind being published, measured or difference.

    A row of ours has no published line, nor has any of a table of ours; a quoted one has that alone; the difference
    line stands where there is one.
    """
    body = []
    for n, row in enumerate(table.spec["rows"]):
        entries = [(column, table.entries[n, column["key"]]) for column in table.spec["columns"]]
        if specs.of_paper(table.spec) and not row.get("ours"):
            body.append((row, "published", [_published(c, e) for c, e in entries]))
        if row.get("quoted"):
            continue
        body.append((row, "measured", [measured_text(row, c, e, table.run) for c, e in entries]))
        if any(e.difference is not None for _, e in entries):
            body.append((row, "difference", [_difference(c, e) for c, e in entries]))
    return body


def _published(column: dict, entry: Entry) -> str:
    return "" if column.get("measured_only") else number(entry.published, column.get("digits", 2))


def _difference(column: dict, entry: Entry) -> str:
    return "" if entry.difference is None else number(entry.difference, column.get("digits", 2), signed=True)


def notes(table: Table) -> list[str]:
    """What stands below a table: run, scale, seeds, datasets, and what is not the paper's."""
    spec, run = table.spec, table.run
    seeds = ("seeds " if len(run["seeds"]) > 1 else "seed ") + ", ".join(map(str, run["seeds"]))
    spread = "; mean ± sample standard deviation over seeds" if len(run["seeds"]) > 1 else ""
    found = resolve.cells(spec, run)
    corpora = dict.fromkeys(cell.corpus for cell in found)
    stands = [f"{run['corpora'].get(corpus, 'nothing')} for {corpus}" for corpus in corpora]
    printed = specs.of_paper(spec)
    difference = "Difference: measured less published. " if printed else ""
    text = [
        f"Measured: run {run['run']}, scale {run['scale']}, {seeds}{spread}.",
        f"{difference}{EMPTY}: nothing measured.",
    ]
    if stands:
        text.append(f"Datasets: {', '.join(stands)}.")
    if printed and any(run["corpora"].get(corpus, corpus) != corpus for corpus in corpora):
        text.append("Where another dataset stands for the paper's, a difference is not one of reproduction.")
    text += correlation.notes(table)
    for column in spec["columns"]:
        if "note" in column:
            only = " (not in the paper)" if printed and column.get("measured_only") else ""
            text.append(f"{column['label']}{only}: {column['note']}.")
    if printed and any(row.get("ours") for row in spec["rows"]):
        text.append("Rows marked * are not in the paper's table.")
    if any(row.get("reference") for row in spec["rows"]):
        text.append("ref.: what the column's values are relative to.")
    return text


def label(row: dict) -> str:
    """A row's label, marked when the paper has no such row."""
    return f"{row['label']} *" if row.get("ours") else row["label"]


def standing(row: dict, run: dict) -> str:
    """The dataset that stands for a row's own corpus, "" when that is the corpus itself or the row has none."""
    corpus = row.get("cell", {}).get("corpus")
    dataset = run["corpora"].get(corpus, corpus)
    return "" if dataset == corpus else dataset


def row_head(row: dict, kind: str, table: Table) -> str:
    """The first column of a line: the row's label at its first line, what stands for its corpus at the measured one."""
    if kind == "published" or row.get("ours") or not specs.of_paper(table.spec):
        return label(row)
    return standing(row, table.run) if kind == "measured" else ""


def markdown(table: Table) -> str:
    """The table as padded Markdown, so that the text itself can be read in a terminal."""
    spec = table.spec
    grid = [["", "", *(head(column) for column in spec["columns"])]]
    for row, kind, texts in lines(table):
        grid.append([row_head(row, kind, table), kind, *texts])
    grid = [[markup.markdown_cell(text) for text in line] for line in grid]
    widths = [max(len(line[i]) for line in grid) for i in range(len(grid[0]))]
    left = [True, True, *(bool(column.get("text")) for column in spec["columns"])]
    padded = [
        [t.ljust(w) if to_left else t.rjust(w) for t, w, to_left in zip(g, widths, left, strict=True)] for g in grid
    ]
    aligned = [f"| {' | '.join(texts)} |" for texts in padded]
    rules = ("-" * (w + 2) if to_left else "-" * (w + 1) + ":" for w, to_left in zip(widths, left, strict=True))
    rule = f"|{'|'.join(rules)}|"
    below = "\n".join(f"- {markup.markdown_line(note)}" for note in notes(table))
    title = markup.markdown_line(f"{spec['table']}: {spec['title']}")
    caption = markup.markdown_line(f"{spec['paper']}. {spec.get('caption', '')}".rstrip())
    return f"## {title}\n\n{caption}\n\n" + "\n".join([aligned[0], rule, *aligned[1:]]) + f"\n\n{below}\n"


def latex(table: Table) -> str:
    """The table as a LaTeX ``table`` environment for ``\\input``; the document needs ``\\usepackage{booktabs}``."""
    spec = table.spec
    heads = [column.get("latex", markup.latex(column["label"])) for column in spec["columns"]]
    units = [markup.latex(column.get("unit", "")) for column in spec["columns"]]
    longest = [max(map(len, of)) for of in zip(*(texts for _, _, texts in lines(table)), strict=True)]
    of_text = [r"p{.4\linewidth}" if length > 40 else "l" for length in longest]
    places = "".join(
        place if column.get("text") else "r" for column, place in zip(spec["columns"], of_text, strict=True)
    )
    body, before = [], None
    for row, kind, texts in lines(table):
        if row is not before and before is not None:
            body.append(r"\midrule" if row.get("group") != before.get("group") else r"\addlinespace[1pt]")
        cells = [row_head(row, kind, table), kind, *texts]
        body.append(" & ".join(markup.latex(text) for text in cells) + r" \\")
        before = row
    caption = f"{spec['title']}. {spec['paper']}, {spec['table']}. {spec.get('caption', '')}".rstrip()
    return "\n".join(
        [
            r"% Needs \usepackage{booktabs}; for letters that pdfLaTeX has not got, LuaLaTeX or XeLaTeX.",
            r"\begin{table}",
            r"\centering\scriptsize\setlength{\tabcolsep}{2.5pt}",
            rf"\caption{{{markup.latex(caption)}}}",
            # Centred even where it is wider than the text.
            rf"\makebox[\linewidth]{{\begin{{tabular}}{{ll{places}}}",
            r"\toprule",
            " & ".join(["", "", *heads]) + r" \\",
            " & ".join(["", "", *units]) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\par\smallskip\begin{minipage}{\linewidth}\scriptsize",
            " ".join(markup.latex(note) for note in notes(table)),
            r"\end{minipage}",
            r"\end{table}",
            "",
        ]
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``table``."""
    parser.add_argument("--table", required=True, help="the table's spec, config/papers/<paper>/<table>.yaml")
    parser.add_argument("--run", dest="run_file", required=True, help="the run's file, config/runs/<run>.yaml")
    parser.add_argument("--measurements", required=True, help="the folder of measurements, results/measurements")
    parser.add_argument("--corpora", required=True, help="the folder of corpora (exact values), results/corpora")
    parser.add_argument("--out", required=True, help="where to write, less the endings .csv, .md and .tex")


def run(args: argparse.Namespace) -> None:
    """Write ``OUT.csv``, ``OUT.md`` and ``OUT.tex``."""
    settings, measurements, corpora = specs.load_run(args.run_file), Path(args.measurements), Path(args.corpora)
    table = build(specs.load(args.table), settings, measurements, corpora)
    write(significance.compared(table, measurements, corpora), Path(args.out))


def write(table: Table, out: Path) -> None:
    """Write a table as ``out`` with the endings ``.csv``, ``.md`` and ``.tex``."""
    write_csv(table, f"{out}.csv")
    for ending, text in (("md", markdown(table)), ("tex", latex(table))):
        with written_aside(f"{out}.{ending}") as file:
            file.write(text)
