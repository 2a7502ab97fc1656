"""The page's browser over test sets: sources, references, and what each system made of them.

Its data are one script a dataset, ``sentences/<dataset>.js``, which the page loads when a reader comes to it: a page
opened as a file may not fetch. A sentence's outputs are kept once each, however many systems agree on one.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from sacrebleu.metrics import BLEU

from natlab.corpus import dataset as dataset_files
from natlab.corpus import references as further_references
from natlab.corpus.subwords import joined
from natlab.errors import UserError
from natlab.files import lines, read_json, written_aside
from natlab.papers.cells import Reading
from natlab.papers.labels import UNLABELLED, Labels
from natlab.report.page import candidates as dynamic
from natlab.report.page.candidates import Candidates

LARGEST = 20_000_000  # bytes of a dataset's file: of a larger one the first sentences are kept
HYPOTHESES = 5  # of a sentence, where a decoding gives several
FIRST = 5  # outputs that are shown before the reader chooses
SCORES = {"bleu_tok": "BLEU", "rouge_l": "ROUGE-L"}  # what sentences are scored by: the first that was measured
AUTOREGRESSIVE = "transformer"  # the system that is shown first; others are named after it
BASELINES = ("vanilla_kd", "vanilla_raw")  # the first that is there is shown next
DIGITS = 1


@dataclass(frozen=True)
class Output:
    """What one system says under one decoding. scores, allowed: of each sentence, None where that was not measured;
    values: of the whole test set; hypotheses: the best ones of each sentence with the model's scores."""

    system: str
    decoding: str
    said: Sequence[str]
    scores: Sequence[float] | None
    allowed: Sequence[bool] | None
    values: Mapping[str, float]
    hypotheses: Sequence[Sequence[tuple[str, float]]] | None


def outputs_of(readings: Iterable[tuple[str, Reading]]) -> dict[str, list[tuple[str, str]]]:
    """(system, decoding) of the readings of test, each once in their order, by dataset."""
    found: dict[str, dict[tuple[str, str], None]] = {}
    for dataset, reading in readings:
        if reading.decoding is not None and reading.split == "test":
            found.setdefault(dataset, {})[reading.system, reading.decoding] = None
    return {dataset: list(pairs) for dataset, pairs in found.items()}


def of_model(results: Path, kind: str, dataset: str, settings: Mapping, *system: str) -> Path:
    """The folder of translations, candidates … of a run's first seed, and of a ``system`` where there is one each."""
    return results.joinpath(kind, dataset, settings["scale"], *system, f"seed{settings['seeds'][0]}")


def write(
    settings: Mapping,
    readings: Iterable[tuple[str, Reading]],
    results: Path,
    folder: Path,
    datasets: Path = dataset_files.FOLDER,
    labels: Labels = UNLABELLED,
    claimed: Sequence[str] = (),
) -> list[str]:
    """Write ``folder/sentences/<dataset>.js`` of what systems make of the test sets, of the run's first seed; the
    datasets that have one: those of which sources and translations are in ``results``.

    ``datasets``: the folder of datasets' files; further references are shown of those that have one, which says how
    they are tokenised; ``labels``: what systems and decodings are called; ``claimed``: the systems that claims are made
    for, which are shown before others. UserError where a file has not as many lines as there are sources.
    """
    written = []
    for dataset, pairs in outputs_of(readings).items():
        found = _data(settings, dataset, pairs, results, datasets / f"{dataset}.yaml", labels, claimed)
        if found is not None:
            head, sentences = found
            with written_aside(folder / "sentences" / f"{dataset}.js") as file:
                file.writelines(_script(dataset, head, sentences))
            written.append(dataset)
    return written


def section(datasets: Sequence[str]) -> str:
    """The section's HTML; ``sentences.js`` fills it from what `write` has written of ``datasets``."""
    if not datasets:
        return (
            '<section id="sentences">\n<h2>Sentences</h2>\n<p class="soft">No translations are in the results that '
            "this page was made from.</p>\n</section>\n"
        )
    options = "".join(f"<option>{escape(dataset)}</option>" for dataset in datasets)
    return f"""<section id="sentences">
<h2>Sentences</h2>
<p class="soft">The test set, sentence by sentence, tokenised as the systems read and wrote it, by the run's first seed.
Scores are against the first reference; those of sentences are smoothed, so their mean is not the corpus' score.</p>
<noscript><p>The sentences need JavaScript.</p></noscript>
<div class="s-controls" role="group" aria-label="Which sentences" hidden>
<label>Data <select class="s-dataset">{options}</select></label>
<label>Order <select class="s-order">
<option value="source">as in the test set</option>
<option value="longest">longest source first</option>
<option value="shortest">shortest source first</option>
<option value="worst">lowest score of A first</option>
<option value="best">highest score of A first</option>
<option value="gap">A furthest ahead of B first</option>
</select></label>
<label class="s-by-a">A <select class="s-a"></select></label>
<label class="s-by-b">B <select class="s-b"></select></label>
<button type="button" class="s-swap">Swap A and B</button>
<label>Only <select class="s-only">
<option value="all">all sentences</option>
<option value="differ">where shown outputs differ</option>
<option value="repeats">where one repeats a word</option>
<option value="refused">where P does not allow one</option>
<option value="allowed">where P allows all</option>
</select></label>
<label>Find <input type="search" class="s-find" placeholder="in sources and outputs"></label>
<label class="s-several">Marked against <select class="s-against">
<option value="first">the reference</option>
<option value="nearest">the nearest reference</option>
</select></label>
<label><input type="checkbox" class="s-missing"> show missing words</label>
<details class="s-choice"><summary>Outputs shown</summary>
<div class="s-tools"><label>Name has <input type="search" class="s-name"></label>
<button type="button" class="s-usual">The usual ones</button> <button type="button" class="s-none">None</button></div>
<div class="s-picks" role="group" aria-label="Outputs shown" tabindex="0"></div>
</details>
</div>
<p class="s-legend soft"><ins>word</ins> is not in the reference, <del>word</del> is in the reference and missing,
<mark>word</mark> repeats the word before it.</p>
<p class="s-status" role="status" tabindex="-1"></p>
<ol class="s-list"></ol>
<div class="s-pages" role="group" aria-label="Pages of sentences" hidden>
<button type="button" class="s-to-first">First</button>
<button type="button" class="s-to-previous">Previous</button> <span class="s-page"></span>
<button type="button" class="s-to-next">Next</button> <button type="button" class="s-to-last">Last</button></div>
</section>
"""


def sentence_bleu(statistics: Sequence[int]) -> float:
    """BLEU of a sentence by its `natlab.metrics.bleu.statistics`, by sacreBLEU: smoothed (exponentially) and of the
    orders that the sentence has, as "eff:yes|smooth:exp" signs it."""
    *counts, hypothesis, reference = statistics
    smoothed = {"smooth_method": "exp", "effective_order": True}
    return BLEU.compute_bleu(counts[:4], counts[4:], hypothesis, reference, **smoothed).score


def _data(
    settings: Mapping,
    dataset: str,
    pairs: Sequence[tuple[str, str]],
    results: Path,
    file: Path,
    labels: Labels,
    claimed: Sequence[str],
) -> tuple[dict[str, Any], Iterator[dict[str, Any]]] | None:
    """What a dataset's script says first, and its sentences; None where no source or no translation is there."""
    described = dataset_files.load(file) if file.exists() else {}
    words = joined if described and dataset_files.in_bpe(described) else str
    corpus = results / "corpora" / dataset
    if not (corpus / "tok/test.src").exists():
        return None
    sources = list(map(words, lines(corpus / "tok/test.src")))
    references = [list(map(words, _fitting(corpus / "tok/test.tgt", len(sources))))]
    if described:
        references += further_references.tokenised(corpus / "text", "test", described)
    outputs = []
    for system, decoding in pairs:
        path = of_model(results, "translations", dataset, settings, system) / f"{decoding}.test.txt"
        if path.exists():
            outputs.append(_output(settings, dataset, system, decoding, path, results, len(sources)))
    if not outputs:
        return None
    scored = next((metric for metric in SCORES if any(metric in output.values for output in outputs)), None)
    targets = {
        system: of_model(results, "translations", dataset, settings, system) / "target.txt" for system, _ in pairs
    }
    candidates = dynamic.read(of_model(results, "candidates", dataset, settings), targets)
    drawn = {system: of_model(results, "graphs", dataset, settings, system).with_suffix(".json") for system, _ in pairs}
    graphs = {labels.system(system): read_json(path)["sentences"] for system, path in drawn.items() if path.exists()}
    head = {
        "seed": settings["seeds"][0],
        "sentences": len(sources),
        "languages": described.get("languages"),
        "score": SCORES.get(scored),
        "outputs": [
            {
                "system": labels.system(output.system),
                "decoding": labels.decoding(output.decoding),
                "score": output.values.get(scored),
                "allowed": output.values.get("allowed"),
                "repetition": output.values.get("repetition"),
            }
            for output in outputs
        ],
        "first": _first(outputs, scored, claimed),
        "candidates": None
        if candidates is None
        else {
            "names": [labels.system(name) for name in candidates.names],
            "gamma": candidates.gamma,
            "systems": [labels.system(system) for system in candidates.taken],
        },
    }
    return head, (
        _sentence(number, source, [of[number] for of in references], outputs, candidates) | _graphs(number, graphs)
        for number, source in enumerate(sources)
    )


def _output(
    settings: Mapping, dataset: str, system: str, decoding: str, path: Path, results: Path, count: int
) -> Output:
    """The translations in ``path`` with what was measured of them."""
    said = _fitting(path, count)
    reading = Reading("bleu_tok", system, decoding, "test")
    measured = results / "measurements" / reading.source(dataset, settings["scale"], settings["seeds"][0])
    file = read_json(measured) if measured.exists() else {"values": {}}
    statistics = file.get("sentence_statistics", {})
    scored = next((metric for metric in SCORES if metric in statistics), None)
    scores, allowed = statistics.get(scored), statistics.get("allowed")
    for of_sentences in (scores, allowed):
        if of_sentences is not None and len(of_sentences) != count:
            raise UserError(f"{measured}: {len(of_sentences)} sentences for {count} sources of test; measure again")
    if scored == "bleu_tok":
        scores = [_bleu(tuple(of_sentence)) for of_sentence in scores]
    several = path.with_suffix(".samples.jsonl")
    return Output(
        system,
        decoding,
        said,
        scores,
        allowed,
        {name: value["value"] for name, value in file["values"].items() if "value" in value},
        [_best(line) for line in _fitting(several, count)] if several.exists() else None,
    )


_bleu = cache(sentence_bleu)  # systems agree on many sentences


def _best(line: str) -> list[tuple[str, float]]:
    found = json.loads(line)
    return list(zip(found["hypotheses"], found["scores"], strict=True))[:HYPOTHESES]


def _fitting(path: Path, count: int) -> list[str]:
    """The lines of a file of the test set, ``count`` of them."""
    found = list(lines(path))
    if len(found) != count:
        raise UserError(f"{path}: {len(found)} lines for {count} sources of test; make it again")
    return found


def _first(outputs: Sequence[Output], scored: str | None, claimed: Sequence[str]) -> list[int]:
    """Which outputs are shown first: the autoregressive model's; those of the systems that claims are made for or, of
    none, the baseline's; the best others, autoregressive ones last. Each system under its best decoding."""

    def by_score(number: int) -> float:
        return -outputs[number].values.get(scored, float("-inf"))

    best: dict[str, int] = {}
    for number in sorted(range(len(outputs)), key=by_score):
        best.setdefault(outputs[number].system, number)
    others = sorted(best, key=lambda system: system.startswith(AUTOREGRESSIVE))  # those alike stay in their order
    beside = [system for system in claimed if system in best] or [system for system in BASELINES if system in best][:1]
    known = [AUTOREGRESSIVE] if AUTOREGRESSIVE in best else []
    return [best[system] for system in dict.fromkeys([*known, *beside, *others])][:FIRST]


def _sentence(
    number: int, source: str, references: Sequence[str], outputs: Sequence[Output], candidates: Candidates | None
) -> dict[str, Any]:
    """One sentence: its different texts with what is known of each, and by its place among them who says it."""
    texts: dict[str, int] = {}
    scores: dict[int, float] = {}
    allowed: dict[int, bool] = {}

    def at(text: str) -> int:
        return texts.setdefault(text, len(texts))

    said = [at(output.said[number]) for output in outputs]
    for place, output in zip(said, outputs, strict=True):
        if output.scores is not None:
            scores[place] = round(output.scores[number], DIGITS)
        if output.allowed is not None:
            allowed[place] = bool(output.allowed[number])
    found: dict[str, Any] = {"source": source, "references": references, "said": said}
    several = {
        of: [[at(text), round(score, 3)] for text, score in output.hypotheses[number]]
        for of, output in enumerate(outputs)
        if output.hypotheses is not None
    }
    if several:
        found["hypotheses"] = several
    if candidates is not None:
        pairs = zip(candidates.texts[number], candidates.sums[number].tolist(), strict=True)
        found["candidates"] = [[at(text), round(total, DIGITS)] for text, total in pairs]
        found["favoured"] = int(candidates.sums[number].argmax())
        found["taken"] = [of_system[number] for of_system in candidates.taken.values()]
    found["texts"] = list(texts)
    if scores:
        found["scores"] = [scores.get(place) for place in range(len(texts))]
    if allowed:
        found["allowed"] = [allowed.get(place) for place in range(len(texts))]
    return found


def _graphs(number: int, graphs: Mapping[str, Sequence[Mapping]]) -> dict[str, Any]:
    """The graphs of a sentence by system, of those that have one (`natlab.measuring.graphs`)."""
    found = {system: of_system[number] for system, of_system in graphs.items() if number < len(of_system)}
    return {"graphs": found} if found else {}


def _script(dataset: str, head: Mapping[str, Any], sentences: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The lines of a dataset's script; of its sentences as many as `LARGEST` has room for."""
    name = _json(dataset)
    first = f"(globalThis.natlab ??= {{}}).sentences ??= {{}};\nnatlab.sentences[{name}] = {_json(head)};\n"
    first += f"natlab.sentences[{name}].list = [\n"
    yield first
    room = LARGEST - len(first.encode()) - len("];\n")
    for sentence in sentences:
        line = f"{_json(sentence)},\n"
        room -= len(line.encode())
        if room < 0:
            break
        yield line
    yield "];\n"


def _json(value: Any) -> str:
    """JSON that may stand in a script: without what ends a line there or, in a page, the script."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
