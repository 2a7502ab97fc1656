"""Figures: tables that are drawn, as PNG, PDF and SVG, with their values as CSV. The verb ``figure``.

Solid marks are measured, hollow ones published, a bar's whisker is the standard deviation over seeds. What nothing
measured is not drawn. The surfaces of MPLE's Figure 1 come from files of their own (``natlab surface``).
"""

import argparse
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cache
from math import hypot
from pathlib import Path
from statistics import mean

import matplotlib

from natlab.errors import UserError
from natlab.files import read_json, written_aside
from natlab.papers import spec as specs
from natlab.report import markup, tables
from natlab.report.filled import Entry, Table, build

matplotlib.use("agg")

from matplotlib import font_manager, pyplot  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402
from matplotlib.patches import Patch  # noqa: E402
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: E402
from matplotlib.transforms import Bbox  # noqa: E402

# Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = "os^v<>"
NAMED, FEW = 14, 6  # points that have their names beside them; that do so in a small figure
TOUCH = 12  # points of 1/72 inch between marks that touch
# where a name may stand: so far from its point's mark, in points, and on which side of it, right and up being 1
DISTANCES, SIDES = (6, 12, 20, 30, 42, 56), ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
LETTERS, HANDLE = 13, 6  # of a legend: letters in an inch, and those that a mark takes the place of
LARGEST = 60  # inches of a side, however much there is to show: a program that draws takes no more than 65,536 dots
FONT = "DejaVu Sans"
CJK = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei", "Droid Sans Fallback")
INK, SOFT = "#1c2128", "#66707c"
STYLE = {
    "font.size": 9,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#d8dde3",
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "pdf.fonttype": 42,
    # text as text; names in the file that are the same in each
    "svg.fonttype": "none",
    "svg.hashsalt": "natlab",
    "figure.dpi": 100,
    "savefig.dpi": 160,
    # a label's $ is a dollar
    "text.parse_math": False,
}


def draw(table: Table, surface: Sequence[dict] = ()) -> Figure:
    """The figure that ``table``'s spec describes; ``surface``: its grid's rows, as `natlab surface` writes them."""
    drawing = table.spec["draw"]
    drawn: dict[str, Callable[[], Figure]] = {
        "bars": lambda: _bars(table, drawing),
        "groups": lambda: _groups(table, drawing),
        "lines": lambda: _lines(table, drawing),
        "scatter": lambda: _scatter(table, drawing),
        "surface": lambda: _surface(table, surface),
    }
    with styled(table.spec):
        return drawn[drawing["kind"]]()


def _bars(table: Table, drawing: dict) -> Figure:
    """A horizontal bar a row, and a line across them."""
    rows, column = table.spec["rows"], _column(table, drawing["value"])
    figure, axes = pyplot.subplots(figsize=(8.2, min(0.9 + 0.27 * len(rows), LARGEST)), layout="constrained")
    groups = list(dict.fromkeys(row.get("group") for row in rows))
    colours = palette(len(groups))
    entries = {n: table.entries[n, drawing["value"]] for n in range(len(rows))}
    for n, row in enumerate(rows):
        entry, colour = entries[n], colours[groups.index(row.get("group"))]
        if _measured(entry):
            axes.barh(n, entry.measured, 0.62, color=colour)
            if entry.std is not None:
                axes.errorbar(entry.measured, n, xerr=entry.std, color=INK, elinewidth=1, capsize=2)
        if _printed(entry):
            axes.plot(entry.published, n, "D", ms=5, mfc="white", mec=INK, mew=1, zorder=4)
    axes.set_yticks(range(len(rows)), [row["label"] for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel(tables.head(column))
    axes.grid(axis="x")
    handles = [_bar_handle(SOFT, "measured")] if any(map(_measured, entries.values())) else []
    handles += [_point_handle("published")] if any(map(_printed, entries.values())) else []
    if "line" in drawing:
        name = _column(table, drawing["line"])["label"]
        for kind, style in (("measured", "-"), ("published", ":")):
            value = _common(table, drawing["line"], kind, range(len(rows)))
            if value is not None:
                axes.axvline(value, color=INK, ls=style, lw=1.2)
                handles.append(_line_handle(style, f"{name}, {kind}: {tables.number(value)}"))
    if len(groups) > 1:
        drawn = {rows[n].get("group") for n, entry in entries.items() if _measured(entry)}
        handles += [_bar_handle(colours[n], group) for n, group in enumerate(groups) if group and group in drawn]
    if handles:
        figure.legend(handles=handles, loc="outside right upper")
    return figure


def _groups(table: Table, drawing: dict) -> Figure:
    """A group of upright bars a row, a colour a column. Rows of which nothing is known are left out."""
    series = drawing["series"]
    colours = palette(len(series))
    rows = [n for n in range(len(table.spec["rows"])) if any(_known(table.entries[n, key]) for key in series)]
    figure, axes = pyplot.subplots(figsize=(min(max(6.6, 1.1 * len(rows)), LARGEST), 3.3), layout="constrained")
    width = 0.8 / len(series)
    for s, key in enumerate(series):
        for place, n in enumerate(rows):
            entry, x = table.entries[n, key], place + (s - (len(series) - 1) / 2) * width
            if _measured(entry):
                axes.bar(x, entry.measured, 0.92 * width, color=colours[s], yerr=entry.std, ecolor=INK, capsize=2)
                # at the bar's foot, where no published value and no deviation comes in its way
                text = tables.number(entry.measured, 1)
                axes.annotate(text, (x, 0), (0, 3), textcoords="offset points", ha="center", color="white")
            if _printed(entry):
                axes.plot(x, entry.published, "D", ms=5, mfc="white", mec=INK, mew=1, zorder=4)
    axes.set_xticks(range(len(rows)), [table.spec["rows"][n]["label"] for n in rows])
    axes.set_ylabel(_column(table, series[0]).get("unit", ""))
    axes.grid(axis="y")
    handles = [
        _bar_handle(colours[s], _column(table, key)["label"])
        for s, key in enumerate(series)
        if any(_measured(table.entries[n, key]) for n in rows)
    ]
    if any(_printed(table.entries[n, key]) for n in rows for key in series):
        handles.append(_point_handle("published"))
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 6))
    return figure


def _lines(table: Table, drawing: dict) -> Figure:
    """A panel a group of rows, and in it a line a column; its points are the rows, at the values of another column, or
    side by side where rows of which nothing is known are left out. Columns to the right have a scale of their own,
    further ones are lines across a panel. Panels share a scale where values have a unit."""
    rows, right, across = table.spec["rows"], drawing.get("right", []), drawing.get("across", [])
    series = [*drawing["series"], *right]
    colours = dict(zip([*series, *across], palette(len(series) + len(across)), strict=False))
    groups = list(dict.fromkeys(row.get("group") for row in rows))
    width = 5.6 if len(groups) == 1 else min(4.2 * len(groups), LARGEST)
    unit = _column(table, series[0]).get("unit")
    figure, panels = pyplot.subplots(
        1, len(groups), figsize=(width, 3.6), layout="constrained", squeeze=False, sharey=unit is not None
    )
    placed: list[int] = []
    drawn: set[str] = set()  # of the columns that are lines across a panel
    for axes, group in zip(panels[0], groups, strict=True):
        of_group = [n for n, row in enumerate(rows) if row.get("group") == group]
        places = _places(axes, table, drawing, of_group)
        placed += places
        other = axes.twinx() if right else axes
        for s, key in enumerate(series):
            points = [(x, table.entries[n, key]) for n, x in places.items()]
            _line(other if key in right else axes, points, colours[key], MARKERS[s % 6])
        if right:
            other.spines["right"].set_visible(True)
            other.set_ylabel(",\n".join(tables.head(_column(table, key)) for key in right))
        for key in across:
            value = _common(table, key, "measured", of_group)
            if value is not None:
                axes.axhline(value, color=colours[key], ls="--", lw=1.4)
                drawn.add(key)
        if not (axes.lines or other.lines):
            axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=SOFT)
        axes.set_title(group or "", fontsize=9.5)
        axes.grid(axis="y")
        if drawing.get("log"):
            _logarithmic(axes, "x", "y")
    panels[0, 0].set_ylabel(unit or "")
    handles = [
        Line2D([], [], color=colours[key], marker=MARKERS[s % 6], lw=1.4, label=_column(table, key)["label"])
        for s, key in enumerate(series)
        if any(_known(table.entries[n, key]) for n in placed)
    ]
    handles += [
        Line2D([], [], color=colours[key], ls="--", lw=1.4, label=_column(table, key)["label"])
        for key in across
        if key in drawn
    ]
    if any(_printed(table.entries[n, key]) for n in placed for key in series):
        handles.append(_point_handle("published"))
    if handles:
        longest = max(len(str(handle.get_label())) for handle in handles)
        ncols = max(1, min(len(handles), 5, int(LETTERS * width / (longest + HANDLE))))
        figure.legend(handles=handles, loc="outside upper center", ncols=ncols)
    return figure


def _places(axes: Axes, table: Table, drawing: dict, of_group: list[int]) -> dict[int, float]:
    """Where the rows of a panel stand, those that have a place, from left to right; its axis says so."""
    if "x" in drawing:
        axes.set_xlabel(tables.head(_column(table, drawing["x"])))
        at = {n: table.entries[n, drawing["x"]].measured for n in of_group}
        return dict(sorted(((n, x) for n, x in at.items() if x is not None), key=lambda pair: pair[1]))
    keys = [*drawing["series"], *drawing.get("right", [])]
    known = [n for n in of_group if any(_known(table.entries[n, key]) for key in keys)]
    axes.set_xticks(range(len(known)), [table.spec["rows"][n]["label"] for n in known])
    return {n: place for place, n in enumerate(known)}


def _line(axes: Axes, entries: list[tuple[float, Entry]], colour: str, marker: str) -> None:
    """What was measured at each place, with deviations over seeds, and what was published."""
    measured = [(x, entry) for x, entry in entries if _measured(entry)]
    printed = [(x, entry.published) for x, entry in entries if _printed(entry)]
    for x, entry in measured:
        if entry.std is not None:
            axes.errorbar(x, entry.measured, yerr=entry.std, color=colour, elinewidth=1, capsize=2)
    if measured:
        points = [(x, entry.measured) for x, entry in measured]
        axes.plot(*zip(*points, strict=True), marker=marker, ms=6, lw=1.4, color=colour)
    if printed:
        axes.plot(*zip(*printed, strict=True), "D", ms=5, mfc="white", color=colour)


def _scatter(table: Table, drawing: dict) -> Figure:
    """A point a row, its deviations over seeds around it, and hollow, what was published of it; the measured points of
    a group of rows joined by a line. Points have their names beside them, and groups colours, and labels marks, where
    these are few. Where rows are many, points have their group's number beside them and their label's colour."""
    both = {n: [table.entries[n, drawing[axis]] for axis in ("x", "y")] for n in range(len(table.spec["rows"]))}
    # what has no point has no place in the legend either
    rows = {n: table.spec["rows"][n] for n, of in both.items() if all(map(_measured, of)) or all(map(_printed, of))}
    named = len(table.spec["rows"]) <= NAMED
    figure, axes = pyplot.subplots(figsize=(5.2, 3.6) if len(rows) <= FEW else (8.2, 5.6), layout="constrained")
    groups = list(dict.fromkeys(row.get("group", row["label"]) for row in rows.values()))
    labels = list(dict.fromkeys(row["label"] for row in rows.values()))
    colours, markers = _distinct(groups if named else labels, COLOURS), _distinct(labels, MARKERS)
    names, measured, published = [], [], []
    for number, group in enumerate(groups, 1):
        points = {}
        for n, row in rows.items():
            if row.get("group", row["label"]) != group:
                continue
            (x, y), label = both[n], row["label"]
            marker, colour = markers[label], colours[group if named else label]
            name = str(number) if not named else label if group == label else f"{group}, {label}"
            if _printed(x) and _printed(y):
                published.append((x.published, y.published))
                axes.plot(x.published, y.published, marker, ms=6, mfc="white", color=colour)
                names.append((name, published[-1], SOFT))
            if _measured(x) and _measured(y):
                points[label] = x.measured, y.measured
                axes.errorbar(x.measured, y.measured, xerr=x.std, yerr=y.std, color=colour, elinewidth=1, capsize=2)
                axes.plot(x.measured, y.measured, marker, ms=7, color=colour)
                names.append((name, points[label], INK))
        measured += points.values()
        if points:
            line = colours[group] if named else SOFT
            axes.plot(*zip(*points.values(), strict=True), "-", lw=1, color=line, alpha=0.6, zorder=1)
    if drawing.get("log"):
        _logarithmic(axes, "x")
    if drawing.get("front") and measured:
        axes.step(*zip(*_front(measured), strict=True), where="post", ls="--", lw=1, color=SOFT, zorder=0)
    axes.margins(x=0.2 if named else 0.05, y=0.15 if named else 0.05)
    # the margin is for names, and makes no value negative
    if not drawing.get("log") and all(of >= 0 for of, _ in [*measured, *published]):
        axes.set_xlim(left=max(0, axes.get_xlim()[0]))
    axes.set_xlabel(tables.head(_column(table, drawing["x"])))
    axes.set_ylabel(tables.head(_column(table, drawing["y"])))
    axes.grid()
    handles = [_point_handle("published", "o")] if published else []
    if not named:
        handles += [Line2D([], [], ls="", marker=markers[of], color=colours[of], label=of) for of in labels]
        handles += [Line2D([], [], ls="", label=f"{number}  {group}") for number, group in enumerate(groups, 1)]
    if handles:
        figure.legend(handles=handles, loc="outside upper right" if named else "outside right upper")
    _name(axes, names, [*measured, *published])
    return figure


def _distinct(names: Sequence[str], looks: Sequence[str]) -> dict[str, str]:
    """A colour or a mark of ``looks`` for each name; the first for all where there are more names than looks."""
    return dict(zip(names, looks if len(names) <= len(looks) else looks[:1] * len(names), strict=False))


def _logarithmic(axes: Axes, *names: str) -> None:
    """Give axes, "x" or "y", a scale of logarithms with plain numbers at 1, 2 and 5 of each decade."""
    for name in names:
        axes.set(**{f"{name}scale": "log"})
        axis = getattr(axes, f"{name}axis")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def _front(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of points (x, y) those of which no other has as little x and as much y, from left to right."""
    front: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or point[1] > front[-1][1]:
            front.append(point)
    return front


def _name(
    axes: Axes, names: Iterable[tuple[str, tuple[float, float], str]], marks: Iterable[tuple[float, float]]
) -> None:
    """Write names, each with its point and colour, as near to their points as no other name and none of ``marks`` is in
    the way, and where that is not next to them with a line. Points that touch share a name that they have in common."""
    figure = axes.figure
    figure.canvas.draw()  # which puts the axes into their place
    unit, frame, dots = figure.dpi / 72, axes.get_window_extent(), axes.transData.transform  # a unit is 1/72 inch
    taken = [Bbox.from_bounds(x - 5 * unit, y - 5 * unit, 10 * unit, 10 * unit) for x, y in map(dots, marks)]
    written: list[tuple[str, float, float]] = []
    for name, point, colour in names:
        x, y = dots(point)
        if any(name == other and hypot(x - x0, y - y0) < TOUCH * unit for other, x0, y0 in written):
            continue
        written.append((name, x, y))
        probe = axes.text(0, 0, name)
        size = probe.get_window_extent()
        probe.remove()
        places = [
            (across * (distance * unit + size.width / 2), up * (distance * unit + size.height / 2), distance)
            for distance in DISTANCES
            for across, up in SIDES
        ]
        boxes = [
            Bbox.from_bounds(x + right - size.width / 2, y + above - size.height / 2, size.width, size.height)
            for right, above, _ in places
        ]
        inside = (n for n, box in enumerate(boxes) if frame.contains(*box.min) and frame.contains(*box.max))
        best = next((n for n in inside if not any(map(boxes[n].overlaps, taken))), 0)
        taken.append(boxes[best])
        right, above, distance = places[best]
        line = {"arrowstyle": "-", "color": SOFT, "lw": 0.6, "shrinkA": 0, "shrinkB": 4}
        axes.annotate(
            name,
            point,
            (right / unit, above / unit),
            textcoords="offset points",
            ha="center",
            va="center",
            color=colour,
            arrowprops=line if distance > DISTANCES[0] else None,
            in_layout=False,
        )


def _surface(table: Table, surface: Sequence[dict]) -> Figure:
    """Two maps, log-likelihood and BLEU, with the three models marked."""
    figure, panels = pyplot.subplots(1, 2, figsize=(9.2, 3.8), layout="constrained")
    for axes, (key, title) in zip(
        panels, (("log_likelihood", "log-likelihood (bits/token)"), ("bleu", "BLEU")), strict=True
    ):
        axes.set_title(title)
        axes.set_xlabel("distance along initial → MLE")
        if not surface:
            axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=SOFT)
            continue
        rows = sorted(surface, key=lambda row: row["points"][0]["y"])
        grid = [[point[key] for point in row["points"]] for row in rows]
        xs, ys = [point["x"] for point in rows[0]["points"]], [row["points"][0]["y"] for row in rows]
        levels = _levels([value for row in grid for value in row if value is not None])
        values = [[levels[0] - 1 if value is None else value for value in row] for row in grid]
        drawn = axes.contourf(xs, ys, values, levels=levels, cmap="viridis", extend="min")
        axes.contour(drawn, levels=levels[::2], colors="white", linewidths=0.5, linestyles="solid", alpha=0.7)
        # as high as the map, whatever its shape; so many decimals that no two marks read alike
        decimals = 1 if levels[-1] - levels[0] >= 1 else 2
        figure.colorbar(drawn, cax=axes.inset_axes([1.04, 0, 0.05, 1]), format=f"%.{decimals}f")
        for n, (model, marker) in enumerate(zip(rows[0]["models"], "D^*", strict=True)):
            axes.plot(model["x"], model["y"], marker, ms=12 if marker == "*" else 8, mfc="white", mec=INK, mew=1.1)
            right = model["x"] > (xs[0] + xs[-1]) / 2  # where a label would leave the map
            axes.annotate(
                table.spec["rows"][n]["label"],
                (model["x"], model["y"]),
                (-8 if right else 8, 7),
                textcoords="offset points",
                ha="right" if right else "left",
                fontweight="bold",
                color=INK,
                bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.75},
            )
        axes.set_aspect("equal")
    panels[0].set_ylabel("distance at right angles")
    return figure


def _levels(values: list[float]) -> list[float]:
    """Contour levels from above the lowest sixth of the values, which far from all models fall without bound."""
    low, high = sorted(values)[len(values) // 6], max(values)
    high = high if high > low else low + 1
    return [low + (high - low) * i / 16 for i in range(17)]


def palette(count: int) -> Sequence:
    """So many colours: the six, or as many as it takes from a map."""
    return (
        COLOURS if count <= len(COLOURS) else [pyplot.get_cmap("viridis")(0.9 * n / (count - 1)) for n in range(count)]
    )


def _column(table: Table, key: str) -> dict:
    return next(column for column in table.spec["columns"] if column["key"] == key)


def _measured(entry: Entry) -> bool:
    return entry.measured is not None


def _printed(entry: Entry) -> bool:
    """Whether the paper has a number of it, and not a text."""
    return isinstance(entry.published, int | float)


def _known(entry: Entry) -> bool:
    return _measured(entry) or _printed(entry)


def _common(table: Table, key: str, kind: str, rows: Sequence[int]) -> float | None:
    """The mean of a column over those of these rows that have it."""
    values = [getattr(table.entries[n, key], kind) for n in rows]
    known = [value for value in values if isinstance(value, int | float)]
    return mean(known) if known else None


def _bar_handle(colour: str, text: str) -> Patch:
    return Patch(color=colour, label=text)


def _line_handle(style: str, text: str) -> Line2D:
    return Line2D([], [], color=INK, ls=style, lw=1.2, label=text)


def _point_handle(text: str, marker: str = "D") -> Line2D:
    return Line2D([], [], ls="", marker=marker, ms=5, mfc="white", mec=INK, mew=1, label=text)


def markdown(table: Table, name: str) -> str:
    """A figure's values as a table, below the picture."""
    picture = f"![{markup.markdown(table.spec['title'])}]({name}.png)"
    return tables.markdown(table).replace("\n\n", f"\n\n{picture}\n\n", 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``figure``."""
    tables.add_arguments(parser)
    parser.add_argument("--surface", nargs="*", default=[], help="rows of a grid, as `natlab surface` writes them")


def run(args: argparse.Namespace) -> None:
    """Write ``OUT.csv``, ``OUT.md``, ``OUT.png``, ``OUT.pdf`` and ``OUT.svg``."""
    spec = specs.load(args.table)
    if "draw" not in spec:
        raise UserError(f"{args.table}: key draw is missing; it is a table: natlab table")
    table = build(spec, specs.load_run(args.run_file), args.measurements, args.corpora)
    write(table, Path(args.out), args.surface)


def write(table: Table, out: Path, surface: Iterable[str | Path] = ()) -> None:
    """Draw a figure as ``out`` with the endings ``.png``, ``.pdf`` and ``.svg``, its values as ``.csv`` and ``.md``.

    ``surface``: its grid's files, as `natlab surface` writes them. UserError where no font here has its letters.
    """
    with styled(table.spec), warnings.catch_warnings():
        warnings.filterwarnings("error", "Glyph .* missing from", UserWarning)
        try:
            figure = draw(table, [read_json(path) for path in surface])
            # without a date, so that the same values are the same file
            for ending, metadata in (("png", {}), ("pdf", {"CreationDate": None}), ("svg", {"Date": None})):
                with written_aside(f"{out}.{ending}", "wb") as file:
                    figure.savefig(file, format=ending, metadata=metadata)
        except UserWarning as missing:
            lacks = str(missing).rstrip(".")
            raise UserError(f"{out}: {lacks}; install {CJK[0]}, which has Chinese letters, or use others") from None
        finally:
            pyplot.close()
    tables.write_csv(table, f"{out}.csv")
    with written_aside(f"{out}.md") as file:
        file.write(markdown(table, out.name))


def styled(shown: object = "") -> AbstractContextManager:
    """How figures look, for a with statement. Their font is matplotlib's own, so that they are the same files wherever
    they are drawn; where ``shown`` has letters that it lacks, also those with Chinese letters that are installed."""
    own = font_manager.get_font(font_manager.findfont(FONT)).get_charmap()
    more = [] if own.keys() >= set(map(ord, str(shown))) else _chinese()
    return pyplot.rc_context(STYLE | {"font.family": [FONT, *more]})


@cache
def _chinese() -> list[str]:
    """Those of `CJK` that are installed, also since matplotlib has made its list of fonts."""
    listed = {font.fname for font in font_manager.fontManager.ttflist}
    for path in sorted(set(font_manager.findSystemFonts()) - listed):
        with suppress(OSError, RuntimeError):  # what cannot be read is no font to draw with
            font_manager.fontManager.addfont(path)
    return [name for name in CJK if name in font_manager.get_font_names()]
