"""What the pages of reports share: the document around them, its style, and how names become files and anchors."""

import json
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
Contents = Mapping[str, Mapping[str, str]]  # by the group's name, "" for none: texts of links, by where they lead


def document(title: str, contents: Contents, body: str, styles: Iterable[str] = (), scripts: Iterable[str] = ()) -> str:
    """A page as HTML that needs no other file and no network.

    contents: links to its parts, in groups, or none; body: what is in its ``main``; styles, scripts: more files of this
    folder than ``style.css`` and ``script.js``.
    """
    style, script = ("".join(map(_part, of)) for of in (("style.css", *styles), ("script.js", *scripts)))
    links = "\n".join(
        (f'<li class="head">{escape(head)}</li>\n' if head else "")
        + "\n".join(f'<li><a href="{escape(href)}">{escape(text)}</a></li>' for href, text in of.items())
        for head, of in contents.items()
        if of
    )
    beside = f"""<nav class="contents" aria-label="Contents">
<details><summary>Contents</summary>
<ul>
{links}
</ul></details>
</nav>
"""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#main">To the content</a>
{beside if links else ""}<main id="main">
{body}</main>
<script>
{script}</script>
</body>
</html>
"""


def _part(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def data(name: str, value: object) -> str:
    """A value as JSON within a page, for its script to read by this name."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>\n'


def region(label: str, table: str) -> str:
    """A table that scrolls sideways where it is wider than the page; ``label`` names it to who cannot see it."""
    return f'<div class="scroll" role="region" aria-label="{escape(label)}" tabindex="0">\n{table}\n</div>\n'


def listing(label: str, heads: Iterable[str], lines: Iterable[Iterable[str]], style: str = "overview") -> str:
    """A plain table: its heads, and lines of cells, HTML, the first of each its head."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>\n'
        for first, *cells in lines
    )
    table = f'<table class="{style}"><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>'
    return region(label, table)


def dotted(name: str) -> str:
    """<paper>.<table>: an anchor on the page, and how files are named."""
    return name.replace("/", ".")


def path(folder: Path, kind: str, name: str) -> Path:
    """A table's, figure's or claims' files in a report's folder, less their endings."""
    return folder / kind / dotted(name)


def paper(spec: Mapping) -> str:
    """A paper's short name: MPLE, AXE …"""
    return spec["paper"].split(":")[0]


def links(kind: str, name: str, endings: Mapping[str, str]) -> str:
    """The files of a table, figure or claims, by the text of each link."""
    found = (f'<a href="{kind}/{dotted(name)}.{ending}">{text}</a>' for ending, text in endings.items())
    return f'<p class="files">{" · ".join(found)}</p>'


def notes(lines: Iterable[str]) -> str:
    """What stands below a table."""
    return f'<ul class="notes">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>'
