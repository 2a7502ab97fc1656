"""Tables and figures on the page: published values beside measured ones."""

from base64 import b64encode
from collections.abc import Mapping
from html import escape

from natlab.papers import cells as resolve
from natlab.papers import spec as specs
from natlab.report import significance, tables
from natlab.report.filled import Entry, Table
from natlab.report.page import html, words


def section(name: str, table: Table, known: set[tuple[int, str]]) -> str:
    """A table, what stands below it, and its files; ``known``: the cells whose values lead to where they come from."""
    return f"""<section id="{html.dotted(name)}">
{_title(table)}
{_grid(name, table, known)}
{html.notes([*_layout(table), *tables.notes(table), *_marks(table)])}
{html.links("tables", name, {"csv": "CSV, a line a cell", "md": "Markdown", "tex": "LaTeX"})}
</section>
"""


def figure(name: str, table: Table, picture: bytes, known: set[tuple[int, str]]) -> str:
    """A figure, ``picture`` being its SVG, with its values folded away below."""
    title = escape(table.spec["title"])
    return f"""<section id="{html.dotted(name)}">
{_title(table)}
<figure><img alt="{title}" src="data:image/svg+xml;base64,{b64encode(picture).decode()}"></figure>
<details><summary>Its values</summary>
{_grid(name, table, known)}
{html.notes(tables.notes(table))}
</details>
{html.links("figures", name, {"svg": "SVG", "pdf": "PDF", "png": "PNG", "csv": "CSV", "md": "Markdown"})}
</section>
"""


def copies(table: Table) -> dict[str, str]:
    """What the buttons beside a table copy, by format."""
    return {"csv": tables.values_csv(table), "md": tables.markdown(table), "tex": tables.latex(table)}


def _layout(table: Table) -> list[str]:
    """What stands where in a cell, of a table of a paper."""
    if not specs.of_paper(table.spec):
        return []
    return ["In bold what was measured here; below it what the paper prints and, where it can be told, the difference."]


def _marks(table: Table) -> list[str]:
    """What the marks of significance mean, where there are some."""
    if not any(significance.mark(entry) for entry in table.entries.values()):
        return []
    seeds = " and the seeds" if len(table.run["seeds"]) > 1 else "; other seeds could say otherwise"
    baselines = " or ".join(dict.fromkeys(f"“{of.baseline}”" for of in table.entries.values() if of.baseline))
    return [
        f"▲, ▼: above, below {baselines} in at least {100 * significance.SURE:g} % of resamples of the test sentences"
        f"{seeds} (paired bootstrap); not marked: not sure, or not resampled."
    ]


def _title(table: Table) -> str:
    spec = table.spec
    return f"""<h3>{escape(spec["table"])}: {words.marked(spec["title"])}</h3>
<p class="soft">{escape(spec["paper"])}. {escape(spec.get("caption", ""))}</p>"""


def _grid(name: str, table: Table, known: set[tuple[int, str]]) -> str:
    """A table's head and body, and buttons that fold and copy it."""
    anchor, spec = html.dotted(name), table.spec
    unfilled = [number for number in range(len(spec["rows"])) if _unfilled(table, number)]
    mostly = 2 * len(unfilled) > len(spec["rows"]) > len(unfilled)
    fold = ""
    if unfilled and len(unfilled) < len(spec["rows"]):
        rows = "the row" if len(unfilled) == 1 else f"the {len(unfilled)} rows"
        fold = (
            f'<button type="button" data-fold="{anchor}.rows" aria-pressed="{str(not mostly).lower()}">'
            f"Show {rows} that nothing here measured</button>"
        )
    copying = "".join(
        f'<button type="button" data-copy="{kind}" data-of="{anchor}">{text}</button>'
        for kind, text in (("csv", "CSV"), ("md", "Markdown"), ("tex", "LaTeX"))
    )
    head = "".join(_head(column) for column in spec["columns"])
    folded = " folded" if mostly else ""
    grid = f"""<table class="results{folded}" id="{anchor}.rows">
<thead><tr><th scope="col"><button type="button" class="sort">Row</button><span class="unit"></span></th>{head}</tr>
</thead>
{_body(anchor, table, known)}</table>"""
    return f"""<div class="tools">{fold}<span>Copy as</span>{copying}</div>
{html.region(f"{html.paper(spec)}, {spec['table']}", grid)}"""


def _unfilled(table: Table, number: int) -> bool:
    """Whether nothing in a row was measured."""
    return all(table.entries[number, column["key"]].measured is None for column in table.spec["columns"])


def _head(column: Mapping) -> str:
    label = f'<button type="button" class="sort">{escape(column["label"])}</button>'
    if column.get("text"):
        label = escape(column["label"])
    return f'<th scope="col"{_text(column)}>{label}<span class="unit">{escape(column.get("unit", ""))}</span></th>'


def _body(anchor: str, table: Table, known: set[tuple[int, str]]) -> str:
    """Rows in one ``tbody`` a group."""
    spec, parts, group = table.spec, [], None
    own = _own(table)
    groups = {
        group: all(_unfilled(table, n) for n, row in enumerate(spec["rows"]) if row.get("group") == group)
        for group in {row.get("group") for row in spec["rows"]}
    }
    for number, row in enumerate(spec["rows"]):
        if number == 0 or row.get("group") != group:
            group = row.get("group")
            mark = ' class="unfilled"' if groups[group] else ""
            parts.append(("</tbody>\n" if number else "") + f"<tbody{mark}>")
            if group:
                width = len(spec["columns"]) + 1
                parts.append(
                    f'<tr><th class="group" scope="rowgroup" colspan="{width}">{words.marked(group)}</th></tr>'
                )
        cells = "".join(
            _cell(
                f"{anchor}|{number}|{column['key']}",
                row,
                column,
                table,
                (number, column["key"]) in known,
                number,
                (number, column["key"]) in own,
            )
            for column in spec["columns"]
        )
        marks = [mark for mark, on in (("ours", row.get("ours")), ("quoted", row.get("quoted"))) if on]
        marks += ["unfilled"] if _unfilled(table, number) else []
        mark = f' class="{" ".join(marks)}"' if marks else ""
        standing = tables.standing(row, table.run)
        dataset = f'<span class="published">{escape(standing)}</span>' if standing else ""
        tag = '<span class="tag">quoted</span>' if row.get("quoted") and "quoted" not in row["label"] else ""
        parts.append(f'<tr{mark}><th scope="row">{words.marked(tables.label(row))}{tag}{dataset}</th>{cells}</tr>')
    return "\n".join(parts) + "\n</tbody>\n"


def _own(table: Table) -> set[tuple[int, str]]:
    """The cells of which the paper's own corpus was measured: only there a difference is one of reproduction."""
    cells = resolve.cells(table.spec, table.run)
    rows = {cell.row for cell in cells} - {cell.row for cell in cells if cell.dataset != cell.corpus}
    derived = {(row, column["key"]) for row in rows for column in table.spec["columns"]}
    return {(cell.row, cell.column) for cell in cells if cell.dataset == cell.corpus} | derived


def _cell(at: str, row: Mapping, column: Mapping, table: Table, known: bool, number: int, own: bool) -> str:
    entry: Entry = table.entries[number, column["key"]]
    text = tables.measured_text(row, column, entry, table.run)
    value, plus_minus, spread = (text, "", "") if column.get("text") else text.partition(" ± ")
    if known:
        title = escape(f"{tables.label(row)}, {tables.head(column)}")
        measured = f'<button type="button" class="value" data-at="{at}" title="{title}">{escape(value)}</button>'
    else:
        measured = f'<span class="{"none" if entry.measured is None else "measured"}">{escape(value)}</span>'
    if sure := significance.mark(entry):
        says = escape(
            f"{'above' if sure == '▲' else 'below'} {entry.baseline}, {100 * entry.above:.1f} % of resamples above"
        )
        measured += f'<span class="sure" role="img" aria-label="{says}" title="{says}">{sure}</span>'
    if plus_minus:
        measured += f'<span class="spread"> ± {escape(spread)}</span>'
    digits = column.get("digits", 2)
    below = "" if entry.published is None else escape(tables.number(entry.published, digits))
    if entry.difference is not None and own:
        below += f'<span class="difference">{tables.number(entry.difference, digits, signed=True)}</span>'
    order = next((v for v in (entry.measured, entry.published) if isinstance(v, int | float)), None)
    sorted_by = "" if order is None or row.get("quoted") else f' data-value="{order:g}"'
    if column.get("descriptive") or row.get("quoted"):
        return f"<td{_text(column)}{sorted_by}>{below}</td>"
    below = below and f'<span class="published">{below}</span>'
    return f"<td{_text(column)}{sorted_by}>{measured}{below}</td>"


def _text(column: Mapping) -> str:
    return ' class="text"' if column.get("text") else ""
