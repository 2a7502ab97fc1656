"""A paper's claims on the page: each with its parts, their verdicts and what these rest on."""

from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape

from natlab.report import claims
from natlab.report.claims import Result
from natlab.report.page import html, words

STYLES = {
    claims.HOLDS: "holds",
    claims.UNDECIDED: "undecided",
    claims.REFUTED: "refuted",
    claims.UNMEASURED: "unmeasured",
}
NUMBERS = claims.HEADS[3:6]  # the columns that are set to the right


def section(name: str, stated: Mapping, results: list[Result], run: Mapping) -> str:
    """All claims of a paper; those of which nothing was measured are folded away below the others."""
    heads = "".join(f'<th scope="col">{text or "part"}</th>' for text in claims.HEADS)
    tested, untested = [], []
    for claim in stated["claims"]:
        of_claim = [part for part in results if part.claim == claim["id"]]
        lines = "".join(map(_line, of_claim))
        label = f"{html.paper(stated)}, claim {claim['id']}"
        table = f'<table class="claims"><thead><tr>{heads}</tr></thead>\n<tbody>\n{lines}</tbody></table>'
        (tested if set(counted(of_claim)) - {claims.UNMEASURED} else untested).append(
            f'<p class="claim" id="{anchor(name, claim)}">{words.marked(claim["claim"])} '
            f'<span class="spread">{escape(claim["source"])}</span></p>\n{html.region(label, table)}'
        )
    folded = f"<details><summary>{unmeasured(len(untested))}</summary>\n{''.join(untested)}</details>\n"
    return f"""<section id="{html.dotted(name)}">
<h3>{escape(stated["title"])}</h3>
<p class="soft">{escape(stated["paper"])}.</p>
{"".join(tested)}{folded if untested else ""}{html.notes(claims.notes(results, run))}
{html.links("claims", name, {"csv": "CSV", "md": "Markdown"})}
</section>
"""


def unmeasured(count: int) -> str:
    """What claims are called of which nothing was measured."""
    return f"{count} claim{'s' if count != 1 else ''} that this run does not measure"


def anchor(name: str, claim: Mapping) -> str:
    """Where a claim stands on the page."""
    return f"{html.dotted(name)}.{claim['id']}"


def counted(results: Iterable[Result]) -> Counter:
    """How many parts have which verdict."""
    return Counter(result.verdict for result in results)


def badges(counts: Mapping[str, int]) -> str:
    """Verdicts with their numbers; those there are none of are left out."""
    found = (
        f'<span class="verdict {style}">{verdict} {counts[verdict]}</span>'
        for verdict, style in STYLES.items()
        if counts.get(verdict)
    )
    return f'<span class="verdicts">{"".join(found)}</span>'


def _line(part: Result) -> str:
    says, verdict, measured, *others = claims.shown(part)
    badge = f'<span class="verdict {STYLES[part.verdict]}">{escape(verdict)}</span>'
    cells = [badge, words.marked(measured), *map(escape, others)]
    # on a phone a cell's head stands before it
    style = dict.fromkeys(NUMBERS, ' class="number"')
    line = "".join(
        f'<td data-head="{head}"{style.get(head, "")}>{cell}</td>'
        for head, cell in zip(claims.HEADS[1:], cells, strict=True)
    )
    return f'<tr><th scope="row">{words.marked(says)}</th>{line}</tr>\n'
