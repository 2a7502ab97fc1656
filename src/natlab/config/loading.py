"""A run's files, read and validated as a whole. The verb ``check``."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from natlab.config import checks
from natlab.config.files import DATASETS, DEFAULT_RUN, PAPERS, RUNS, SCHEMAS, read, read_dataset, stems
from natlab.config.run import Run
from natlab.corpus import dataset as dataset_files
from natlab.papers import cells, claims, spec
from natlab.schema import bare, known, read_object, read_yaml, validate


def load(settings: Mapping[str, Any], source: str, root: Path = Path()) -> Run:
    """The run of ``settings`` (the content of ``source``), with every file it names read and validated.

    ``root`` is the folder that holds config/ and workflow/schemas/.
    """
    schemas = root / SCHEMAS
    validate(settings, schemas / "run.schema.yaml", source)
    systems = read(root, "config/systems.yaml", "systems")
    known(source, "scale", settings["scale"], stems(root / "config/scales"))
    run = Run(
        root=root,
        source=source,
        settings=dict(settings),
        scale=read(root, f"config/scales/{settings['scale']}.yaml", "scale"),
        sizes=read(root, "config/sizes.yaml", "sizes"),
        systems=systems["systems"],
        decodings=systems["decodings"],
        reference=systems["reference"],
        candidates=systems["candidates"],
    )
    checks.check_sizes(run)
    checks.check_systems(run)
    for name in settings.get("systems", []):
        known(source, "systems", name, run.systems)
    _load_datasets(run, _load_papers(run))
    checks.check_weights(run)
    checks.check_cells(run)
    checks.check_trainings(run)
    return run


def load_file(path: str | Path = DEFAULT_RUN, root: Path = Path()) -> Run:
    """The run of a run file."""
    return load(read_yaml(path), str(path), root)


def from_snakemake(overrides: Mapping[str, Any], configfiles: Sequence[str | Path], root: Path = Path()) -> Run:
    """The run Snakemake was called for: its ``--configfile``, else the default, under its ``--config`` overrides, each
    of which replaces the whole value of a key.

    The files are read here, as everywhere in natlab, and not by Snakemake: in its YAML the last of a key given twice
    wins, and it would merge the datasets of one run into another's.
    """
    settings: dict[str, Any] = {}
    for file in configfiles or [DEFAULT_RUN]:
        settings |= read_object(root / file, str(file))
    settings |= {key: value if isinstance(value, str) else _bare(value) for key, value in overrides.items()}
    source = ", ".join(map(str, configfiles or [DEFAULT_RUN])) + (" and --config" if overrides else "")
    return load(settings, source, root)


def _bare(value: Any) -> Any:
    """A value of ``--config``, in whose lists and mappings Snakemake leaves numbers and the like as text."""
    if isinstance(value, Mapping):
        return {key: _bare(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_bare(part) for part in value]
    return bare(value) if isinstance(value, str) else value


def _load_papers(run: Run) -> list[str]:
    """The tables, figures and claims of the run, and the tables that its claims are about, of all papers' files, which
    must be valid. Returns the papers' corpora."""
    found = {
        f"{path.parent.name}/{path.stem}": (spec.kind(read_object(path)), path)
        for path in sorted((run.root / PAPERS).glob("*/*.yaml"))
    }
    papers = {
        kind: {
            name: (claims if kind == "claims" else spec).load(path) for name, (of, path) in found.items() if of == kind
        }
        for kind in ("tables", "figures", "claims")
    }
    for kind, into in (("tables", run.tables), ("figures", run.figures), ("claims", run.claims)):
        for name in run.settings.get(kind, []):
            known(run.source, kind, name, papers[kind])
            into[name] = papers[kind][name]
    for name, stated in run.claims.items():
        for other in stated.get("deviation", ()):
            known(f"config/papers/{name}.yaml", "deviation", other, stems(run.root / RUNS))
        for table in claims.tables_named(stated):
            known(f"config/papers/{name}.yaml", "table", table, papers["tables"])
            run.claimed_tables[table] = papers["tables"][table]
            claims.check_columns(f"config/papers/{name}.yaml", stated, table, run.claimed_tables[table])
    return sorted({corpus for of in papers.values() for paper in of.values() for corpus in cells.corpora(paper)})


def _load_datasets(run: Run, corpora: list[str]) -> None:
    """The datasets that stand for a corpus, one of ``corpora``. Any dataset can be made, so all must be valid."""
    datasets = {name: read_dataset(run.root, name) for name in stems(run.root / DATASETS)}
    checks.check_distinct(DATASETS, datasets)
    for name, dataset in datasets.items():
        checks.check_scores(name, dataset)
    dataset_files.downloads(run.root / DATASETS)
    for corpus, name in run.settings["corpora"].items():
        known(run.source, "corpora", corpus, corpora)
        known(run.source, f"corpora.{corpus}", name, datasets)
        run.datasets[name] = datasets[name]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb ``check``."""
    parser.add_argument("run", nargs="?", default=DEFAULT_RUN, metavar="RUNFILE", help=f"default: {DEFAULT_RUN}")


def run(args: argparse.Namespace) -> None:
    """Validate a run and say what it would build. Raises UserError."""
    checked = load_file(args.run)
    distilled = {(model.dataset, checked.teacher(model.system)) for model in checked.models}
    print(f"{args.run}: valid")
    for kind in ("tables", "figures", "claims"):
        if names := getattr(checked, kind):
            print(f"{kind}: {', '.join(names)}")
    print(f"datasets: {', '.join(checked.datasets)}")
    print(f"systems: {', '.join(sorted({model.system for model in checked.models}))}")
    if checked.weightless:
        print(f"not measured: {', '.join(checked.weightless)}; the run names no weights for it")
    print(f"measured models: {len(checked.models)}; distilled by: {_listed(distilled)}")


def _listed(distilled: set[tuple[str, str | None]]) -> str:
    return ", ".join(f"{teacher} ({dataset})" for dataset, teacher in sorted(distilled, key=str) if teacher) or "none"
