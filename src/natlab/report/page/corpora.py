"""The page's section on data: what each corpus of a run holds at each step, and of a generated one an example with its
whole P(Y|X), and which of its modes each system took."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from natlab.corpus import dataset as dataset_files
from natlab.corpus import grammar
from natlab.corpus.dataset import SIDES, SPLITS
from natlab.corpus.exact import Distribution
from natlab.files import lines, read_json
from natlab.papers.cells import Reading
from natlab.papers.labels import UNLABELLED, Labels
from natlab.report.page.sentences import of_model, outputs_of

FEWEST, MOST = 4, 12  # targets of the source that is the example
NAMED = 4  # outputs that are named at once; more are folded away
NONE = "–"


def section(
    settings: Mapping,
    readings: Iterable[tuple[str, Reading]],
    results: Path,
    datasets: Path = dataset_files.FOLDER,
    labels: Labels = UNLABELLED,
) -> str:
    """The section's HTML: each dataset of the run by its statistics in ``results`` and its file in ``datasets``; on
    generated corpora what the run's first seed made of an example, under the ``readings`` of test. ``labels``: what
    systems and decodings are called."""
    outputs = outputs_of(readings)
    parts = []
    for dataset in dict.fromkeys(settings["corpora"].values()):
        stands_for = [corpus for corpus, of in settings["corpora"].items() if of == dataset and corpus != dataset]
        file = datasets / f"{dataset}.yaml"
        described = dataset_files.load(file) if file.exists() else {}
        parts.append(
            f"<h3>{escape(dataset)}</h3>\n{_facts(described, stands_for)}"
            f"{_statistics(dataset, results / 'corpora' / dataset)}"
        )
        if described and described["source"]["kind"] == "grammar":
            parts.append(_example(settings, dataset, described, outputs.get(dataset, ()), results, labels))
    return f"""<section id="data">
<h2>Data</h2>
<p class="soft">What a corpus holds at each step: read, cleaned and cut into words, cut into subwords, numbered by the
dictionaries. Of valid and test no pair is dropped for its length.</p>
{"".join(parts)}</section>
"""


def _facts(described: Mapping[str, Any], stands_for: Sequence[str]) -> str:
    """What a dataset's file says of it."""
    parts = [f"Stands for {', '.join(stands_for)}."] if stands_for else []
    if described:
        languages = described["languages"]
        parts.append(f"From {languages['src']} to {languages['tgt']}.")
        parts += [f"Licence: {described['licence']}."] if "licence" in described else []
        parts += [described["note"]] if "note" in described else []
    return f'<p class="soft">{escape(" ".join(parts))}</p>\n' if parts else ""


def _statistics(dataset: str, corpus: Path) -> str:
    """A table of the splits, from the ``stats.json`` of the steps that are there."""
    steps = {step: _read(corpus / step / "stats.json") for step in ("text", "tok", "bpe", "bin")}
    if not any(steps.values()):
        return '<p class="soft">No statistics of it are in the results that this page was made from.</p>\n'
    kinds = ("words", "different words", "subwords", "unknown")
    head = "".join(f'<th rowspan="2">{name}</th>' for name in ("split", "pairs read", "dropped", "kept"))
    head += "".join(f'<th colspan="2">{kind}</th>' for kind in kinds) + "</tr>\n<tr>"
    head += "<th>source</th><th>target</th>" * len(kinds)
    rows = []
    for split in SPLITS:
        text, tok, bpe, numbered = (of.get("splits", {}).get(split, {}) for of in steps.values())
        dropped = Counter(text.get("dropped", {})) + Counter(tok.get("dropped", {}))
        kept = tok.get("pairs_out", text.get("pairs_out"))
        read = None if kept is None else kept + sum(dropped.values())
        cells = [_number(read), escape(", ".join(f"{count:,} {why}" for why, count in dropped.items())) or NONE]
        cells.append(_number(kept))
        for step, key in ((tok, "tokens"), (tok, "types"), (bpe, "tokens"), (numbered, "unknown")):
            cells += [_number(step.get(key, {}).get(side)) for side in SIDES]
        rows.append(f"<tr><th>{split}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n")
    dictionary = steps["bin"].get("dictionary", {})
    below = ""
    if dictionary:
        sizes = (
            f"one for both sides, of {dictionary['src']:,}"
            if steps["bin"]["joint"]
            else f"{dictionary['src']:,} of the source, {dictionary['tgt']:,} of the target"
        )
        below = f'<p class="soft">Symbols of the dictionaries: {sizes}.</p>\n'
    return f"""{_table(f"Statistics of {dataset}", "d-numbers", head, rows)}{below}"""


def _example(
    settings: Mapping,
    dataset: str,
    described: Mapping,
    pairs: Sequence[tuple[str, str]],
    results: Path,
    labels: Labels,
) -> str:
    """The first source of test with few targets, all of these by their probability, and what the outputs among
    ``pairs`` (system, decoding) say to it."""
    corpus = results / "corpora" / dataset
    if not (corpus / "tok/test.src").exists():
        return ""
    number, distribution = _first(grammar.distributions(described["source"], "test"))
    if distribution is None:
        return f'<p class="soft">No source of test has {FEWEST} to {MOST} targets.</p>\n'
    source, reference = (list(lines(corpus / f"tok/test.{side}"))[number] for side in SIDES)
    if not distribution.probability(tuple(reference.split())):
        return (
            '<p class="soft">No example: the corpus is not what its file says now, whose P(Y|X) does not allow the '
            f"target of sentence {number + 1} of test.</p>\n"
        )
    said, among = _outputs(settings, dataset, pairs, results, number, labels)
    probabilities = {" ".join(tokens): p for tokens, p in distribution.enumerated()}
    count = sum(map(len, said.values()))
    head = "<th>target</th><th>P(Y|X)</th><th>said by</th>" + "<th>also among the hypotheses of</th>" * bool(among)

    def row(text: str, p: float) -> str:
        shown = escape(text) or "nothing"
        mark = " <b>the reference</b>" if text == reference else ""
        cells = [shown + mark, f"{p:.4f}" if p else "0", _names(said.get(text, ()), count)]
        cells += [_names(among.get(text, ()), count)] * bool(among)
        return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n"

    allowed = sorted(probabilities.items(), key=lambda pair: (-pair[1], pair[0]))
    refused = {text: len(of) for text, of in said.items() if text not in probabilities}
    refused |= dict.fromkeys((text for text in among if text not in {*probabilities, *refused}), 0)
    reached = sum(p for target, p in probabilities.items() if target in said)
    about = f"sentence {number + 1} of test of {dataset}"
    below = ""
    if refused:
        rows = [row(text, 0) for text, _ in sorted(refused.items(), key=lambda pair: (-pair[1], pair[0]))]
        summary = f"What P does not allow: {sum(refused.values())} of {count} outputs"
        inner = _table(f"What P does not allow of {about}", "d-modes", head, rows)
        below = f"<details><summary>{summary}</summary>\n{inner}</details>\n"
    return f"""<p class="d-source">Sentence {number + 1} of test, the first with {FEWEST} to {MOST} targets:
<b lang="{escape(described["languages"]["src"])}">{escape(source)}</b></p>
<p class="soft">All its {len(probabilities)} targets by their probability, and which of this run's {count} outputs say
them. The targets that some output says have {100 * reached:.1f} % of P.</p>
{_table(f"All targets of {about}", "d-modes", head, [row(*pair) for pair in allowed])}{below}"""


def _first(distributions: Sequence[Distribution]) -> tuple[int, Distribution | None]:
    """The first with few targets, and its number from 0; None where none has."""
    found = ((number, each) for number, each in enumerate(distributions) if FEWEST <= each.size <= MOST)
    return next(found, (0, None))


def _outputs(
    settings: Mapping,
    dataset: str,
    pairs: Sequence[tuple[str, str]],
    results: Path,
    number: int,
    labels: Labels,
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Who says a text to a sentence, and who has it among its hypotheses but does not say it."""
    said, among = defaultdict(list), defaultdict(list)
    for system, decoding in pairs:
        path = of_model(results, "translations", dataset, settings, system) / f"{decoding}.test.txt"
        if not path.exists():
            continue
        name = labels.output(system, decoding)
        best = list(lines(path))[number]
        said[best].append(name)
        several = path.with_suffix(".samples.jsonl")
        if several.exists():
            for text in json.loads(list(lines(several))[number])["hypotheses"]:
                if text != best:
                    among[text].append(name)
    return dict(said), dict(among)


def _names(of: Sequence[str], count: int) -> str:
    """Outputs' names, folded away where they are many."""
    listed = "<br>".join(map(escape, of))
    if len(of) <= NAMED:
        return listed or NONE
    return f"<details><summary>{len(of)} of {count}</summary>{listed}</details>"


def _table(title: str, name: str, head: str, rows: Sequence[str]) -> str:
    """A table of HTML rows, which keys can scroll."""
    return f"""<div class="scroll" role="region" aria-label="{escape(title)}" tabindex="0"><table class="{name}">
<thead><tr>{head}</tr></thead>
<tbody>
{"".join(rows)}</tbody></table></div>
"""


def _number(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def _read(path: Path) -> dict:
    return read_json(path) if path.exists() else {}
