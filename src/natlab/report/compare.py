"""Two runs, or one run at two commits: every value that differs by more than seeds do. The verb ``compare``.

What is compared, and by which deviations, stands in `natlab.report.differences`; here it becomes text for a terminal
and one HTML page.
"""

import argparse
import shutil
import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import escape
from math import floor, inf, isfinite, log10

from natlab.files import written_aside
from natlab.report.differences import FACTORS, Comparison, Difference, Key, Kind, Report, compare, read
from natlab.report.samples import REPEATABILITY

SETTINGS = "Settings that differ"


@dataclass(frozen=True)
class Section:
    """A table under a title: ``heads`` of its columns, of which the first ``names`` say what a row is about; the others
    hold numbers."""

    title: str
    note: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]
    names: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``compare``."""
    report = "a report's folder, a run that has one, or either in a commit: COMMIT:RUN"
    parser.add_argument("a", metavar="A", help=report)
    parser.add_argument("b", metavar="B", help="the same of the other one")
    parser.add_argument("--reports", default="reports", help="the folder of reports, whose runs say how seeds deviate")
    parser.add_argument("--out", help="an HTML page to write of the same")


def run(args: argparse.Namespace) -> None:
    """Print how the reports differ, and write the page if one is asked for."""
    a, b = (read(name, args.reports) for name in (args.a, args.b))
    found = compare(a, b, args.reports)
    print(text(found, shutil.get_terminal_size().columns), end="")
    if args.out:
        with written_aside(args.out) as file:
            file.write(page(found))
        print(f"\nPage: {args.out}")


def text(found: Comparison, width: int) -> str:
    """A comparison for a terminal of so many columns."""
    lines = [_filled(summary(found), width)]
    for side, report in (("A", found.a), ("B", found.b)):
        lines.append(_filled(f"{side}  {report.name}, {_facts(report)}", width))
    lines += (_filled(remark, width) for remark in remarks(found))
    for section in sections(found):
        lines += ["", section.title, _filled(section.note, width), *_aligned(section, width)]
    for title, facts in lists(found).items():
        lines += ["", title, *(_filled(f"{name}: {what}", width) for name, what in facts)]
    return "\n".join(lines) + "\n"


def page(found: Comparison) -> str:
    """A comparison as one HTML page."""
    from natlab.report.page import html  # imports much that a text needs not

    title = f"natlab: {found.a.name} and {found.b.name}"
    facts = _table((side, f"{of.name}, {_facts(of)}") for side, of in (("A", found.a), ("B", found.b)))
    notes = "".join(f"<p>{escape(remark)}</p>\n" for remark in remarks(found))
    body = f"<header>\n<h1>{escape(title)}</h1>\n<p>{escape(summary(found))}</p>\n</header>\n{facts}{notes}"
    body += "".join(map(_shown, sections(found)))
    for name, of in lists(found).items():
        body += f"<section>\n<h2>{escape(name)}</h2>\n{_table(of)}</section>\n"
    return html.document(title, {}, body)


def summary(found: Comparison) -> str:
    """How many values differ, and how, in one line."""
    counts = Counter(value.kind for value in found.values)
    if len(found.values) == counts[Kind.SAME] and not (found.only_a or found.only_b or found.settings or found.ways):
        return f"Nothing differs: {len(found.values)} values in both."
    parts = [f"{counts[kind]} {kind.value}" for kind in Kind if counts[kind] or kind is Kind.BEYOND]
    return (
        f"{len(found.values)} values in both: {', '.join(parts)}; "
        f"{len(found.only_a)} only in A, {len(found.only_b)} only in B."
    )


def remarks(found: Comparison) -> list[str]:
    """What else is to be known of both: whose models they are, how values were measured, what is not told."""
    a, b = found.a.models, found.b.models
    both = [model for model in a if model in b]
    same = sum(a[model] == b[model] for model in both)
    lines = [f"Models: of {len(both)} in both, {same} are the same by their fingerprints."] if both else []
    if _seeds(found.a) != _seeds(found.b):
        lines.append("Seeds: values are means over those that both have, or over each one's own where they share none.")
    lines += (
        f"Measured in another way: the {field} of {number} values, {one or 'none'} → {other or 'none'}."
        for (field, one, other), number in found.ways.items()
    )
    for name in ("run.json", "provenance.json"):
        lack = [side for side, of in (("A", found.a), ("B", found.b)) if name not in of.settings]
        if lack:
            lines.append(f"Without {name}: {' and '.join(lack)}; what it tells of settings is not compared.")
    return lines


def sections(found: Comparison) -> Iterator[Section]:
    """The values that differ, in tables, of which none is empty."""
    beyond, unknown = found.of(Kind.BEYOND), found.of(Kind.UNKNOWN)
    if beyond:
        judged = len(beyond) + len(found.of(Kind.WITHIN))
        note = (
            "s: the metric's standard deviation over seeds on the dataset, from both and all other reports; of means "
            f"of m and n seeds, times √((1/m + 1/n) / 2). Listed is what differs by more than {REPEATABILITY} s. That "
            "is, where only the seeds are others, one in twenty of the values that differ and have an s: some "
            f"{judged / 20:.0f} of {judged}."
        )
        if any(value.elsewhere for value in beyond):
            note += " *: the largest s of other datasets, for want of one here."
        heads = ("A", "B", "B − A", "s", "in s")
        yield _values("Beyond the seeds' deviation", note, heads, beyond, _in_deviations)
    if unknown:
        note = "No run with several seeds says how far these metrics deviate: all that differ are listed."
        yield _values("Deviation unknown", note, ("A", "B", "B − A"), unknown, _plainly)
    machine = found.of(Kind.MACHINE)
    if any(value.far for value in machine):
        far = [value for value in machine if value.far]
        factors = ", ".join(f"{factor:g} in {unit}" for unit, factor in FACTORS.items())
        note = (
            f"They depend on the machine and on what else it does, and always differ. Listed are {len(far)} of "
            f"{len(machine)}, those that differ by more than runs of the same code have: by a factor of {factors}."
        )
        yield _values("Speed and memory", note, ("unit", "A", "B", "B / A"), far, _as_factors)


def lists(found: Comparison) -> dict[str, list[tuple[str, str]]]:
    """What differs other than values, by title: names, and what is to be said of them."""
    titles = {"Settings that differ": found.settings}
    for side, keys in (("A", found.only_a), ("B", found.only_b)):
        systems = defaultdict(Counter)
        for key in keys:
            systems[f"{key.dataset}, {key.scale}"][key.system or "no system"] += 1
        titles[f"Only in {side}"] = [
            (place, ", ".join(f"{system} {number}" for system, number in of.items())) for place, of in systems.items()
        ]
    return {title: facts for title, facts in titles.items() if facts}


def _values(
    title: str, note: str, heads: tuple[str, ...], values: list[Difference], shown: Callable[[Difference], tuple]
) -> Section:
    """A section of values. What is the same in all of their keys is said once, in the note."""
    columns = list(zip(*(value.key for value in values), strict=True))
    varying = [n for n, of in enumerate(columns) if len(set(of)) > 1 or Key._fields[n] == "metric"]
    shared = [f"{Key._fields[n]} {of[0]}" for n, of in enumerate(columns) if n not in varying and of[0]]
    if shared:
        note += f" All of {', '.join(shared)}."
    rows = [(*(value.key[n] for n in varying), *shown(value)) for value in values]
    return Section(title, note, (*(Key._fields[n] for n in varying), *heads), rows, len(varying))


def _in_deviations(value: Difference) -> tuple[str, ...]:
    digits = _digits(min(value.deviation, abs(value.difference)))
    s = _number(value.deviation, digits) + ("*" if value.elsewhere else "")
    return *_sides(value, digits), s, _number(value.difference / value.deviation, 1, signed=True)


def _plainly(value: Difference) -> tuple[str, ...]:
    return _sides(value, 0 if value.whole else _digits(value.difference))


def _sides(value: Difference, digits: int) -> tuple[str, ...]:
    return *(_number(side, digits) for side in (value.a, value.b)), _number(value.difference, digits, signed=True)


def _as_factors(value: Difference) -> tuple[str, ...]:
    numbers = (value.a, value.b, value.b / value.a if value.a else inf)
    return value.unit, *(_number(number, _digits(number, 3)) for number in numbers)


def _digits(value: float, significant: int = 2) -> int:
    """How many decimals show so many digits of a value."""
    if value == 0 or not isfinite(value):
        return significant
    return min(max(significant - 1 - floor(log10(abs(value))), 0), 9)


def _number(value: float, digits: int, signed: bool = False) -> str:
    """With a true minus sign."""
    return f"{value:{'+' if signed else ''}.{digits}f}".replace("-", "−")


def _facts(report: Report) -> str:
    """How many values a report has, of what, and where and by which code they were measured."""
    lines = [line for seeds in report.measured.values() for line in seeds.values()]
    dirty = {"True": " with uncommitted changes"}
    commits = dict.fromkeys(
        line["commit"][:7] + dirty.get(line.get("dirty"), "") for line in lines if line.get("commit")
    )
    facts = {
        "scale": ", ".join(report.distinct("scale")),
        "seeds": ", ".join(_seeds(report)),
        "measured by commit": ", ".join(commits),
        "on": " and on ".join(report.distinct("device")),
    }
    return "; ".join([f"{len(lines)} values", *(f"{name} {of}" for name, of in facts.items() if of)])


def _seeds(report: Report) -> list[str]:
    return sorted({seed for of in report.measured.values() for seed in of}, key=lambda seed: (len(seed), seed))


def _filled(line: str, width: int) -> str:
    return textwrap.fill(line, width, subsequent_indent="   ", break_long_words=False, break_on_hyphens=False)


def _aligned(section: Section, width: int) -> Iterator[str]:
    """The lines of a table, as wide as there is room: a column for each name, one for all of them, or each row's names
    on a line of their own above its numbers."""
    names, lines = section.names, [section.heads, *section.rows]
    if sum(_widths(lines)) > width:
        names, lines = 1, [(" ".join(filter(None, line[:names])), *line[names:]) for line in lines]
    widths = _widths(lines)
    if sum(widths) > width:
        lines = [line for name, *numbers in lines for line in ((name,), ("", *numbers))]
        widths[0] = 4
    for line in lines:
        cells = enumerate(zip(line, widths, strict=False))
        yield "".join(
            cell.ljust(size) if n < names else cell.rjust(size - 2) + "  " for n, (cell, size) in cells
        ).rstrip()


def _widths(lines: list[tuple[str, ...]]) -> list[int]:
    """Of columns, with two spaces between them."""
    return [max(map(len, column)) + 2 for column in zip(*lines, strict=True)]


def _shown(section: Section) -> str:
    """A section as HTML. A row's last name is its head, the others stand below that, so that it is narrow."""
    heads = "".join(f"<th>{escape(head)}</th>" for head in section.heads[section.names :])
    rows = ""
    for row in section.rows:
        *above, head = filter(None, row[: section.names])
        below = f'<span class="published">{escape(" · ".join(above))}</span>' if above else ""
        numbers = "".join(f"<td>{escape(cell)}</td>" for cell in row[section.names :])
        rows += f"<tr><th>{escape(head)}{below}</th>{numbers}</tr>\n"
    return f"""<section>
<h2>{escape(section.title)}</h2>
<p class="soft">{escape(section.note)}</p>
<div class="scroll"><table class="results compared"><thead><tr><th></th>{heads}</tr></thead>
<tbody>
{rows}</tbody></table></div>
</section>
"""


def _table(rows: Iterable[tuple[str, str]]) -> str:
    """Names and what is to be said of them, as HTML."""
    lines = "".join(f"<tr><th>{escape(name)}</th><td>{escape(what)}</td></tr>\n" for name, what in rows)
    return f'<div class="scroll"><table class="facts">\n{lines}</table></div>\n'
