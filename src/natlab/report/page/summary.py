"""The head of the page: what was run and at what scale, what became of the papers' claims, where the time went."""

from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape

from natlab.jobs import Spent
from natlab.papers import spec as specs
from natlab.report.asked import Asked
from natlab.report.claims import UNMEASURED, Result
from natlab.report.filled import Table
from natlab.report.page import claims, html, words

# the rules of a stage, along the street; a training is a teacher's where another system learns from it
STAGES = {
    "Corpora": ("fetch", "extract", "grammar", "noise", "clean", "bpe", "binarise"),
    "Kernels": ("build_kernels",),
    "Teachers": (),
    "Distillation": ("distil", "merge_distilled", "candidates"),
    "Students": (),
    "Translations": ("translate",),
    "Measurements": ("measure", "score", "packages", "latency", "speed", "surface", "graphs"),
    "Report": ("run_settings", "provenance", "table", "figure", "claims", "report"),
}
GENERATED = {"grammar", "noise"}  # kinds of corpora
_STAGE_OF = {rule: stage for stage, rules in STAGES.items() for rule in rules}


def section(
    of: Asked,
    shown: Mapping[str, Table],
    results: Mapping[str, list[Result]],
    provenance: Mapping,
    spent: list[Spent],
    described: bool,
) -> str:
    """What was run, the claims with their verdicts, how much of each table was measured, and the run's stages.
    ``described``: whether a README.md beside the page says in words what the run shows."""
    words_of_it = '<p class="lead"><a href="README.md">What it shows, in words</a></p>\n' if described else ""
    return f"""<section id="summary">
<h1>{escape(of.settings["run"])}</h1>
{_lead(of, provenance)}
{words_of_it}{_verdicts(of, results)}{_tables(shown)}<h2 class="part">How it was run</h2>
{_facts(of, provenance, spent)}
{_stages(spent, provenance)}<p class="files">Configuration, checksums of the data, fingerprints of the models and
versions of all packages: <a href="provenance.json">provenance.json</a>. Every value:
<a href="measurements.csv">measurements.csv</a>.</p>
</section>
"""


def scale(provenance: Mapping) -> str:
    """The models' sizes and trainings, in words; "" where the provenance says neither."""
    models = [model["spec"] for model in provenance.get("models", ())]
    sizes = Counter(
        f"{size['d_model']} dimensions, {size['encoder_layers']} encoder + {size['decoder_layers']} decoder layers"
        for size in (model["size"] for model in models)
    )
    updates = sorted({model["training"]["updates"] for model in models})
    if not models:
        return ""
    most = sizes.most_common(1)[0][0] + (" (most)" if len(sizes) > 1 else "")
    span = f"{updates[0]:,}" if len(updates) == 1 else f"{updates[0]:,} to {updates[-1]:,}"
    return f"{most}, trained for {span} updates"


def data(run: Mapping, provenance: Mapping) -> list[str]:
    """The datasets the run measured, each with its kind, its size and for which corpora it stands."""
    found = provenance.get("configuration", {}).get("datasets", {})
    standing: dict[str, list[str]] = {}
    for corpus, dataset in run["corpora"].items():
        standing.setdefault(dataset, []).append(corpus)
    lines = []
    for dataset, corpora in standing.items():
        source = found.get(dataset, {}).get("source", {})
        kind = "generated" if source.get("kind") in GENERATED else "real text" if source else ""
        size = f"{source['pairs']:,} pairs" if "pairs" in source else ""
        what = ", ".join(filter(None, (kind, size)))
        others = [corpus for corpus in corpora if corpus != dataset]
        stands = f"; stands for {', '.join(others)}" if others else ""
        lines.append(f"{dataset}{f' ({what})' if what else ''}{stands}")
    return lines


def papers(of: Asked) -> dict[str, list[str]]:
    """The tables and figures shown, by paper."""
    found: dict[str, list[str]] = {}
    for spec in (*of.tables.values(), *of.figures.values()):
        found.setdefault(spec["paper"], []).append(spec["table"])
    for stated in of.claims.values():
        found.setdefault(stated["paper"], [])
    return found


def _lead(of: Asked, provenance: Mapping) -> str:
    shown = "".join(
        f"<li>{words.marked(paper)}{f': {listed(tables)}' if tables else ''}</li>"
        for paper, tables in papers(of).items()
    )
    seeds = len(of.settings["seeds"])
    many = "one seed" if seeds == 1 else f"{seeds} seeds"
    at = scale(provenance)
    on = _kinds(of.settings, provenance)
    return f"""<p class="lead">Published results of non-autoregressive text generation, measured again{on} with
{many}{f", by models of {escape(at)}" if at else ""}:</p>
<ul class="lead">{shown}</ul>"""


def _kinds(run: Mapping, provenance: Mapping) -> str:
    """What stands for the papers' corpora, in words."""
    found = provenance.get("configuration", {}).get("datasets", {})
    kinds = {corpus: found.get(dataset, {}).get("source", {}).get("kind") for corpus, dataset in run["corpora"].items()}
    if not set(kinds.values()) - GENERATED:
        return " on sentences that a grammar of this project generates, in place of the papers' corpora,"
    if any(corpus != dataset for corpus, dataset in run["corpora"].items()):
        real = "" if None in kinds.values() or GENERATED & set(kinds.values()) else "real text, "
        return f" on {real}{', '.join(dict.fromkeys(run['corpora'].values()))}, in place of the papers' corpora,"
    return ""


def listed(tables: Iterable[str]) -> str:
    """Tables and figures in a row: Tables 1, 2, Figure 5; others by their names."""
    kinds: dict[str, list[str]] = {}
    for table in tables:
        kind, _, number = table.rpartition(" ")
        numbered = kind in ("Table", "Figure")
        kinds.setdefault(kind if numbered else "", []).append(number if numbered else table)
    return ", ".join(
        f"{kind}{'s' if kind and len(of) > 1 else ''} {', '.join(of)}".strip() for kind, of in kinds.items()
    )


def _verdicts(of: Asked, results: Mapping[str, list[Result]]) -> str:
    """Each claim of each paper with the verdicts of its parts; it leads to its evidence. What this run does not measure
    is folded away."""
    found = []
    for name, stated in of.claims.items():
        tested, untested = [], []
        for claim in stated["claims"]:
            counts = claims.counted(part for part in results[name] if part.claim == claim["id"])
            link = f'<a href="#{claims.anchor(name, claim)}">{escape(claim["claim"])}</a>'
            (tested if set(counts) - {UNMEASURED} else untested).append((link, claims.badges(counts)))
        heads = ("claim", "parts")
        found.append(
            f'<h2 class="part">What became of the claims: {escape(html.paper(stated))}</h2>\n'
            f"{claims.badges(claims.counted(results[name]))}\n"
            '<p class="soft">A claim is tested in parts. A part <b>holds</b> if at least 95 % of resamples of test '
            "sentences and seeds agree with it, is <b>refuted</b> if at most 5 % do, and <b>undecided</b> between."
            f"</p>\n{html.listing('Claims and verdicts', heads, tested)}"
        )
        if untested:
            listing = html.listing("Claims not measured", heads, untested)
            found.append(f"<details><summary>{claims.unmeasured(len(untested))}</summary>\n{listing}</details>\n")
    return "".join(found)


def _tables(shown: Mapping[str, Table]) -> str:
    """What was measured of each table and figure."""
    lines = []
    for name, table in shown.items():
        asked = [
            table.entries[number, column["key"]].measured is not None
            for number, row in enumerate(table.spec["rows"])
            for column in table.spec["columns"]
            if not row.get("quoted") and not column.get("descriptive")
        ]
        kind = "" if specs.of_paper(table.spec) else '<span class="tag">nothing published</span>'
        link = f"{escape(html.paper(table.spec))} {escape(table.spec['table'])}"
        title = words.marked(table.spec["title"])
        lines.append(
            (f'<a href="#{html.dotted(name)}">{link}</a>{kind}: {title}', f"{sum(asked)} of {len(asked)} cells")
        )
    if not lines:
        return ""
    listing = html.listing("What was measured", ("table or figure", "measured"), lines)
    return f'<h2 class="part">What was measured</h2>\n{listing}'


def _facts(of: Asked, provenance: Mapping, spent: list[Spent]) -> str:
    run = of.settings
    models = provenance.get("models", ())
    commit = provenance.get("commit") or ""
    time = ""
    if spent:
        gpu = sum(job.hours * job.gpus for job in spent)
        core = sum(job.hours * job.threads for job in spent)
        time = f"{_clock(wall(spent))} on the clock, {core:.1f} core-hours"
        time += f", {gpu:.1f} GPU-hours" if gpu else ""
    facts = {
        "Data": "; ".join(data(run, provenance)),
        "Models": f"{len(models)}, {scale(provenance)}" if models else "",
        "Scale": run["scale"],
        "Seeds": ", ".join(map(str, run["seeds"])),
        "Device": ", ".join(provenance.get("devices", ())),
        "Time": time,
        "Commit": commit + (" with uncommitted changes" if provenance.get("dirty") else ""),
    }
    lines = "".join(
        f'<tr><th scope="row">{name}</th><td>{escape(text)}</td></tr>\n' for name, text in facts.items() if text
    )
    return f'<table class="facts">\n{lines}</table>'


def wall(spent: Iterable[Spent]) -> float:
    """Hours in which at least one job ran."""
    total, until = 0.0, float("-inf")
    for job in sorted(spent, key=lambda job: job.started):
        total += max(0.0, job.ended - max(job.started, until))
        until = max(until, job.ended)
    return total / 3600


def _clock(hours: float) -> str:
    minutes = round(60 * hours)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _stages(spent: list[Spent], provenance: Mapping) -> str:
    """The street with the number of jobs and their core-hours, stage by stage."""
    teachers = {
        teacher
        for model in provenance.get("models", ())
        for teacher in [model["spec"]["target"].get("teacher"), *model["spec"]["target"].get("teachers", ())]
    }
    jobs, hours = Counter(), Counter()
    for job in spent:
        stage = _STAGE_OF.get(job.rule)
        if job.rule == "train":
            stage = "Teachers" if job.wildcards.get("system") in teachers else "Students"
        if stage is not None:
            jobs[stage] += 1
            hours[stage] += job.hours * job.threads
    items = "".join(
        f"<li><b>{stage}</b><span>{jobs[stage]} job{'s' if jobs[stage] != 1 else ''}</span>"
        f"<span>{hours[stage]:.2f} core-hours</span></li>\n"
        for stage in STAGES
        if jobs[stage]
    )
    return f'<ul class="stages" aria-label="Stages of the run">\n{items}</ul>\n' if items else ""
